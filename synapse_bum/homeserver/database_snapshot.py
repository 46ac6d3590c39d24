"""The homeserver's database as it stands at one moment, read by a command while Synapse may run.

One transaction that can't write: REPEATABLE READ on PostgreSQL; on SQLite a reader of the write-ahead log, which keeps
nobody from writing. Rows come in batches, so that memory does not grow with them.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL. Sources: `synapse/storage/engines`, `make_conn` in
`synapse/storage/database.py`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from synapse_bum.homeserver.database_words import why_not_opened, why_refused
from synapse_bum.homeserver.offline_database import OfflineDatabase, OfflineDatabaseError

_BATCH: Final = 500
# Other statements are planned for their first rows then, and a person's rows are all read.
_ALL_ROWS_ARE_READ: Final = "SET LOCAL cursor_tuple_fraction = 1"
# The catalogues of both: a row for each column of one table.
_POSTGRES_COLUMNS: Final = (
    "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped"
)
_SQLITE_COLUMNS: Final = "SELECT name FROM pragma_table_info(?)"


class Snapshot:
    """What the database held when it was opened."""

    def __init__(self, connection: Any, convert: Callable[[str], str], *, is_postgres: bool) -> None:  # noqa: ANN401
        self._connection = connection
        self._convert = convert
        self.is_postgres = is_postgres
        self._cursors = 0

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Reads the rows of one SELECT in batches; several may be read at once.

        Args:
            sql: with `?` for parameters, without `%`.
            parameters: as many as it has `?`.
        """
        cursor = self._cursor()
        cursor.execute(self._convert(sql), tuple(parameters))
        while batch := cursor.fetchmany(_BATCH):
            yield from batch
        # One that is not read to its end goes with the transaction: by then its connection may be gone.
        cursor.close()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Reads the first row of a SELECT; None where there is none."""
        with contextlib.closing(self._cursor()) as cursor:
            cursor.execute(self._convert(sql), tuple(parameters))
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table; none when there is no such table."""
        found = self.rows(_POSTGRES_COLUMNS if self.is_postgres else _SQLITE_COLUMNS, (table,))
        return frozenset(str(name) for (name,) in found)

    def _cursor(self) -> Any:  # noqa: ANN401 - of two drivers
        if not self.is_postgres:
            return self._connection.cursor()
        # A cursor at the server: the driver fetches all rows of any other one at once.
        self._cursors += 1
        return self._connection.cursor(f"synapse_bum_{self._cursors}")


class ReadableDatabase(OfflineDatabase):
    """The main database of a homeserver, which may be running."""

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One moment of the database, on a connection of its own.

        Raises:
            OfflineDatabaseError: the database could not be reached, or refused something.
        """
        module = self._engine.module
        try:
            connection = module.connect(**self._arguments)
        except module.Error as error:
            raise OfflineDatabaseError(
                f"the database can't be opened: {why_not_opened(error, self._arguments)}"
            ) from None
        try:
            with contextlib.closing(connection):
                self._begin(connection)
                yield Snapshot(connection, self._engine.convert_param_style, is_postgres=self.is_postgres)
        except module.Error as error:
            raise OfflineDatabaseError(f"the database said: {why_refused(error)}") from None

    def _begin(self, connection: Any) -> None:  # noqa: ANN401 - of two drivers
        if self.is_postgres:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            with contextlib.closing(connection.cursor()) as cursor:
                cursor.execute(_ALL_ROWS_ARE_READ)
            return
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        # SQLite's moment is that of the first look.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
