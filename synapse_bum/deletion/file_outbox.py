"""What the journal of deletions owes to the deletion log: a line when a file is hidden, one when nothing is left."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from synapse.module_api import LoggingTransaction

from synapse_bum.deletion.journal import DeletionState
from synapse_bum.deletion.log_lines import Line
from synapse_bum.deletion.tables import OWED_TO_LOG

# A range of the partial index of owed rows.
_PENDING: Final = (
    "SELECT id, kind, server_name, media_id, size_bytes, policy, reason, actor, leaves, planned_ts, done_ts,"  # noqa: S608
    f" logged, state FROM synapse_bum_deletions WHERE {OWED_TO_LOG} ORDER BY id LIMIT ?"
)
_CHUNK: Final = 500
"""Rows in one statement: SQLite takes at most 999 parameters before 3.32."""


class Outbox(Protocol):
    """Records of deletions that have to be written to the deletion log, wherever they stand."""

    def pending(self, txn: LoggingTransaction, limit: int) -> list[Line]:
        """The lines that are not written yet, oldest rows first.

        Args:
            txn: in a transaction.
            limit: rows to look at, at most; a row may owe several lines.
        """

    def mark(self, txn: LoggingTransaction, lines: Sequence[Line]) -> None:
        """Notes that lines are written and on disk; what a row owes since then stays owed."""


class FileOutbox:
    """The outbox of the journal of files."""

    def __init__(self, own_name: str) -> None:
        """Prepare.

        Args:
            own_name: our server's name; it stands in each line.
        """
        self._own_name = own_name

    def pending(self, txn: LoggingTransaction, limit: int) -> list[Line]:
        """See `Outbox`."""
        txn.execute(_PENDING, (limit,))
        lines = []
        for *row, logged, state in txn.fetchall():
            if not logged:
                lines.append(self._line(row, DeletionState.HIDDEN))
            if state == DeletionState.DROPPED.value:
                lines.append(self._line(row, DeletionState.DROPPED))
        return lines

    def mark(self, txn: LoggingTransaction, lines: Sequence[Line]) -> None:
        """See `Outbox`; rows by primary key."""
        done = {line.row_id for line in lines if line.done}
        decided = {line.row_id for line in lines} - done
        for logged, ids in ((1, sorted(decided)), (2, sorted(done))):
            for start in range(0, len(ids), _CHUNK):
                chunk = ids[start : start + _CHUNK]
                places = ", ".join("?" * len(chunk))
                txn.execute(
                    f"UPDATE synapse_bum_deletions SET logged = {logged} WHERE id IN ({places})",  # noqa: S608
                    chunk,
                )

    def _line(self, row: Sequence[Any], state: DeletionState) -> Line:
        row_id, kind, server_name, media_id, size_bytes, policy, reason, actor, after, planned_ts, done_ts = row
        done = state is DeletionState.DROPPED
        fields = {
            # The number alone would not do: a database that was restored gives it out again.
            "id": f"file-{planned_ts}-{row_id}",
            "server": self._own_name,
            "kind": kind,
            "target": f"mxc://{server_name}/{media_id}",
            "size_bytes": size_bytes,
            "policy": policy,
            "reason": reason,
            "actor": actor,
            "planned_ts": planned_ts,
            "done_ts": done_ts if done else None,
            "state": state.value,
            "after": after,
        }
        return Line(row_id, done, fields)
