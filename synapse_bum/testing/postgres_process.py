"""`PostgresProcess`: a connection to PostgreSQL as another process of the homeserver would have it, without Synapse."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import psycopg2  # type: ignore[import-untyped]
import psycopg2.extensions  # type: ignore[import-untyped]

T = TypeVar("T")
P = TypeVar("P")

_START_SECONDS: Final = 10


class PostgresTransaction:
    """A psycopg2 cursor with `?` for parameters, as Synapse's transactions have it."""

    def __init__(self, cursor: Any) -> None:  # noqa: ANN401 - psycopg2 has no types
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""
        return int(self._cursor.rowcount)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> object:
        """Runs one statement."""
        return self._cursor.execute(sql.replace("?", "%s"), tuple(parameters))

    def fetchone(self) -> Any:  # noqa: ANN401 - a row
        """Returns the next row."""
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """Returns all other rows."""
        return list(self._cursor.fetchall())

    def call_after(self, callback: Callable[..., object], *args: object, **kwargs: object) -> None:
        """What Synapse does after the commit is left out."""


class PostgresProcess:
    """A connection with transactions that are READ COMMITTED, as `Database.run` has it."""

    def __init__(self, dsn: str) -> None:
        """Connects.

        Args:
            dsn: of the database.
        """
        # A lock that is never let go is an error, and no test that never ends.
        self._connection = psycopg2.connect(dsn, options="-c lock_timeout=60s -c statement_timeout=60s")
        self._connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_READ_COMMITTED)

    def run(self, func: Callable[[Any], T]) -> T:
        """Runs a function in one transaction, once.

        Args:
            func: gets a `PostgresTransaction`, which it may take for a transaction of Synapse.
        """
        with self._connection, self._connection.cursor() as cursor:
            return func(PostgresTransaction(cursor))

    def close(self) -> None:
        """Disconnects."""
        self._connection.close()


def at_once(workers: Sequence[P], work: Callable[[P, int], T]) -> list[T]:
    """Does the same work with each worker, all starting together, each in a thread of its own.

    Args:
        workers: connections, for example.
        work: gets a worker and its number.

    Returns:
        What each has returned, in their order.
    """
    barrier = threading.Barrier(len(workers))

    def start(number: int) -> T:
        barrier.wait(_START_SECONDS)
        return work(workers[number], number)

    with ThreadPoolExecutor(len(workers)) as threads:
        return list(threads.map(start, range(len(workers))))
