"""Outages and their table: those that a probe has measured, and those that an operator has entered.

What was measured is a fact: its begin and end come from the results alone. Operators say which ticket and which excuse
it has. To excuse a part of it, they enter an excused event for that part.
"""

import secrets
from enum import Enum
from typing import Any, Final

import attr

from synapse_bum.availability.calculation import Event, Span
from synapse_bum.database import Cursor

_COLUMNS: Final = "outage_id, from_ts, to_ts, ticket, excuse, reason, source, created_by, created_ts, changed_ts"

# By primary key: one row.
_ONE: Final = f"SELECT {_COLUMNS} FROM synapse_bum_availability_outages WHERE outage_id = ? AND removed_ts IS NULL"  # noqa: S608
_ADD: Final = f"INSERT INTO synapse_bum_availability_outages ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_CHANGE: Final = (
    "UPDATE synapse_bum_availability_outages SET from_ts = ?, to_ts = ?, ticket = ?, excuse = ?, reason = ?,"
    " changed_ts = ? WHERE outage_id = ?"
)
_REMOVE: Final = "UPDATE synapse_bum_availability_outages SET removed_ts = ?, changed_ts = ? WHERE outage_id = ?"
_DELETE: Final = "DELETE FROM synapse_bum_availability_outages WHERE outage_id = ?"
# By the index on `from_ts`: what began before the end of the span. Outages are few: some a month.
_WITHIN: Final = (
    f"SELECT {_COLUMNS} FROM synapse_bum_availability_outages"  # noqa: S608
    " WHERE from_ts < ? AND (to_ts IS NULL OR to_ts > ?) AND removed_ts IS NULL ORDER BY from_ts, outage_id"
)
# The same. What the probe says is compared with removed ones too.
_MEASURED_WITHIN: Final = (
    f"SELECT {_COLUMNS}, removed_ts FROM synapse_bum_availability_outages"  # noqa: S608
    " WHERE source = 'measured' AND from_ts < ? AND (to_ts IS NULL OR to_ts > ?) ORDER BY from_ts, outage_id"
)
# By the index on `from_ts`, from its end.
_PAGE: Final = (
    f"SELECT {_COLUMNS} FROM synapse_bum_availability_outages WHERE removed_ts IS NULL"  # noqa: S608
    " ORDER BY from_ts DESC, outage_id LIMIT ? OFFSET ?"
)
# The whole table: some rows a month.
_COUNT: Final = "SELECT COUNT(*) FROM synapse_bum_availability_outages WHERE removed_ts IS NULL"
_OPEN: Final = (
    "SELECT COUNT(*) FROM synapse_bum_availability_outages WHERE to_ts IS NULL AND removed_ts IS NULL"
    " AND (excuse IS NULL OR source = 'measured')"
)
_OLDEST_OPEN_MEASURED: Final = (
    "SELECT MIN(from_ts) FROM synapse_bum_availability_outages WHERE source = 'measured' AND to_ts IS NULL"
)


class Excuse(Enum):
    """Why an outage does not count against the service."""

    MAINTENANCE = "maintenance"
    CUSTOMER = "customer"
    THIRD_PARTY = "third_party"
    FORCE_MAJEURE = "force_majeure"


