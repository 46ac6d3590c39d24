"""The journal of purged messages: one row for each transaction that deleted some, written in that transaction.

So there is no deletion without its row and no row without its deletion. What follows in other transactions is owed by
the row until it is done: counting it in a run (`counted`), having its state groups deleted (`state_groups`), and a line
in the deletion log (`logged`).
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.database import Component, Cursor, Migration
from synapse_bum.deletion.log_lines import Line
from synapse_bum.homeserver.sql_lists import in_chunks, marks
from synapse_bum.retention.classes import ACTOR, RetentionClass

KIND: Final = RetentionClass.MESSAGES.value

_CREATE: Final = "CREATE TABLE synapse_bum_retention_purges"
_COLUMNS: Final = (
    " room_id TEXT NOT NULL, events BIGINT NOT NULL, size_bytes BIGINT NOT NULL, policy TEXT NOT NULL,"
    " planned_ts BIGINT NOT NULL, done_ts BIGINT NOT NULL, run_id TEXT NOT NULL, counted INTEGER NOT NULL,"
    " state_groups TEXT, logged INTEGER NOT NULL DEFAULT 0)"
)
_INDEXES: Final = (
    "CREATE INDEX synapse_bum_retention_purges_planned ON synapse_bum_retention_purges (planned_ts, id, events)",
    # What is owed: a row or none.
    (
        "CREATE INDEX synapse_bum_retention_purges_open ON synapse_bum_retention_purges (id)"
        " WHERE state_groups IS NOT NULL"
    ),
    "CREATE INDEX synapse_bum_retention_purges_owed ON synapse_bum_retention_purges (id) WHERE logged = 0",
)

PURGES: Final = Component(
    "retention_purges",
    (
        Migration(
            1,
            sqlite=(
                f"{_CREATE} (id INTEGER PRIMARY KEY AUTOINCREMENT,{_COLUMNS}",
                *_INDEXES,
            ),
            postgres=(
                f"{_CREATE} (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,{_COLUMNS}",
                *_INDEXES,
            ),
        ),
    ),
)

_INSERT: Final = (
    "INSERT INTO synapse_bum_retention_purges"
    " (room_id, events, size_bytes, policy, planned_ts, done_ts, run_id, counted, state_groups, logged)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FIELDS: Final = "id, room_id, events, size_bytes, policy, planned_ts, done_ts, run_id"
# Along the index on (planned_ts, id, events), backwards. A purge of emptied messages has no events that count.
_LIST: Final = (
    f"SELECT {_FIELDS} FROM synapse_bum_retention_purges WHERE events > 0"  # noqa: S608
    " ORDER BY planned_ts DESC, id DESC LIMIT ? OFFSET ?"
)
_COUNT: Final = "SELECT count(*) FROM synapse_bum_retention_purges WHERE events > 0"
# The partial indexes of what is owed.
_UNCOUNTED: Final = (
    f"SELECT {_FIELDS} FROM synapse_bum_retention_purges"  # noqa: S608
    " WHERE state_groups IS NOT NULL AND counted = 0 ORDER BY id LIMIT ?"
)
_UNRELEASED: Final = (
    "SELECT id, state_groups FROM synapse_bum_retention_purges WHERE state_groups IS NOT NULL AND counted = 1"
    " ORDER BY id LIMIT ?"
)
_PENDING: Final = f"SELECT {_FIELDS} FROM synapse_bum_retention_purges WHERE logged = 0 ORDER BY id LIMIT ?"  # noqa: S608
# By primary key.
_COUNTED: Final = "UPDATE synapse_bum_retention_purges SET counted = 1 WHERE id = ?"
_RELEASED: Final = "UPDATE synapse_bum_retention_purges SET state_groups = NULL WHERE id = ?"
_AT_ONCE: Final = 100
"""Rows that owe something and are read together."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Purge:
    """Messages of one room that were deleted together.

    Attributes:
        row_id: of the row.
        room_id: where they were.
        events: how many.
        size_bytes: of their JSON.
        policy: which rule deleted them.
        planned_ts: when the transaction began, in ms since the epoch.
        done_ts: when they were deleted; rolled back is never written down.
        run_id: of the run.
    """

    row_id: int
    room_id: str
    events: int
    size_bytes: int
    policy: str
    planned_ts: int
    done_ts: int
    run_id: str

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return {
            "kind": KIND,
            "target": self.room_id,
            "items": self.events,
            "size_bytes": self.size_bytes,
            "policy": self.policy,
            "planned_ts": self.planned_ts,
            "done_ts": self.done_ts,
        }


