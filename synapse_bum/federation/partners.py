"""Partners in our table: reading all, writing and removing one. Everything here runs inside a caller's transaction.

Whoever changes something takes the one row of `..._generation` first. So changes come one after the other, and a
process that has read generation 7 has seen everything up to the seventh. A database may lose changes, as a standby that
takes over too early does, and count the same numbers once more: so each change has a random token too.
"""

import secrets
from typing import Any, Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.federation.partner import Partner, Source

_COLUMNS: Final = (
    "server_name, source, organisation, valid_from_ts, valid_until_ts, reason, ticket, requested_by, created_by,"
    " created_ts, leaving_until_ts"
)

# One row.
_GENERATION: Final = "SELECT generation, token, changed_ts FROM synapse_bum_federation_generation"
_LOCK: Final = "UPDATE synapse_bum_federation_generation SET generation = generation"
_NEXT_GENERATION: Final = (
    "UPDATE synapse_bum_federation_generation SET generation = generation + 1, token = ?, changed_ts = ?"
)
# The whole table, once for each change in each process: 0.1 s for 100,000 rows.
_ALL: Final = f"SELECT {_COLUMNS} FROM synapse_bum_federation_partners"  # noqa: S608
# By primary key: one row.
_ONE: Final = f"{_ALL} WHERE server_name = ? AND source = ?"
_PUT: Final = (
    f"INSERT INTO synapse_bum_federation_partners ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
    " ON CONFLICT (server_name, source) DO UPDATE SET organisation = excluded.organisation,"
    " valid_from_ts = excluded.valid_from_ts, valid_until_ts = excluded.valid_until_ts, reason = excluded.reason,"
    " ticket = excluded.ticket, requested_by = excluded.requested_by, created_by = excluded.created_by,"
    " created_ts = excluded.created_ts, leaving_until_ts = excluded.leaving_until_ts"
)
_DELETE: Final = "DELETE FROM synapse_bum_federation_partners WHERE server_name = ? AND source = ?"
_LEAVE: Final = (
    "UPDATE synapse_bum_federation_partners SET leaving_until_ts = ?, leaving_reason = ?, leaving_by = ?"
    " WHERE server_name = ? AND source = ?"
)
# By the partial index on `leaving_until_ts`: as many rows as partners are being removed.
_LEAVING: Final = (
    "SELECT server_name, leaving_until_ts, leaving_reason, leaving_by FROM synapse_bum_federation_partners"
    " WHERE leaving_until_ts IS NOT NULL ORDER BY leaving_until_ts, server_name"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Generation:
    """Which changes of the partners the database knows.

    Attributes:
        number: how many there were.
        token: of the last one; no other change has it.
        changed_ts: when that was, ms since the epoch; None before the first one.
    """

    number: int
    token: str
    changed_ts: int | None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Leaving:
    """A partner that is being removed.

    Attributes:
        server_name: of the partner, maybe a wildcard.
        until_ts: until when kicks may leave, ms since the epoch.
        reason: why it is removed, None without one.
        actor: user id of who removes it.
    """

    server_name: str
    until_ts: int
    reason: str | None
    actor: str


def generation(txn: Cursor) -> Generation:
    """Reads up to which change the database knows the partners."""
    txn.execute(_GENERATION)
    row = txn.fetchone()
    if row is None:
        raise LookupError("the generation of the partners is missing")
    return Generation(*row)


def wait_for_others(txn: Cursor) -> None:
    """Waits for the change before, and keeps others waiting; for who has yet to see whether he changes anything."""
    txn.execute(_LOCK)


def begin_change(txn: Cursor, now_ms: int) -> None:
    """Announces a change to all processes and waits for the one before; before anything else is written or read.

    Only `wait_for_others` may come first.
    """
    txn.execute(_NEXT_GENERATION, (secrets.token_hex(8), now_ms))


def read_all(txn: Cursor) -> list[Partner]:
    """Reads all partners of the table."""
    txn.execute(_ALL)
    return [_partner(row) for row in txn.fetchall()]


def read_one(txn: Cursor, name: str, source: Source) -> Partner | None:
    """Reads one partner of the table."""
    txn.execute(_ONE, (name, source.value))
    row = txn.fetchone()
    return None if row is None else _partner(row)


def put(txn: Cursor, partner: Partner) -> None:
    """Writes a partner in the place of the one with the same name and source."""
    name, organisation, source, *rest = attr.astuple(partner)
    txn.execute(_PUT, (name, source.value, organisation, *rest))


def delete(txn: Cursor, name: str, source: Source) -> None:
    """Takes a partner out of the table."""
    txn.execute(_DELETE, (name, source.value))


def begin_leaving(txn: Cursor, leaving: Leaving) -> None:
    """Lets nothing of a managed partner in any more."""
    values = (leaving.until_ts, leaving.reason, leaving.actor, leaving.server_name, Source.MANAGED.value)
    txn.execute(_LEAVE, values)


def read_leaving(txn: Cursor) -> list[Leaving]:
    """Reads the partners that are being removed."""
    txn.execute(_LEAVING)
    return [Leaving(*row) for row in txn.fetchall()]


def _partner(row: tuple[Any, ...]) -> Partner:
    name, source, organisation, *rest = row
    return Partner(name, organisation, Source(source), *rest)
