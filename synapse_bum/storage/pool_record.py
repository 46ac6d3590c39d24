"""How many users there were at the last count: one row, which answers without counting."""

from typing import Final

from synapse_bum.database import Component, Cursor, Migration

POOL: Final = Component(
    "storage_pool",
    (
        Migration.both(
            1,
            "CREATE TABLE synapse_bum_storage_pool ("
            " only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), users INTEGER NOT NULL)",
        ),
    ),
)

_WRITE: Final = (
    "INSERT INTO synapse_bum_storage_pool (only_row, users) VALUES (1, ?)"
    " ON CONFLICT (only_row) DO UPDATE SET users = excluded.users"
)


def write_users(txn: Cursor, users: int) -> None:
    """Keeps the number of registered users."""
    txn.execute(_WRITE, (users,))


def read_users(txn: Cursor) -> int | None:
    """Reads it; None before the first count."""
    txn.execute("SELECT users FROM synapse_bum_storage_pool")
    row = txn.fetchone()
    return None if row is None else int(row[0])