def write_purge(
    txn: Cursor,
    room_id: str,
    *,
    events: int,
    size_bytes: int,
    planned_ts: int,
    done_ts: int,
    run_id: str,
    state_groups: Sequence[int] | None,
) -> None:
    """Write a row, in the transaction that deletes.

    Args:
        txn: that transaction.
        room_id: of the room.
        events: how many messages; a row without any is neither listed nor logged.
        size_bytes: of their JSON.
        planned_ts: when the transaction began, in ms since the epoch.
        done_ts: now.
        run_id: of the run.
        state_groups: that may not be needed any more; None when this transaction also counts it.
    """
    counted, groups = (1, None) if state_groups is None else (0, json.dumps(list(state_groups)))
    policy = RetentionClass.MESSAGES.policy
    logged = 0 if events else 1
    txn.execute(_INSERT, (room_id, events, size_bytes, policy, planned_ts, done_ts, run_id, counted, groups, logged))


def count_open(txn: Cursor) -> list[Purge]:
    """Note the oldest purges that no run has counted as counted, and return them: the caller counts them."""
    txn.execute(_UNCOUNTED, (_AT_ONCE,))
    found = [Purge(*row) for row in txn.fetchall()]
    for purge in found:
        txn.execute(_COUNTED, (purge.row_id,))
    return found


def unreleased(txn: Cursor) -> dict[int, frozenset[int]]:
    """The state groups that counted purges may have left without use, for each row; the oldest rows."""
    txn.execute(_UNRELEASED, (_AT_ONCE,))
    return {row_id: frozenset(json.loads(state_groups)) for row_id, state_groups in txn.fetchall()}


def note_released(txn: LoggingTransaction, row_ids: Iterable[int]) -> None:
    """Note that the state groups of purges are released."""
    txn.execute_batch(_RELEASED, [(row_id,) for row_id in row_ids])


def list_purges(txn: Cursor, offset: int, limit: int) -> list[Purge]:
    """A page of purges, newest first."""
    txn.execute(_LIST, (limit, offset))
    return [Purge(*row) for row in txn.fetchall()]


def count_purges(txn: Cursor) -> int:
    """How many purges there are; reads an index as a whole, one entry for each thousand messages or each small room."""
    txn.execute(_COUNT)
    row = txn.fetchone()
    return row[0] if row else 0


def forget_purges(txn: LoggingTransaction, before_ts: int) -> None:
    """Drop rows that were done before a time, but none that still owes something; along the index on planned_ts."""
    txn.execute(
        "DELETE FROM synapse_bum_retention_purges WHERE planned_ts < ? AND counted = 1 AND state_groups IS NULL",
        (before_ts,),
    )


class PurgeOutbox:
    """What purges owe to the deletion log: one line each."""

    def __init__(self, own_name: str) -> None:
        """Prepare.

        Args:
            own_name: our server's name; it stands in each line.
        """
        self._own_name = own_name

    def pending(self, txn: LoggingTransaction, limit: int) -> list[Line]:
        """See `deletion.file_outbox.Outbox`."""
        txn.execute(_PENDING, (limit,))
        return [self._line(Purge(*row)) for row in txn.fetchall()]

    def mark(self, txn: LoggingTransaction, lines: Sequence[Line]) -> None:
        """See `deletion.file_outbox.Outbox`; rows by primary key."""
        for chunk in in_chunks(sorted({line.row_id for line in lines}), 1):
            txn.execute(
                f"UPDATE synapse_bum_retention_purges SET logged = 1 WHERE id IN ({marks(len(chunk))})",  # noqa: S608
                chunk,
            )

    def _line(self, purge: Purge) -> Line:
        fields = {
            # The number alone would not do: a database that was restored gives it out again.
            "id": f"messages-{purge.planned_ts}-{purge.row_id}",
            "server": self._own_name,
            **purge.as_json(),
            "actor": ACTOR,
            "state": "dropped",
        }
        return Line(purge.row_id, done=True, fields=fields)
