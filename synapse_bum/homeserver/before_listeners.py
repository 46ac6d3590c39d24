"""A transaction of ours while a module is made: synchronous, before this process answers its first request.

Synapse makes its modules before its listeners (`start` in `synapse/app/_base.py`), on the reactor's thread, which no
deferred can be awaited on. So the transaction has a connection of its own, made and ended here.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `make_conn` and `LoggingDatabaseConnection.cursor` in
`synapse/storage/database.py`.
"""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.storage.database import make_conn
from synapse.storage.engines import PostgresEngine
from synapse.storage.engines._base import IsolationLevel

R = TypeVar("R")

_MEMORY = ":memory:"


def is_in_memory(api: ModuleApi) -> bool:
    """Whether the database is SQLite's in memory: nobody else can connect to it, and no backup can bring it back."""
    arguments = api._store.db_pool._database_config.config.get("args", {})
    return not isinstance(api._store.db_pool.engine, PostgresEngine) and arguments.get("database") == _MEMORY


def run_before_listeners(api: ModuleApi, desc: str, func: Callable[[LoggingTransaction], R]) -> R:
    """Runs a function in one transaction, READ COMMITTED or with SQLite's write lock, while the reactor waits.

    Only to be called in a module's `__init__`. What `call_after` was given is called after the commit; coroutines are
    not (`async_call_after`), and a function that asks for one must not run here.

    Args:
        api: of the homeserver.
        desc: a short name without variable parts, for Synapse's metrics and logs.
        func: gets the transaction. SQL has `?` for parameters, on both databases.

    Returns:
        what the function returned, after the commit.

    Raises:
        Exception: whatever the function raised, after the rollback; the database's own errors.
    """
    pool = api._store.db_pool
    settings: dict[str, Any] = {"db_config": pool._database_config, "engine": pool.engine, "default_txn_name": desc}
    if "server_name" in inspect.signature(make_conn).parameters:
        settings["server_name"] = api.server_name
    after: list[Any] = []
    on_failure: list[Any] = []
    with contextlib.closing(make_conn(**settings)) as connection:
        # What the engine has just asked of the connection may have begun a transaction.
        connection.rollback()
        pool.engine.attempt_to_set_isolation_level(connection.conn, IsolationLevel.READ_COMMITTED)
        txn = connection.cursor(
            txn_name=desc, after_callbacks=after, async_after_callbacks=[], exception_callbacks=on_failure
        )
        try:
            if not isinstance(pool.engine, PostgresEngine):
                txn.execute("BEGIN IMMEDIATE")
            result = func(txn)
            connection.commit()
        except BaseException:
            connection.rollback()
            for callback, args, kwargs in on_failure:
                callback(*args, **kwargs)
            raise
    for callback, args, kwargs in after:
        callback(*args, **kwargs)
    return result
