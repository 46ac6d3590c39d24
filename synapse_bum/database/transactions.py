"""A module's way to the database: transactions that wait until the module's tables are there.

The tables are made neither in `parse_config` (no side effects) nor in `__init__` (synchronous, before the listeners),
but right after it, in the background, or by the first transaction that comes earlier. Only whether they are newer than
this package is asked in `__init__`: a version back must not look like a start that went well.
"""

import logging
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from synapse.module_api import LoggingTransaction, ModuleApi, make_deferred_yieldable
from twisted.internet.defer import Deferred

from synapse_bum.database.schema import Component, Dialect, migrate, refuse_newer
from synapse_bum.homeserver import before_listeners, database_pool, log_context

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class DatabaseNotReadyError(Exception):
    """Our tables could not be made or brought to today's version; the text says why.

    Whoever asked must treat it as a failure of his own, never as an empty answer.
    """


class Database:
    """One module's transactions in the homeserver's main database.

    Two modules may each have one; tables that both need (audit, leases) are made by whoever comes first.
    """

    def __init__(self, api: ModuleApi, *components: Component) -> None:
        """Prepares; touches no database yet.

        Args:
            api: of the homeserver.
            *components: whose tables must be there. `add` takes more until the module's `__init__` ends.
        """
        self._api = api
        self._components: dict[str, Component] = {component.name: component for component in components}
        self._pending = set(self._components)
        self._waiters: list[Deferred[DatabaseNotReadyError | None]] = []
        self.dialect = Dialect.POSTGRES if database_pool.is_postgres(api) else Dialect.SQLITE

    def add(self, component: Component) -> None:
        """Adds a component whose tables must be there before any later transaction; twice is once."""
        if component.name not in self._components:
            self._components[component.name] = component
            self._pending.add(component.name)

    @property
    def components(self) -> tuple[Component, ...]:
        """Whose tables must be there, in the order in which they are made."""
        return tuple(self._components.values())

    def start(self) -> None:
        """Has the tables made in the background; to be called at the end of a module's `__init__`.

        Raises:
            SchemaTooNewError: a later version of this package has made them; Synapse does not start then.
        """
        # Nobody can have written into a database in memory before, nor can another connection look into it.
        if not before_listeners.is_in_memory(self._api):
            before_listeners.run_before_listeners(
                self._api, "synapse_bum_refuse_newer", lambda txn: refuse_newer(txn, self.dialect, self.components)
            )
        self._api.delayed_background_call(0, self._make_tables_early, desc="synapse_bum_make_tables")

    async def ready(self) -> None:
        """Waits until the tables of all components are there.

        A failure is not final: the next call tries again, as any other use of a database that was away does.

        Raises:
            DatabaseNotReadyError: they could not be made.
        """
        if not self._pending:
            return
        waiter: Deferred[DatabaseNotReadyError | None] = Deferred()
        self._waiters.append(waiter)
        if len(self._waiters) == 1:
            # In a log context of its own: the first who waits may be gone before the last is woken.
            self._api.delayed_background_call(0, self._make_tables, desc="synapse_bum_make_tables")
        error = await make_deferred_yieldable(waiter)
        if error is not None:
            raise DatabaseNotReadyError(str(error)) from error.__cause__

    async def run(
        self,
        desc: str,
        func: Callable[Concatenate[LoggingTransaction, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Runs a function in one transaction, once the tables are there.

        Reading and then writing is safe in it on both databases: see `homeserver.database_pool.run_transaction`. The
        function may be called again after a deadlock or a lost connection, so it must have no effect outside the
        transaction; what shall happen once and only after the commit goes through `txn.call_after`.

        Args:
            desc: a short name without variable parts, for Synapse's metrics and logs.
            func: gets the transaction, then the other arguments. SQL has `?` for parameters, on both databases.
            *args: for the function.
            **kwargs: for the function.

        Returns:
            what the function returned, after the commit.

        Raises:
            DatabaseNotReadyError: the tables are not there.
            Exception: whatever the function raised, after the rollback.
        """
        await self.ready()
        return await database_pool.run_transaction(self._api, desc, func, *args, **kwargs)

    async def run_on_snapshot(
        self,
        desc: str,
        func: Callable[Concatenate[LoggingTransaction, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Runs a function in one transaction in which nobody else's commits are seen, once the tables are there.

        For numbers of several tables that have to fit together. On PostgreSQL it is run again when somebody has changed
        a row meanwhile that it writes, so it should write rows that nobody else does: see
        `homeserver.database_pool.run_on_snapshot`. On SQLite everybody else waits for it.

        Args:
            desc: as for `run`.
            func: as for `run`.
            *args: for the function.
            **kwargs: for the function.

        Returns:
            what the function returned, after the commit.

        Raises:
            DatabaseNotReadyError: the tables are not there.
            Exception: whatever the function raised, after the rollback.
        """
        await self.ready()
        return await database_pool.run_on_snapshot(self._api, desc, func, *args, **kwargs)

    async def _make_tables_early(self) -> None:
        try:
            await self.ready()
        except DatabaseNotReadyError as e:
            logger.error("The tables of synapse_bum are not ready: %s", e)

    async def _make_tables(self) -> None:
        components = self.components
        error: DatabaseNotReadyError | None = None
        try:
            await database_pool.run_transaction(self._api, "synapse_bum_make_tables", migrate, self.dialect, components)
        except Exception as e:  # noqa: BLE001 - every waiter gets it
            error = DatabaseNotReadyError(str(e))
            error.__cause__ = e
        else:
            self._pending.difference_update(component.name for component in components)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            log_context.fire(waiter, error)
