"""Dumps of our tables as each version of them was: what an upgrade in the field starts from.

One file for each component, version and database (`federation-1.sqlite.sql`), with sample rows in every table. A dump
that was stored is never written anew: it says what lies in databases out there, whatever became of the migrations.
"""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

import psycopg2  # type: ignore[import-untyped]

from synapse_bum.database import Component, Cursor, Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.testing.own_tables import all_components
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.postgres_process import PostgresTransaction

Rows: TypeAlias = Mapping[str, list[Mapping[str, object]]]
"""The rows of each of our tables, by the table's name."""

SAMPLES: Final = 2
_VERSIONS_TABLE: Final = "synapse_bum_schema"
_CREATE_VERSIONS: Final = (
    f"CREATE TABLE IF NOT EXISTS {_VERSIONS_TABLE} (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);"
)


def components() -> Mapping[str, Component]:
    """Returns the components of all parts of the package, by name."""
    return {component.name: component for component in all_components()}


def dump_name(component: str, version: int, dialect: Dialect) -> str:
    """Returns the name of the file that holds one component as it was at one version."""
    return f"{component}-{version}.{dialect.value}.sql"


def up_to(component: Component, version: int) -> Component:
    """Returns the component as it was when `version` was its newest."""
    return Component(component.name, component.migrations[:version])


def sets_of_versions() -> Iterator[Mapping[str, int]]:
    """Yields which version of each component to begin with, so that together each version is begun with once."""
    newest = {name: len(component.migrations) for name, component in components().items()}
    for behind in range(max(newest.values())):
        yield {name: max(1, version - behind) for name, version in newest.items()}


def lost(before: Rows, after: Rows) -> list[str]:
    """Says what an upgrade has changed of the rows that were there: nothing but new columns may be added to them."""
    return [
        f"{table}: {row}"
        for table, rows in before.items()
        for row in rows
        if not any(row.items() <= kept.items() for kept in after.get(table, []))
    ]


def sample_rows(columns: Iterable[tuple[str, str]]) -> Iterator[dict[str, object]]:
    """Makes rows that differ in every column, by the columns' names and declared types."""
    columns = tuple(columns)
    for number in range(1, SAMPLES + 1):
        yield {name: _sample(name, declared.upper(), number) for name, declared in columns}


def _sample(column: str, declared: str, number: int) -> object:
    if declared.startswith("BOOL"):
        return number % 2 == 0
    if declared.startswith(("BYTEA", "BLOB")):
        return bytes([number]) * 4
    if declared.startswith(("BIG", "INT", "SMALL")):
        return number
    if declared.startswith(("DOUBLE", "REAL", "NUMERIC")):
        return number + 0.5
    return f"{column} {number}"


class _Mortal:
    """A cursor whose process is killed when it has done so many statements."""

    def __init__(self, cursor: Cursor, statements: int) -> None:
        self._cursor = cursor
        self._left = statements

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> object:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        return self._cursor.execute(sql, parameters)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._cursor.fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._cursor.fetchall()


