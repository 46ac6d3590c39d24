"""How a homeserver's database is copied: what the tools of its kind need to reach it, and an empty one beside it.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL 15. Sources: `synapse/config/database.py`,
`synapse/storage/engines`; libpq's "Connection Strings" and "Environment Variables"; SQLite's "Online Backup API".
"""

import contextlib
import hashlib
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attr
from synapse.storage.engines import create_engine

from synapse_bum.homeserver.database_words import why_not_opened, why_refused
from synapse_bum.homeserver.offline_database import OfflineDatabaseError, OfflineTransaction

_SCRATCH_NAME: Final = re.compile(r"synapse_bum_scratch_[0-9a-f]{12}", re.ASCII)

# The catalogue: everything that is no part of PostgreSQL itself. Extensions and an empty schema `public` do not count.
_TABLES: Final = (
    "SELECT count(*) FROM pg_class AS c INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_'"
    " AND c.relkind IN ('r', 'S', 'v', 'm', 'p')"
)
# The catalogues, by name.
_POSTGRES_TABLE: Final = "SELECT 1 WHERE to_regclass(?) IS NOT NULL"
_SQLITE_TABLE: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
_SEND_AWAY: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user"
)
_LOCALE: Final = "SELECT datcollate, pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Reach:
    """How PostgreSQL's own programs reach a database.

    Attributes:
        conninfo: a connection string without a password.
        environment: variables for the rest.
        major: the server's release, such as 15.
    """

    conninfo: str
    environment: Mapping[str, str] = attr.ib(repr=False)
    major: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class View:
    """A database as it stood at one moment.

    Attributes:
        txn: reads it.
        snapshot: what other connections find the same moment by.
        reach: for other programs.
    """

    txn: OfflineTransaction
    snapshot: str
    reach: Reach


def scratch_name(server_name: str) -> str:
    """The database that is made and dropped for a homeserver; nobody else's are ever dropped.

    Always the same, so that one that was left is found; servers that share a PostgreSQL do not meet.
    """
    return f"synapse_bum_scratch_{hashlib.sha256(server_name.encode()).hexdigest()[:12]}"


class PostgresDatabase:
    """A database of PostgreSQL, by `database` of homeserver.yaml."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Connects to nothing yet.

        Args:
            settings: `name` and `args`.

        Raises:
            OfflineDatabaseError: the driver is missing.
        """
        self._settings = settings
        try:
            engine = create_engine(dict(settings))
        except (ImportError, RuntimeError) as error:
            raise OfflineDatabaseError(str(error)) from None
        self._module: Any = engine.module
        self._convert = engine.convert_param_style
        arguments = settings.get("args") or {}
        self._arguments = {name: value for name, value in arguments.items() if not name.startswith("cp_")}

    @classmethod
    def from_conninfo(cls, conninfo: str) -> "PostgresDatabase":
        """Names a database by a connection string or a URI of libpq."""
        return cls({"name": "psycopg2", "args": {"dsn": conninfo}})

    def named(self, database: str) -> "PostgresDatabase":
        """The same server and user with another database."""
        others = {name: value for name, value in self._arguments.items() if name not in {"database", "dbname"}}
        return PostgresDatabase({**self._settings, "args": {**others, "dbname": database}})

    @property
    def settings(self) -> Mapping[str, Any]:
        """For `database` of homeserver.yaml."""
        return {"name": "psycopg2", "args": dict(self._arguments)}

    def given(self) -> Mapping[str, str]:
        """What libpq is told, by its parameters.

        Raises:
            OfflineDatabaseError: it knows no such parameter.
        """
        extensions = self._module.extensions
        try:
            found: Mapping[str, str] = extensions.parse_dsn(extensions.make_dsn(**self._arguments))
        except self._module.Error as error:
            raise OfflineDatabaseError(
                f"the connection to the database can't be read: {why_not_opened(error, self._arguments)}"
            ) from None
        return found

    @contextlib.contextmanager
    def view(self) -> Iterator[View]:
        """Hold on to the database as it is at this moment.

        Raises:
            OfflineDatabaseError: it can't be reached.
        """
        with self._connection() as connection, self._errors():
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            txn = OfflineTransaction(connection.cursor(), self._convert)
            txn.execute("SELECT pg_export_snapshot()")
            (snapshot,) = txn.fetchone() or ("",)
            yield View(txn, str(snapshot), self._reach(connection))

    def refuse_unless_empty(self) -> Reach:
        """Look whether something could be restored into it.

        Raises:
            OfflineDatabaseError: it is not empty, or Synapse could not use it.
        """
        with self._connection() as connection, self._errors():
            txn = OfflineTransaction(connection.cursor(), self._convert)
            txn.execute(_TABLES)
            (tables,) = txn.fetchone() or (0,)
            if tables:
                raise OfflineDatabaseError("the database is not empty; nothing is ever overwritten: make another one")
            txn.execute(_LOCALE)
            collation, encoding = txn.fetchone() or ("", "")
            if (collation, encoding) not in {("C", "UTF8"), ("POSIX", "UTF8")}:
                raise OfflineDatabaseError(
                    f"the database has locale {collation} and encoding {encoding}, and Synapse needs C and UTF8:"
                    " createdb --template=template0 --locale=C --encoding=UTF8"
                )
            return self._reach(connection)

    def create_scratch(self, name: str) -> "PostgresDatabase":
        """Makes an empty database on the same server.

        Args:
            name: of `scratch_name`.

        Raises:
            OfflineDatabaseError: that is not allowed.
        """
        _must_be_ours(name)
        self._execute_alone(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
        return self.named(name)

    def drop_scratch(self, name: str) -> None:
        """Drops it, also where a process of the same role is connected to it; nothing happens when there is none.

        Args:
            name: of `scratch_name`.

        Raises:
            OfflineDatabaseError: that did not work.
        """
        _must_be_ours(name)
        # Without FORCE, which fails where autovacuum is at work: only without it the server sends that away by itself.
        self._execute_alone(_SEND_AWAY, (name,))
        self._execute_alone(f"DROP DATABASE IF EXISTS {name}")

    def _execute_alone(self, statement: str, parameters: Sequence[str] = ()) -> None:
        """Runs a statement that stands in no transaction."""
        with self._connection() as connection, self._errors():
            connection.autocommit = True
            connection.cursor().execute(statement, parameters)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Any]:
        try:
            connection = self._module.connect(**self._arguments)
        except self._module.Error as error:
            raise OfflineDatabaseError(
                f"the database can't be opened: {why_not_opened(error, self._arguments)}"
            ) from None
        with contextlib.closing(connection):
            yield connection

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._module.Error as error:
            raise OfflineDatabaseError(f"the database said: {why_refused(error)}") from None

    def _reach(self, connection: Any) -> Reach:  # noqa: ANN401 - psycopg2 has no types
        # As it was configured: the connection knows more, which older programs refuse.
        public = {name: value for name, value in self.given().items() if "password" not in name}
        password = connection.info.password
        return Reach(
            conninfo=self._module.extensions.make_dsn(**public),
            environment={"PGPASSWORD": password} if password else {},
            major=connection.info.server_version // 10_000,
        )


