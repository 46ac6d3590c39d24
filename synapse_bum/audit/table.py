"""The audit table: appending, reading, dropping what is too old.

Appends wait for each other at the head's row, from `append` to the commit, so the chain never forks; a primary key
without gaps makes a fork impossible even so. An append belongs at the end of a transaction, to be held up shortly.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import attr

from synapse_bum.audit.chain import Entry, Head, Row, first_broken, link
from synapse_bum.database import Component, Cursor, Migration
from synapse_bum.quantities import shown

logger = logging.getLogger("synapse_bum.audit")

AUDIT: Final = Component(
    "audit",
    (
        Migration.both(
            1,
            "CREATE TABLE synapse_bum_audit ("
            " id BIGINT NOT NULL PRIMARY KEY, ts BIGINT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,"
            " target TEXT NOT NULL, old TEXT, new TEXT, reason TEXT, prev_hash TEXT NOT NULL, hash TEXT NOT NULL)",
            "CREATE INDEX synapse_bum_audit_action ON synapse_bum_audit (action, id)",
            "CREATE INDEX synapse_bum_audit_ts ON synapse_bum_audit (ts)",
            "CREATE TABLE synapse_bum_audit_head ("
            " only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), id BIGINT NOT NULL, hash TEXT NOT NULL,"
            " dropped_id BIGINT NOT NULL, dropped_hash TEXT NOT NULL)",
            "INSERT INTO synapse_bum_audit_head VALUES (1, 0, '', 0, '')",  # START_HASH
        ),
    ),
)

_COLUMNS: Final = "id, ts, actor, action, target, old, new, reason, prev_hash, hash"

# One row. The UPDATE takes its lock, which SELECT could not on SQLite; the SELECT after it sees the newest state.
_TAKE_NEXT_ID: Final = "UPDATE synapse_bum_audit_head SET id = id + 1"
_LOCK_HEAD: Final = "UPDATE synapse_bum_audit_head SET id = id"
_SELECT_HEAD: Final = "SELECT id, hash, dropped_id, dropped_hash FROM synapse_bum_audit_head"
_SET_HASH: Final = "UPDATE synapse_bum_audit_head SET hash = ?"
_SET_DROPPED: Final = "UPDATE synapse_bum_audit_head SET dropped_id = ?, dropped_hash = ?"
# By primary key: one row.
_INSERT: Final = f"INSERT INTO synapse_bum_audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
# Along the primary key: as many rows as the limit says.
_SELECT_OLDEST: Final = "SELECT id, ts, hash FROM synapse_bum_audit ORDER BY id LIMIT ?"
_DELETE_OLDEST: Final = "DELETE FROM synapse_bum_audit WHERE id <= ?"
_SELECT_FOLLOWING: Final = f"SELECT {_COLUMNS} FROM synapse_bum_audit WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608
# Along the primary key backwards, or along (action, id) with an action. The count reads the index on ts or on action:
# a second at ten million rows without a filter.
_SELECT_NEWEST: Final = f"SELECT {_COLUMNS} FROM synapse_bum_audit"  # noqa: S608
_COUNT: Final = "SELECT count(*) FROM synapse_bum_audit"

# Along the primary key: every row.
_SELECT_ALL: Final = f"SELECT {_COLUMNS} FROM synapse_bum_audit ORDER BY id"  # noqa: S608

AUDIT_TABLE: Final = "synapse_bum_audit"

_HEAD_IS_MISSING: Final = "the head of the audit chain is missing"
_VERIFY_BATCH: Final = 1_000


class Transaction(Cursor, Protocol):
    """A cursor that can also do something after the commit: Synapse's `LoggingTransaction`."""

    def call_after(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Has something called on the main thread after the commit."""


class Reader(Protocol):
    """One moment of the database, such as a command reads: `homeserver.database_snapshot.Snapshot`."""

    def rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Reads the rows of one SELECT, a few at a time."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Selection:
    """Which rows are asked for.

    Attributes:
        offset: rows to leave out, from the newest.
        limit: at most so many rows.
        since_ts: only rows from this time on, in ms since the epoch.
        action: only rows with this action.
    """

    offset: int
    limit: int
    since_ts: int | None = None
    action: str | None = None


def append(txn: Transaction, entry: Entry) -> Row:
    """Writes down what was done, in the transaction that does it, and logs one line after its commit.

    Args:
        txn: of `Database.run`. In a transaction of `ModuleApi.run_db_interaction` it is correct too, but gives up after
            a few others that append at the same time.
        entry: what was done.

    Returns:
        the row.
    """
    txn.execute(_TAKE_NEXT_ID)
    head = _head(txn)
    row = link(entry, head.id, head.hash)
    txn.execute(_INSERT, attr.astuple(row))
    txn.execute(_SET_HASH, (row.hash,))
    txn.call_after(log_row, row)
    return row


def log_row(row: Row) -> None:
    """Logs a row: one INFO line, with the fields as `extra`."""
    change = f"{shown(row.old or 'nothing')} -> {shown(row.new or 'nothing')}"
    fields = {name: value for name, value in attr.asdict(row).items() if name not in {"id", "ts", "prev_hash"}}
    logger.info(
        "%s by %s on %s: %s, reason %s",
        shown(row.action),
        shown(row.actor),
        shown(row.target),
        change,
        shown(row.reason or "none"),
        extra={"audit_id": row.id, "audit_ts": row.ts, **fields},
    )


def read_page(txn: Cursor, selection: Selection) -> tuple[list[Row], int]:
    """Reads rows, newest first.

    Returns:
        the rows, and how many there are with these filters in all.
    """
    conditions: list[str] = []
    values: list[str | int] = []
    if selection.since_ts is not None:
        conditions.append("ts >= ?")
        values.append(selection.since_ts)
    if selection.action is not None:
        conditions.append("action = ?")
        values.append(selection.action)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    txn.execute(_COUNT + where, values)
    counted = txn.fetchone()
    page = [*values, selection.limit, selection.offset]
    txn.execute(f"{_SELECT_NEWEST}{where} ORDER BY id DESC LIMIT ? OFFSET ?", page)
    return [Row(*row) for row in txn.fetchall()], counted[0] if counted else 0


def drop_older(txn: Transaction, before_ts: int, batch: int) -> int:
    """Drops the oldest rows; what is left can still be verified.

    A row is only dropped together with all before it, so one with a late clock holds back those after it.

    Args:
        txn: of `Database.run`.
        before_ts: rows from before this time are dropped, in ms since the epoch.
        batch: at most so many rows.

    Returns:
        how many rows were dropped; `batch` when there may be more.
    """
    txn.execute(_LOCK_HEAD)
    txn.execute(_SELECT_OLDEST, (batch,))
    dropped: list[tuple[int, str]] = []
    for row_id, ts, row_hash in txn.fetchall():
        if ts >= before_ts:
            break
        dropped.append((row_id, row_hash))
    if dropped:
        last_id, last_hash = dropped[-1]
        txn.execute(_SET_DROPPED, (last_id, last_hash))
        txn.execute(_DELETE_OLDEST, (last_id,))
    return len(dropped)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Verified:
    """What a look at some rows has shown.

    Attributes:
        broken_id: of the first row that was changed, added or is missing; None when these are whole.
        end: id and hash of the last of them, where the next look begins; None when there is nothing left to look at.
    """

    broken_id: int | None
    end: tuple[int, str] | None


def verify(txn: Cursor) -> int | None:
    """Verifies the whole chain; reads every row once.

    Args:
        txn: of `Database.run`, with nothing but this in it.

    Returns:
        the id of the first row that was changed, added or is missing; None when the chain is whole.
    """
    found = verify_batch(txn, None)
    while found.end is not None:
        found = verify_batch(txn, found.end)
    return found.broken_id


def verify_batch(txn: Cursor, after: tuple[int, str] | None) -> Verified:
    """Verifies a thousand rows, and the head with the last of them. Appends wait for the end of the transaction.

    Args:
        txn: of `Database.run`, with nothing but this in it.
        after: where the look before has ended; None to begin with the oldest row.

    Returns:
        what it has shown; a broken chain ends the look.
    """
    txn.execute(_LOCK_HEAD)
    head = _head(txn)
    if after is None or after[0] < head.dropped_id:
        after = head.dropped_id, head.dropped_hash
    txn.execute(_SELECT_FOLLOWING, (after[0], _VERIFY_BATCH))
    rows = [Row(*row) for row in txn.fetchall()]
    if len(rows) < _VERIFY_BATCH:
        return Verified(first_broken(Head(head.id, head.hash, *after), rows), None)
    end = rows[-1].id, rows[-1].hash
    broken_id = first_broken(Head(*end, *after), rows)
    return Verified(broken_id, end if broken_id is None else None)


def read_chain(reader: Reader) -> tuple[Head, Iterator[Row]]:
    """Reads both ends of the chain, and its rows as they are asked for: what `first_broken` takes.

    Args:
        reader: of one moment, so that head and rows belong together. The table is there.

    Raises:
        LookupError: the head is missing, which says where the chain should end.
    """
    heads = [Head(*row) for row in reader.rows(_SELECT_HEAD)]
    if not heads:
        raise LookupError(_HEAD_IS_MISSING)
    return heads[0], (Row(*row) for row in reader.rows(_SELECT_ALL))


def _head(txn: Cursor) -> Head:
    txn.execute(_SELECT_HEAD)
    row = txn.fetchone()
    if row is None:
        raise LookupError(_HEAD_IS_MISSING)
    return Head(*row)