def _is_killed(work: Callable[[], None]) -> bool:
    """Whether a child process that does the work was killed at it; otherwise it has done it.

    Raises:
        AssertionError: it has failed.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _child, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the migration has failed"
    return os.WIFSIGNALED(status)


class SqliteTables:
    """Our tables in an SQLite database."""

    dialect: Final = Dialect.SQLITE

    def __init__(self, place: Path | str = ":memory:") -> None:
        """Opens or makes the database.

        Args:
            place: a file, or in memory.
        """
        self._place = place
        self.connection = sqlite3.connect(place, isolation_level=None)

    def is_killed_at(self, wanted: Iterable[Component], statements: int) -> bool:
        """Lets another process migrate and be killed after so many statements; False when it had done all before."""

        def work() -> None:
            cursor = sqlite3.connect(self._place, isolation_level=None).cursor()
            cursor.execute("BEGIN IMMEDIATE")
            migrate(_Mortal(cursor, statements), self.dialect, tuple(wanted))
            cursor.execute("COMMIT")

        return _is_killed(work)

    def migrate(self, wanted: Iterable[Component]) -> None:
        """Brings components to their newest version, in one transaction."""
        cursor = self.connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        migrate(cursor, self.dialect, tuple(wanted))
        cursor.execute("COMMIT")

    def load(self, dumps: Iterable[str]) -> None:
        """Takes over dumps."""
        for text in dumps:
            self.connection.executescript(text)

    def dump(self) -> str:
        """Returns all tables with their rows as SQL."""
        unwanted = ("BEGIN TRANSACTION;", "COMMIT;")
        lines = [line for line in self.connection.iterdump() if line not in unwanted and _VERSIONS_TABLE not in line]
        return _with_versions(self.connection.cursor(), lines)

    def fill(self) -> None:
        """Adds sample rows to each table, as many as it may hold."""
        _fill(self.connection.cursor(), self.columns(), "?")

    def columns(self) -> Mapping[str, list[tuple[str, str]]]:
        """Returns names and declared types of the columns of each table."""
        select = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'synapse_bum%' ORDER BY name"
        tables = [name for (name,) in self.connection.execute(select)]
        return {
            table: [(row[1], row[2]) for row in self.connection.execute(f"PRAGMA table_info({table})")]
            for table in tables
            if table != _VERSIONS_TABLE
        }

    def shape(self) -> object:
        """Returns all that defines tables and indexes, to be compared."""
        tables = {
            table: sorted(self.connection.execute(f"PRAGMA table_info({table})").fetchall()) for table in self.columns()
        }
        select = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
        return tables, self.connection.execute(select).fetchall()

    def rows(self) -> Rows:
        """Returns all rows of our tables."""
        return _rows(self.connection.cursor(), self.columns())

    def close(self) -> None:
        """Forgets everything."""
        self.connection.close()


class PostgresTables:
    """Our tables in a database of their own on a real PostgreSQL."""

    dialect: Final = Dialect.POSTGRES

    def __init__(self, server: RealPostgres, name: str) -> None:
        """Makes the database.

        Args:
            server: that runs.
            name: of the new database.
        """
        with closing(psycopg2.connect(server.dsn())) as maintenance:
            maintenance.autocommit = True
            maintenance.cursor().execute(f"CREATE DATABASE {name}")
        self._dsn = server.dsn(name)
        self.connection = psycopg2.connect(self._dsn)
        self.connection.autocommit = True

    def is_killed_at(self, wanted: Iterable[Component], statements: int) -> bool:
        """Lets another process migrate and be killed after so many statements; False when it had done all before."""

        def work() -> None:
            with psycopg2.connect(self._dsn) as connection:
                cursor = PostgresTransaction(connection.cursor())
                migrate(_Mortal(cursor, statements), self.dialect, tuple(wanted))

        return _is_killed(work)

    def migrate(self, wanted: Iterable[Component]) -> None:
        """Brings components to their newest version, in one transaction."""
        self.connection.autocommit = False
        with self.connection, self.connection.cursor() as cursor:
            migrate(PostgresTransaction(cursor), self.dialect, tuple(wanted))
        self.connection.autocommit = True

    def load(self, dumps: Iterable[str]) -> None:
        """Takes over dumps."""
        for text in dumps:
            self.connection.cursor().execute(text)

    def dump(self) -> str:
        """Returns all tables with their rows as SQL, by `pg_dump`."""
        options = ("--column-inserts", "--no-owner", "--no-privileges", "--no-comments", "-T", _VERSIONS_TABLE)
        command = ["pg_dump", *options, self._dsn]
        text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        # Of its own session are the settings and what begins with a backslash.
        lines = [line for line in text.splitlines() if line and not line.startswith(("--", "SET ", "\\"))]
        return _with_versions(self.connection.cursor(), [line for line in lines if "set_config" not in line])

    def fill(self) -> None:
        """Adds sample rows to each table, as many as it may hold."""
        _fill(self.connection.cursor(), self.columns(), "%s")

    def columns(self) -> Mapping[str, list[tuple[str, str]]]:
        """Returns names and types of the columns of each table."""
        cursor = self.connection.cursor()
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public' AND is_identity = 'NO' ORDER BY table_name, ordinal_position"
        )
        found: dict[str, list[tuple[str, str]]] = {}
        for table, column, declared in cursor.fetchall():
            if table != _VERSIONS_TABLE:
                found.setdefault(table, []).append((column, declared))
        return found

    def shape(self) -> object:
        """Returns all that defines tables and indexes, to be compared."""
        cursor = self.connection.cursor()
        cursor.execute(
            "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
            " WHERE table_schema = 'public' ORDER BY table_name, column_name"
        )
        columns = cursor.fetchall()
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname")
        return columns, cursor.fetchall()

    def rows(self) -> Rows:
        """Returns all rows of our tables."""
        return _rows(self.connection.cursor(), self.columns())

    def close(self) -> None:
        """Disconnects."""
        self.connection.close()


Tables: TypeAlias = SqliteTables | PostgresTables


def survives_each_death(tables: Tables, component: Component) -> int:
    """Migrates in one process after the other; each is killed a statement later than the one before, the last is not.

    Args:
        tables: as they were before an upgrade.
        component: of which they have an older version, or none.

    Returns:
        How many were killed.

    Raises:
        AssertionError: one has left something behind.
    """
    before, shape = tables.rows(), tables.shape()
    deaths = 0
    while tables.is_killed_at([component], deaths):
        deaths += 1
        assert (tables.rows(), tables.shape()) == (before, shape), f"something is left after {deaths} statements"
    return deaths


def write_missing(folder: Path, tables: Iterable[Tables]) -> list[Path]:
    """Stores a dump of each version that has none yet.

    Args:
        folder: where the dumps are.
        tables: an empty database for each file to be written, as they are asked for.

    Returns:
        The new files.
    """
    made, empty = [], iter(tables)
    for dialect in Dialect:
        for component in components().values():
            for version in range(1, len(component.migrations) + 1):
                file = folder / dump_name(component.name, version, dialect)
                if file.exists():
                    continue
                with closing(next(one for one in empty if one.dialect is dialect)) as database:
                    database.migrate([up_to(component, version)])
                    database.fill()
                    file.write_text(database.dump(), encoding="utf-8")
                made.append(file)
    return made


def _with_versions(cursor: Any, lines: list[str]) -> str:  # noqa: ANN401 - two drivers
    # Several dumps are loaded into one database, so the table of versions is made by the first of them.
    cursor.execute(f"SELECT component, version FROM {_VERSIONS_TABLE}")  # noqa: S608 - names are from our own migrations
    versions = [f"INSERT INTO {_VERSIONS_TABLE} VALUES ('{name}', {version});" for name, version in cursor.fetchall()]  # noqa: S608 - names are from our own migrations
    return "\n".join([*lines, _CREATE_VERSIONS, *versions]) + "\n"


def _fill(cursor: Any, tables: Mapping[str, list[tuple[str, str]]], parameter: str) -> None:  # noqa: ANN401 - two drivers
    for table, columns in tables.items():
        samples = list(sample_rows(columns))
        if any(name == "only_row" for name, _type in columns):
            cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - names are from our own migrations
            samples = samples[: 1 - cursor.fetchone()[0]]
        names = ", ".join(name for name, _type in columns)
        places = ", ".join([parameter] * len(columns))
        for row in samples:
            cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", tuple(row.values()))  # noqa: S608 - names are from our own migrations


def _rows(cursor: Any, tables: Mapping[str, list[tuple[str, str]]]) -> Rows:  # noqa: ANN401 - two drivers
    found: dict[str, list[Mapping[str, object]]] = {}
    for table, columns in tables.items():
        names = [name for name, _type in columns]
        cursor.execute(f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608 - names are from our own migrations
        found[table] = [dict(zip(names, map(_comparable, row), strict=True)) for row in cursor.fetchall()]
    return found


def _comparable(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value
