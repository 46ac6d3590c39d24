"""The database of a homeserver from outside, SQLite or PostgreSQL: to fill it, and to look what is left.

Synapse keeps counters and caches of what it wrote itself, so rows of events are written while it is stopped; rows of
media may be written at any time, because Synapse reads them anew for each request.
"""

import contextlib
import io
import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final

import psycopg2  # type: ignore[import-untyped]
from typing_extensions import Self

from synapse_bum.testing.synapse import RealSynapse

_CHUNK: Final = 20_000
_BUSY_SECONDS: Final = 30


class ServerDatabase:
    """One connection, which commits each call.

    Queries have question marks for parameters on both kinds of database.

    Attributes:
        is_postgres: or SQLite.
    """

    def __init__(self, synapse: RealSynapse) -> None:
        """Connect; the homeserver must have been started once, so that its tables are there.

        Args:
            synapse: whose database it is.
        """
        settings = synapse.config["database"]
        self.is_postgres = settings["name"] == "psycopg2"
        self._connection: Any
        if self.is_postgres:
            self._connection = psycopg2.connect(settings["args"]["dsn"])
            self._connection.autocommit = True
        else:
            path = settings["args"]["database"]
            self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with contextlib.closing(self._connection.cursor()) as cursor:
            self._run(cursor, query, parameters)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    def execute(self, statement: str, *parameters: object) -> int:
        """Run a statement and return how many rows it changed."""
        with contextlib.closing(self._connection.cursor()) as cursor:
            self._run(cursor, statement, parameters)
            return int(cursor.rowcount)

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Insert rows, as fast as the database takes them; on PostgreSQL by COPY, 20,000 in a transaction.

        Args:
            table: its name.
            columns: names.
            rows: values in the order of the columns.
        """
        remaining = iter(rows)
        while chunk := list(itertools.islice(remaining, _CHUNK)):
            with contextlib.closing(self._connection.cursor()) as cursor:
                if self.is_postgres:
                    copied = io.StringIO("".join("\t".join(map(_copied, row)) + "\n" for row in chunk))
                    cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", copied)
                else:
                    marks = ", ".join("?" * len(columns))
                    cursor.execute("BEGIN IMMEDIATE")
                    # Names of tables and columns are constants of the callers.
                    cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", chunk)  # noqa: S608
                    cursor.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, cursor: Any, statement: str, parameters: Sequence[object]) -> None:  # noqa: ANN401 - of two drivers
        if not parameters:
            cursor.execute(statement)
        elif self.is_postgres:
            cursor.execute(statement.replace("%", "%%").replace("?", "%s"), parameters)
        else:
            cursor.execute(statement, parameters)


@contextlib.contextmanager
def stopped(synapse: RealSynapse) -> Iterator[ServerDatabase]:
    """Stop a homeserver, yield its database, and start it again."""
    synapse.stop()
    with ServerDatabase(synapse) as database:
        yield database
    synapse.start()


def _copied(value: object) -> str:
    """A value in the text format of COPY (PostgreSQL: "COPY", "Text Format")."""
    if value is None:
        return r"\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
