"""Locks that many transactions may share and one may have alone, until their commits.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2, with SQLite and PostgreSQL. PostgreSQL has them as advisory locks. SQLite
needs none: all transactions of ours exclude each other (`database_pool.run_transaction`: `BEGIN IMMEDIATE`).

What another transaction has committed is seen by the statements after the lock, as `database_pool` runs READ COMMITTED.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from synapse.storage.engines import PostgresEngine


class _Transaction(Protocol):
    """A Synapse transaction, or a plain sqlite3 cursor."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> object:
        """Runs one statement."""


def share(txn: _Transaction, key: int) -> None:
    """Wait until nobody has a lock alone, and share it with others who do the same.

    Args:
        txn: in a transaction; the lock lasts until its end.
        key: of the lock, 64 bits with a sign.
    """
    if _is_on_postgres(txn):
        txn.execute("SELECT pg_advisory_xact_lock_shared(?)", (key,))


def take_alone(txn: _Transaction, key: int) -> None:
    """Wait until nobody has a lock, and have it alone; the arguments are those of `share`."""
    if _is_on_postgres(txn):
        txn.execute("SELECT pg_advisory_xact_lock(?)", (key,))


def _is_on_postgres(txn: _Transaction) -> bool:
    return isinstance(getattr(txn, "database_engine", None), PostgresEngine)