def connection_parameters(settings: Mapping[str, Any]) -> Mapping[str, str]:
    """What libpq is told of a database, also in a connection string among the arguments; nothing with SQLite.

    Args:
        settings: `name` and `args` as in `database` of homeserver.yaml.

    Raises:
        OfflineDatabaseError: the arguments are none of libpq, or the driver is missing.
    """
    return PostgresDatabase(settings).given() if settings.get("name") == "psycopg2" else {}


def copy_sqlite(settings: Mapping[str, Any], target: Path) -> None:
    """Copy a database of SQLite as it is at this moment; Synapse may run.

    Args:
        settings: `name` and `args` as in `database` of homeserver.yaml.
        target: a file that is not there.

    Raises:
        OfflineDatabaseError: it can't be read, or the copy can't be written.
    """
    path = Path(str((settings.get("args") or {}).get("database")))
    if not path.is_file():
        raise OfflineDatabaseError(f"there is no database {path.absolute()}")
    try:
        with (
            contextlib.closing(_readonly(path)) as source,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
    except sqlite3.Error as error:
        raise OfflineDatabaseError(f"{path.absolute()} can't be copied: {why_refused(error)}") from None


@contextlib.contextmanager
def living(settings: Mapping[str, Any]) -> Iterator[OfflineTransaction]:
    """Read a database as it is now; Synapse may run, and waits for nothing.

    Args:
        settings: `name` and `args` as in `database` of homeserver.yaml.

    Raises:
        OfflineDatabaseError: it can't be read.
    """
    if settings.get("name") == "psycopg2":
        with PostgresDatabase(settings).view() as view:
            yield view.txn
        return
    path = Path(str((settings.get("args") or {}).get("database")))
    try:
        with contextlib.closing(_readonly(path)) as connection:
            yield OfflineTransaction(connection.cursor(), str)
    except sqlite3.Error as error:
        raise OfflineDatabaseError(f"{path.absolute()} can't be read: {why_refused(error)}") from None


def has_table(txn: OfflineTransaction, name: str, *, is_postgres: bool) -> bool:
    """Whether there is a table of a name.

    Args:
        txn: in a transaction.
        name: of the table.
        is_postgres: what kind of database it is.
    """
    txn.execute(_POSTGRES_TABLE if is_postgres else _SQLITE_TABLE, (name,))
    return txn.fetchone() is not None


def _readonly(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True, timeout=60)


def _must_be_ours(name: str) -> None:
    if _SCRATCH_NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no name of a scratch database")
