"""The table of files without rows."""

from typing import Final

from synapse_bum.database import Component, Cursor, Migration

STRAY_FILES: Final = Component(
    "retention_stray_files",
    (
        Migration.both(
            1,
            # When to look through the media store next.
            "CREATE TABLE synapse_bum_retention_stray_files ("
            " only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), next_ts BIGINT NOT NULL)",
            "INSERT INTO synapse_bum_retention_stray_files VALUES (1, 0)",
        ),
    ),
)


def next_ts(txn: Cursor) -> int:
    """When to look through the media store next; ms since the epoch."""
    txn.execute("SELECT next_ts FROM synapse_bum_retention_stray_files")
    row = txn.fetchone()
    if row is None:
        raise LookupError("the row of the look through the media store is missing")
    return int(row[0])


def set_next_ts(txn: Cursor, new: int) -> None:
    """Writes down when to look through the media store next."""
    txn.execute("UPDATE synapse_bum_retention_stray_files SET next_ts = ?", (new,))
