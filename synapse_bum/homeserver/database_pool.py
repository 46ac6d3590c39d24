"""Synapse's database pool: which engine it has, and a transaction of ours in it.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2, with SQLite and PostgreSQL.
"""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.storage.engines import PostgresEngine
from synapse.storage.engines._base import IsolationLevel

P = ParamSpec("P")
R = TypeVar("R")


def is_postgres(api: ModuleApi) -> bool:
    """Whether the main database is PostgreSQL; otherwise it is SQLite."""
    return isinstance(api._store.db_pool.engine, PostgresEngine)


def on_postgres(txn: LoggingTransaction) -> bool:
    """Whether a transaction is one on PostgreSQL; otherwise it is on SQLite."""
    return isinstance(txn.database_engine, PostgresEngine)


async def run_transaction(
    api: ModuleApi,
    desc: str,
    func: Callable[Concatenate[LoggingTransaction, P], R],
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Runs a function in one transaction on a database thread.

    It differs from `ModuleApi.run_db_interaction` in two ways:

    * Reading and then writing is safe without retries. PostgreSQL runs it READ COMMITTED instead of Synapse's
      REPEATABLE READ: there a snapshot taken before a lock was granted stays stale after it, so that every queue
      behind a lock ends in serialization errors. SQLite takes its write lock first, not at the first write.
    * Callbacks added by `txn.call_after` in an attempt that was rolled back and repeated are dropped
      (`DatabasePool.new_transaction` keeps those of all attempts), and those added by `txn.call_on_exception` called.

    The function may still be called again after a deadlock or a lost connection, so it must have no effect outside
    the transaction.

    Args:
        api: of the homeserver.
        desc: a short name without variable parts, for Synapse's metrics and logs.
        func: gets the transaction, then the other arguments.
        *args: for the function.
        **kwargs: for the function.

    Returns:
        what the function returned, after the commit.

    Raises:
        Exception: whatever the function raised, after the rollback; the database's own errors.
    """
    return await _run(api, desc, IsolationLevel.READ_COMMITTED, lambda txn: func(txn, *args, **kwargs))


async def run_on_snapshot(
    api: ModuleApi,
    desc: str,
    func: Callable[Concatenate[LoggingTransaction, P], R],
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Runs a function in one transaction whose statements all see the database of one moment.

    PostgreSQL runs it REPEATABLE READ: other people's commits stay invisible, and writing a row that one of them has
    changed since is an error, after which Synapse runs the function again, at most five times in all
    (`DatabasePool.new_transaction`). SQLite has one writer at a time, so there it is `run_transaction`.

    Args:
        api: of the homeserver.
        desc: as for `run_transaction`.
        func: as for `run_transaction`.
        *args: for the function.
        **kwargs: for the function.

    Returns:
        what the function returned, after the commit.

    Raises:
        Exception: as `run_transaction`.
    """
    return await _run(api, desc, IsolationLevel.REPEATABLE_READ, lambda txn: func(txn, *args, **kwargs))


async def _run(api: ModuleApi, desc: str, isolation: IsolationLevel, func: Callable[[LoggingTransaction], R]) -> R:
    def attempt(txn: LoggingTransaction) -> R:
        # What an attempt left to be done when it fails must be done too when a later one commits: an id that Synapse
        # has taken from a stream and never marks as finished would hold up that stream for good.
        if txn.after_callbacks is not None:
            txn.after_callbacks[:] = txn.exception_callbacks or ()
        if txn.async_after_callbacks is not None:
            txn.async_after_callbacks.clear()
        if not on_postgres(txn):
            txn.execute("BEGIN IMMEDIATE")
        return func(txn)

    return await api._store.db_pool.runInteraction(desc, attempt, isolation_level=isolation)
