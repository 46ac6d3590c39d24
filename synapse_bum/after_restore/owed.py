"""What has been noticed and still has to be written to the log.

A row is there before its line is: a line in the file whose row waits here is known, so a process that was killed
between the two never takes its own lines for those of a later database.
"""

import json
import secrets
from collections.abc import Iterable, Sequence
from typing import Final

import attr

from synapse_bum.after_restore.lines import Line
from synapse_bum.database import Cursor

# By the primary key, from its start; as many rows as the last seconds brought, or as an unwritable file holds up.
_FIRST: Final = "SELECT id, line_id, source, key, state, ts FROM synapse_bum_recovery_owed ORDER BY id LIMIT ?"
_IDS: Final = "SELECT line_id FROM synapse_bum_recovery_owed"
_ADD: Final = "INSERT INTO synapse_bum_recovery_owed (line_id, source, key, state, ts) VALUES (?, ?, ?, ?, ?)"
_DONE: Final = "DELETE FROM synapse_bum_recovery_owed WHERE id = ?"
# Reads the table, which is short.
_DONE_BY_LINE: Final = "DELETE FROM synapse_bum_recovery_owed WHERE line_id = ?"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Owed:
    """One row.

    Attributes:
        row_id: of the row.
        line_id: of the line that it becomes.
        source: which wrote it.
        key: of the thing.
        state: JSON.
        ts: ms since the epoch.
    """

    row_id: int
    line_id: str
    source: str
    key: str
    state: str
    ts: int

    def line(self, seq: int, server: str) -> Line:
        """The line that it becomes."""
        return Line(seq, self.line_id, self.ts, server, self.source, self.key, json.loads(self.state))


def owe(txn: Cursor, source: str, changes: Iterable[tuple[str, str]], now_ms: int) -> int:
    """Notes what has to be written, as key and state; returns how much that is."""
    count = 0
    for key, state in changes:
        txn.execute(_ADD, (secrets.token_hex(8), source, key, state, now_ms))
        count += 1
    return count


def first_owed(txn: Cursor, limit: int) -> list[Owed]:
    """Reads what has to be written next, in its order."""
    txn.execute(_FIRST, (limit,))
    return [Owed(*row) for row in txn.fetchall()]


def owed_ids(txn: Cursor) -> frozenset[str]:
    """Reads the ids of all lines that may stand in the file without being marked."""
    txn.execute(_IDS)
    return frozenset(line_id for (line_id,) in txn.fetchall())


def mark_written(txn: Cursor, rows: Sequence[Owed]) -> None:
    """Takes out what stands in the file."""
    for row in rows:
        txn.execute(_DONE, (row.row_id,))


def mark_found(txn: Cursor, line_ids: Iterable[str]) -> None:
    """Takes out what was found in the file."""
    for line_id in line_ids:
        txn.execute(_DONE_BY_LINE, (line_id,))
