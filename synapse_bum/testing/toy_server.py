"""`ToyServer`: a database on disk with three tables of things, the recovery log beside it, and no Synapse around it.

Everything else is real: SQLite or PostgreSQL, the file, the transactions, the duty's turns. It can be backed up, killed
at each step of a turn, restored and started again, hundreds of times a second.
"""

import shutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar, cast

from synapse.config.database import DatabaseConnectionConfig
from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.storage.engines import create_engine

from synapse_bum.after_restore import SOON_MS, Done, Logged, RecoveryLog, Settings, State
from synapse_bum.after_restore.writer import Writer
from synapse_bum.database import Component, Database, Leases
from synapse_bum.homeserver import before_listeners

R = TypeVar("R")

SERVER_NAME: Final = "messenger.example"


class Killed(BaseException):
    """The process was killed here."""


class Things:
    """A source of things that are in some state, or not there."""

    name = "things"
    every_ms = SOON_MS
    summary = None
    tells_only_ends = False
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = ()
    live = "SELECT key, state FROM things"
    table = "things"

    def state_of(self, state: str) -> State:
        """What stands in the log for a thing."""
        return {"is": state}

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Gives each thing its last state."""
        for each in logged:
            txn.execute(f"DELETE FROM {self.table} WHERE key = ?", (each.key,))  # noqa: S608 - our own text
            if each.state is not None:
                values = (each.key, each.state["is"])
                txn.execute(f"INSERT INTO {self.table} (key, state) VALUES (?, ?)", values)  # noqa: S608
        return [Done("recovery.thing", each.key, None, None) for each in logged]


class Others(Things):
    """Things of another kind."""

    name = "others"
    live = "SELECT key, state FROM others"
    table = "others"


class Ends(Things):
    """Things of which only the end is told."""

    name = "ends"
    live = "SELECT key, state FROM ends"
    table = "ends"
    tells_only_ends = True

    def state_of(self, state: str) -> State:
        """Never told."""
        raise AssertionError(f"of these things only the end is told, not {state}")

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Takes away what had ended; the last word counts."""
        ended = [each.key for each in logged if each.state is None]
        for key in ended:
            txn.execute(f"DELETE FROM {self.table} WHERE key = ?", (key,))  # noqa: S608 - our own text
        return [Done("recovery.ended", each.key, None, "again" if each.state == {} else None) for each in logged]


class _Inline:
    """Transactions of the toy, without threads and without waiting."""

    def __init__(self, api: ModuleApi) -> None:
        self._api = api

    def add(self, component: Component) -> None:
        """Nothing: the start makes all tables."""

    async def run(self, desc: str, func: Callable[..., R], *args: object, **kwargs: object) -> R:
        """As `Database.run`."""
        return before_listeners.run_before_listeners(self._api, desc, lambda txn: func(txn, *args, **kwargs))


class ToyServer:
    """One process of a server; `start` after each restore, as a process would.

    Attributes:
        log_path: of the recovery log.
        log: of the last start.
        now_ms: the clock, which each turn moves on.
        runs_background_tasks: whether it is the process that writes.
    """

    def __init__(
        self, folder: Path, *, server_name: str = SERVER_NAME, postgres: Mapping[str, object] | None = None
    ) -> None:
        """Makes its tables where there are none; nothing is started yet.

        Args:
            folder: of the log, and of SQLite's database; two processes of a server have the same.
            server_name: of the server.
            postgres: arguments of a connection to an empty PostgreSQL database, instead of SQLite; it has no backups.
        """
        self._database = folder / "server.db"
        self.log_path = folder / "recovery.log"
        self.now_ms = 1_000_000
        self.runs_background_tasks = True
        settings: dict[str, Any] = {"name": "sqlite3", "args": {"database": str(self._database)}}
        if postgres is not None:
            settings = {"name": "psycopg2", "args": dict(postgres)}
        store = SimpleNamespace(
            db_pool=SimpleNamespace(
                engine=create_engine(settings), _database_config=DatabaseConnectionConfig("master", settings)
            )
        )
        if postgres is None:
            store.db_pool.engine.on_new_connection = lambda _connection: None
        self._api = cast(
            "ModuleApi",
            SimpleNamespace(
                _store=store,
                server_name=server_name,
                should_run_background_tasks=lambda: self.runs_background_tasks,
                get_current_time_msec=lambda: self.now_ms,
                defer_to_thread=self._at_once,
                delayed_background_call=lambda *_, **__: None,
                looping_background_call=lambda *_, **__: None,
            ),
        )
        for table in (Things.table, Others.table, Ends.table):
            self._execute(f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, state TEXT NOT NULL)")

    def start(self, *, begins_at: int | None = None, is_late: bool = False, has_things: bool = True) -> None:
        """Starts a process.

        Args:
            begins_at: what an operator has said of the log's beginning.
            is_late: whether the source comes behind the path of the log, in the order of modules.
            has_things: whether the module of the source is loaded; another one always is.

        Raises:
            SetupError: it refuses to.
        """
        self.log = RecoveryLog(self._api)
        settings = Settings(self.log_path, begins_at)
        self.log.add(Others())
        self.log.add(Ends())
        if has_things and not is_late:
            self.log.add(Things())
        self.log.open(settings)
        if has_things and is_late:
            self.log.add(Things())
        database = cast("Database", _Inline(self._api))
        self._writer = Writer(self._api, database, cast("Leases", None), self.log, settings)

    def turn(self) -> None:
        """One turn of the duty.

        Raises:
            Exception: what `Writer.tick` would say.
        """
        self.now_ms += SOON_MS
        _finish(self._writer.turn(cast("Any", SimpleNamespace(held=True))))

    def put(self, key: str, state: str | None, table: str = Things.table) -> None:
        """Changes a thing, or takes it away."""
        self._execute(f"DELETE FROM {table} WHERE key = ?", (key,))  # noqa: S608 - our own text
        if state is not None:
            self._execute(f"INSERT INTO {table} (key, state) VALUES (?, ?)", (key, state))  # noqa: S608

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query says."""

        def read(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql)
            return txn.fetchall()

        return before_listeners.run_before_listeners(self._api, "toy", read)

    @property
    def things(self) -> dict[str, str]:
        """All things and their states."""
        return dict(self.rows("SELECT key, state FROM things"))

    def backup(self) -> Path:
        """Makes a backup of the database, and returns it."""
        for number in range(10_000):
            path = self._database.with_name(f"backup.{number}")
            if not path.exists():
                shutil.copy(self._database, path)
                return path
        raise AssertionError("too many backups")

    def restore(self, backup: Path) -> None:
        """Puts a backup in the place of the database."""
        shutil.copy(backup, self._database)

    def _execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        before_listeners.run_before_listeners(self._api, "toy", lambda txn: txn.execute(sql, parameters))

    async def _at_once(self, func: Callable[..., R], *args: object) -> R:
        return func(*args)


def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Runs something that never has to wait."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")
