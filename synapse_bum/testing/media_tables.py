"""Synapse's tables of media and ours in a SQLite database in memory: for tests of SQL that need no homeserver."""

import sqlite3
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from synapse_bum.database import Component, Dialect
from synapse_bum.database.schema import migrate

if TYPE_CHECKING:
    from synapse.module_api import LoggingTransaction, ModuleApi

RESERVATION_MS: Final = 86_400_000
"""How long something can be uploaded to a reserved id, as Synapse's default is."""

# As far as they matter here: synapse/storage/schema/main/full_schemas/72/full.sql.sqlite and deltas 86/01 and 91/01.
_SCHEMA: Final = (
    (
        "CREATE TABLE local_media_repository (media_id TEXT, media_length INTEGER, created_ts BIGINT, user_id TEXT,"
        " UNIQUE (media_id))"
    ),
    "CREATE INDEX users_have_local_media ON local_media_repository (user_id, created_ts)",
    (
        "CREATE TABLE remote_media_cache (media_origin TEXT, media_id TEXT, media_length INTEGER, created_ts BIGINT,"
        " UNIQUE (media_origin, media_id))"
    ),
    (
        "CREATE TABLE local_media_repository_thumbnails (media_id TEXT, thumbnail_width INTEGER,"
        " thumbnail_length INTEGER, UNIQUE (media_id, thumbnail_width))"
    ),
    (
        "CREATE TABLE remote_media_cache_thumbnails (media_origin TEXT, media_id TEXT, thumbnail_width INTEGER,"
        " thumbnail_length INTEGER, UNIQUE (media_origin, media_id, thumbnail_width))"
    ),
)


class MediaTables:
    """One database.

    Attributes:
        api: what the code under test asks for the configuration.
        txn: a transaction, as the code under test wants it.
    """

    def __init__(self, *components: Component) -> None:
        """Make the tables, also those of some components."""
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self.api = cast(
            "ModuleApi",
            SimpleNamespace(
                _hs=SimpleNamespace(
                    config=SimpleNamespace(media=SimpleNamespace(unused_expiration_time=RESERVATION_MS))
                )
            ),
        )
        self.txn = cast("LoggingTransaction", _Transaction(self._connection))
        for statement in _SCHEMA:
            self._connection.execute(statement)
        migrate(self.txn, Dialect.SQLITE, components)

    def begin(self) -> None:
        """Begin a transaction; without it, each statement is one."""
        self._connection.execute("BEGIN")

    def commit(self) -> None:
        """Keep what was done in the transaction."""
        self._connection.execute("COMMIT")

    def roll_back(self) -> None:
        """Undo the transaction, as when a process dies in it."""
        self._connection.execute("ROLLBACK")

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()


class _Transaction:
    """As much of a `LoggingTransaction` as SQL needs."""

    database_engine = None

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursor = connection.cursor()

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        self._cursor.execute(sql, tuple(parameters))

    def fetchone(self) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._cursor.fetchone()
        return row

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._cursor.fetchall()