class Source(Enum):
    """Who says that there was an outage."""

    ENTERED = "entered"
    """An operator."""
    MEASURED = "measured"
    """A probe."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Outage:
    """One outage.

    Attributes:
        outage_id: made here.
        from_ts: its first moment, ms since the epoch.
        to_ts: the first one behind it; None while it goes on.
        ticket: of the incident; without one it does not count in the contractual figure.
        excuse: why it does not count against the service, None when it does.
        reason: of the last change, in the operator's words; None for what only a probe has said.
        source: who says so.
        created_by: a user id, or the name of the job.
        created_ts: ms since the epoch.
        changed_ts: ms since the epoch.
    """

    outage_id: str
    from_ts: int
    to_ts: int | None
    ticket: str | None
    excuse: Excuse | None
    reason: str | None
    source: Source
    created_by: str
    created_ts: int
    changed_ts: int

    @property
    def is_untouched(self) -> bool:
        """Whether no operator has said anything about it."""
        return self.ticket is None and self.excuse is None and self.reason is None

    def event(self, now_ms: int) -> Event | None:
        """Returns it as the calculation sees it, None while nothing of it has happened.

        Args:
            now_ms: the end of one that goes on; a later end is kept.
        """
        to_ts = now_ms if self.to_ts is None else self.to_ts
        if to_ts <= self.from_ts:
            return None
        return Event(Span(self.from_ts, to_ts), self.ticket is not None, self.excuse is not None)

    def as_json(self) -> dict[str, Any]:
        """Returns it as the API shows it."""
        return {
            "id": self.outage_id,
            "from_ts": self.from_ts,
            "to_ts": self.to_ts,
            "ticket": self.ticket,
            "excuse": None if self.excuse is None else self.excuse.value,
            "reason": self.reason,
            "source": self.source.value,
            "created_by": self.created_by,
            "created_ts": self.created_ts,
            "changed_ts": self.changed_ts,
        }


def new_id() -> str:
    """Returns an id that nothing else has."""
    return secrets.token_hex(8)


def read_one(txn: Cursor, outage_id: str) -> Outage | None:
    """Reads one outage."""
    txn.execute(_ONE, (outage_id,))
    row = txn.fetchone()
    return None if row is None else _outage(row)


def read_within(txn: Cursor, span: Span) -> list[Outage]:
    """Reads all outages that have a moment in a span, in order of time."""
    txn.execute(_WITHIN, (span.end_ms, span.begin_ms))
    return [_outage(row) for row in txn.fetchall()]


def read_measured(txn: Cursor, span: Span) -> list[tuple[Outage, bool]]:
    """Reads all measured outages that have a moment in a span, in order of time.

    Returns:
        each with whether an operator has removed it.
    """
    txn.execute(_MEASURED_WITHIN, (span.end_ms, span.begin_ms))
    return [(_outage(row[:-1]), row[-1] is not None) for row in txn.fetchall()]


def read_page(txn: Cursor, offset: int, limit: int) -> tuple[list[Outage], int]:
    """Reads a page, the latest begin first, and how many there are."""
    txn.execute(_PAGE, (limit, offset))
    found = [_outage(row) for row in txn.fetchall()]
    txn.execute(_COUNT)
    row = txn.fetchone()
    return found, row[0] if row else 0


def count_open(txn: Cursor) -> int:
    """Counts the outages that go on; an event that was entered with an excuse is none."""
    txn.execute(_OPEN)
    row = txn.fetchone()
    return int(row[0]) if row else 0


def oldest_open_measured(txn: Cursor) -> int | None:
    """When the oldest measured outage began that goes on, ms since the epoch."""
    txn.execute(_OLDEST_OPEN_MEASURED)
    row = txn.fetchone()
    return row[0] if row else None


def add(txn: Cursor, outage: Outage) -> None:
    """Writes a new outage."""
    values = attr.astuple(outage)
    txn.execute(_ADD, (*values[:4], _value(outage.excuse), outage.reason, outage.source.value, *values[7:]))


def change(txn: Cursor, outage: Outage) -> None:
    """Writes what may change of an outage."""
    what = (outage.from_ts, outage.to_ts, outage.ticket, _value(outage.excuse), outage.reason, outage.changed_ts)
    txn.execute(_CHANGE, (*what, outage.outage_id))


def remove(txn: Cursor, outage: Outage, now_ms: int) -> None:
    """Removes an outage; a measured one leaves its mark."""
    if outage.source is Source.MEASURED:
        txn.execute(_REMOVE, (now_ms, now_ms, outage.outage_id))
    else:
        txn.execute(_DELETE, (outage.outage_id,))


def retract(txn: Cursor, outage: Outage) -> None:
    """Forgets a measured outage that no result speaks of any more."""
    txn.execute(_DELETE, (outage.outage_id,))


def _value(excuse: Excuse | None) -> str | None:
    return None if excuse is None else excuse.value


def _outage(row: tuple[Any, ...]) -> Outage:
    outage_id, from_ts, to_ts, ticket, excuse, reason, source, *rest = row
    return Outage(
        outage_id, from_ts, to_ts, ticket, None if excuse is None else Excuse(excuse), reason, Source(source), *rest
    )
