"""Our tables: numbered forward migrations per component, applied by whichever process starts first.

Knows SQL and no Twisted. The caller opens the transaction (`synapse_bum.database.Database`), commits it and handles
errors. Processes of an older version keep running while a newer one migrates, so a migration only adds.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any, Final, Protocol

import attr

SCHEMA_LOCK: Final = 0x73796E62756D0001
"""Key of the PostgreSQL advisory lock under which tables are made ("synbum" and a number)."""

_CREATE_VERSIONS: Final = (
    "CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL)"
)
_VERSIONS_THERE: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'synapse_bum_schema'",
    "postgres": "SELECT to_regclass('synapse_bum_schema')",
}
_SELECT_VERSION: Final = "SELECT version FROM synapse_bum_schema WHERE component = ?"
_UPSERT_VERSION: Final = (
    "INSERT INTO synapse_bum_schema (component, version) VALUES (?, ?)"
    " ON CONFLICT (component) DO UPDATE SET version = excluded.version"
)


class Dialect(Enum):
    """The two databases that Synapse runs on."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"


class Cursor(Protocol):
    """What our SQL needs of a cursor, with `?` for parameters: a Synapse transaction or a plain sqlite3 cursor."""

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> object:
        """Runs one statement."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """Returns the next row of the last SELECT."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Returns all other rows of the last SELECT."""


class SchemaTooNewError(Exception):
    """The database was made by a later version of this package."""

    def __init__(self, component: str, found: int, known: int) -> None:
        super().__init__(
            f"the database has version {found} of the synapse_bum tables for {component}, this package knows version"
            f" {known}: install the newer synapse_bum again, or restore the database of before its upgrade"
        )


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Migration:
    """One step forward.

    Attributes:
        version: counts from 1 without gaps.
        sqlite: statements, one per item, without a semicolon.
        postgres: the same for PostgreSQL.
    """

    version: int
    sqlite: tuple[str, ...]
    postgres: tuple[str, ...]

    @classmethod
    def both(cls, version: int, *statements: str) -> "Migration":
        """Makes a step whose statements are the same on both databases."""
        return cls(version, sqlite=statements, postgres=statements)


def _without_gaps(_component: object, _attribute: object, migrations: tuple[Migration, ...]) -> None:
    versions = [migration.version for migration in migrations]
    if versions != list(range(1, len(versions) + 1)):
        raise ValueError(f"migrations must count from 1 without gaps, not {versions}")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Component:
    """The tables of one part of the package.

    Attributes:
        name: for example `antivirus`; never changed, as it is stored.
        migrations: all steps from an empty database to today.
    """

    name: str
    migrations: tuple[Migration, ...] = attr.ib(validator=_without_gaps)


def migrate(txn: Cursor, dialect: Dialect, components: Sequence[Component]) -> None:
    """Brings the tables of some components to today's version, or leaves everything as it was.

    Args:
        txn: at the start of a transaction; on PostgreSQL READ COMMITTED, on SQLite with the write lock
            (`BEGIN IMMEDIATE`). Processes that start at the same time wait here for each other.
        dialect: of the database.
        components: in the order in which they are made.

    Raises:
        SchemaTooNewError: the caller must roll back.
    """
    if dialect is Dialect.POSTGRES:
        txn.execute("SELECT pg_advisory_xact_lock(?)", (SCHEMA_LOCK,))
    txn.execute(_CREATE_VERSIONS)
    for component in components:
        _migrate_component(txn, dialect, component)


def refuse_newer(txn: Cursor, dialect: Dialect, components: Sequence[Component]) -> None:
    """Looks whether this package knows the tables that are there; changes nothing.

    Args:
        txn: in a transaction.
        dialect: of the database.
        components: whose tables are asked for.

    Raises:
        SchemaTooNewError: it does not.
    """
    txn.execute(_VERSIONS_THERE[dialect.value])
    if txn.fetchone() not in {None, (None,)}:
        for component in components:
            _version_found(txn, component)


def _version_found(txn: Cursor, component: Component) -> int:
    txn.execute(_SELECT_VERSION, (component.name,))
    row = txn.fetchone()
    found, known = (int(row[0]) if row else 0), len(component.migrations)
    if found > known:
        raise SchemaTooNewError(component.name, found, known)
    return found


def _migrate_component(txn: Cursor, dialect: Dialect, component: Component) -> None:
    found, known = _version_found(txn, component), len(component.migrations)
    for migration in component.migrations[found:]:
        for statement in migration.sqlite if dialect is Dialect.SQLITE else migration.postgres:
            txn.execute(statement)
    if found < known:
        txn.execute(_UPSERT_VERSION, (component.name, known))
