"""The count of each day: what invoices are made from, and the history for graphs.

A day is one of the configured time zone when the count was made, and stays that day if the zone is changed later. Its
last count stands for it. What was counted by a gigabyte or by rules that were changed later keeps its own numbers.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.quantities import Duration
from synapse_bum.storage.usage import Stored, started

KEPT: Final = Duration(fixed_ms=0, years=2)
"""How long a day is kept."""

_STORED: Final = tuple(field.name for field in attr.fields(Stored))
_COLUMNS: Final = (
    "day",
    "ts",
    "users",
    "locked_users",
    *_STORED,
    "used_bytes",
    "included_bytes",
    "gigabyte",
)
_LISTED: Final = ", ".join(_COLUMNS)
_MARKS: Final = ", ".join("?" * len(_COLUMNS))
_CHANGES: Final = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])

# By the primary key. A count of a clock that has fallen back into a past day does not stand for that day's end.
_WRITE: Final = (
    f"INSERT INTO synapse_bum_storage_snapshots ({_LISTED}) VALUES ({_MARKS})"  # noqa: S608 - names of our own
    f" ON CONFLICT (day) DO UPDATE SET {_CHANGES} WHERE excluded.ts >= synapse_bum_storage_snapshots.ts"
)
# A range of the primary key.
_READ: Final = f"SELECT {_LISTED} FROM synapse_bum_storage_snapshots WHERE day >= ? AND day < ? ORDER BY day"  # noqa: S608 - the same
# The first entry of the primary key.
_FIRST: Final = f"SELECT {_LISTED} FROM synapse_bum_storage_snapshots ORDER BY day LIMIT 1"  # noqa: S608 - the same
# Reads the whole table, a row for each day of two years: a clock that was ahead has left days that are yet to come.
_LAST: Final = f"SELECT {_LISTED} FROM synapse_bum_storage_snapshots WHERE ts <= ? ORDER BY ts DESC LIMIT 1"  # noqa: S608 - the same
# Both read the whole table: a row for each day of two years.
_LIST: Final = (
    f"SELECT {_LISTED} FROM synapse_bum_storage_snapshots WHERE ts >= ? AND ts < ?"  # noqa: S608 - the same
    " ORDER BY ts, day LIMIT ? OFFSET ?"
)
_COUNT: Final = "SELECT COUNT(*) FROM synapse_bum_storage_snapshots WHERE ts >= ? AND ts < ?"
# A range of the primary key.
_DROP: Final = "DELETE FROM synapse_bum_storage_snapshots WHERE day < ?"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Snapshot:
    """One count, as it stands for its day.

    Attributes:
        day: in the time zone of that time.
        ts: when it was counted; ms since the epoch.
        users: registered users.
        locked_users: those among them who are locked.
        stored: what was stored, whether it counted or not.
        used_bytes: what counted of it.
        included_bytes: what the users brought with them.
        gigabyte: bytes of one unit that is billed.
    """

    day: date
    ts: int
    users: int
    locked_users: int
    stored: Stored
    used_bytes: int
    included_bytes: int
    gigabyte: int

    @property
    def overrun_bytes(self) -> int:
        """What was used beyond what was included; 0 when it was not."""
        return max(0, self.used_bytes - self.included_bytes)

    @property
    def extension_gb(self) -> int:
        """Started gigabytes beyond the pool of that day."""
        return started(self.overrun_bytes, self.gigabyte)

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return {
            "ts": self.ts,
            "users": self.users,
            "included_bytes": self.included_bytes,
            "used_bytes": self.used_bytes,
            "local_bytes": self.stored.local_bytes,
            "remote_bytes": self.stored.remote_bytes,
            "thumbnail_bytes": self.stored.thumbnail_bytes,
        }


def write(txn: Cursor, snapshot: Snapshot) -> None:
    """Writes the count of a day in the place of an earlier one of the same day; later ones stay, and so do other days.

    Args:
        txn: in a transaction.
        snapshot: of now.
    """
    before = (snapshot.day.isoformat(), snapshot.ts, snapshot.users, snapshot.locked_users)
    after = (snapshot.used_bytes, snapshot.included_bytes, snapshot.gigabyte)
    txn.execute(_WRITE, (*before, *attr.astuple(snapshot.stored), *after))


def read(txn: Cursor, from_day: date, before_day: date) -> list[Snapshot]:
    """Reads the counts of some days, the earliest first.

    Args:
        txn: in a transaction.
        from_day: the first.
        before_day: the one after the last.
    """
    txn.execute(_READ, (from_day.isoformat(), before_day.isoformat()))
    return [_snapshot(row) for row in txn.fetchall()]


def first(txn: Cursor) -> Snapshot | None:
    """Reads the count of the earliest day that is kept; None before the first count."""
    txn.execute(_FIRST)
    row = txn.fetchone()
    return None if row is None else _snapshot(row)


def last(txn: Cursor, until_ts: int) -> Snapshot | None:
    """Reads the latest count; None before the first.

    Args:
        txn: in a transaction.
        until_ts: counted then or before; ms since the epoch.
    """
    txn.execute(_LAST, (until_ts,))
    row = txn.fetchone()
    return None if row is None else _snapshot(row)


def list_history(txn: Cursor, from_ts: int, to_ts: int, offset: int, limit: int) -> tuple[list[Snapshot], int]:
    """Reads a page of the counts of a span of time, the earliest first.

    Args:
        txn: in a transaction.
        from_ts: counted then or later; ms since the epoch.
        to_ts: counted before.
        offset: how many to leave out.
        limit: at most so many.

    Returns:
        The page, and how many there are in all.
    """
    txn.execute(_COUNT, (from_ts, to_ts))
    counted = txn.fetchone()
    txn.execute(_LIST, (from_ts, to_ts, limit, offset))
    return [_snapshot(row) for row in txn.fetchall()], int(counted[0]) if counted else 0


def drop_older(txn: Cursor, before_day: date) -> None:
    """Drops the days before one."""
    txn.execute(_DROP, (before_day.isoformat(),))


def _snapshot(row: Sequence[Any]) -> Snapshot:
    day, ts, users, locked_users, *stored, used_bytes, included_bytes, gigabyte = row
    return Snapshot(
        date.fromisoformat(day), ts, users, locked_users, Stored(*stored), used_bytes, included_bytes, gigabyte
    )
