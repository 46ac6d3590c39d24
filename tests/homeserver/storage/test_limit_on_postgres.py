"""The limit on PostgreSQL: processes race for the last bytes, and an update falls between two looks."""

import itertools
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

import pytest
from synapse.module_api import LoggingTransaction
from synapse.storage.engines import PostgresEngine

from synapse_bum.storage.limit import LIMIT, Limits, Refusal, reservations
from synapse_bum.storage.limit.decision import Used
from synapse_bum.storage.limit.reservations import Process, Upload
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.postgres_process import at_once

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse]

psycopg2: Any = pytest.importorskip("psycopg2")
T = TypeVar("T")

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_limit.py::UploadTests::test_after_an_update_the_ledger_alone_counts",
    "test_limit.py::InFlightTests::test_an_upload_whose_process_dies_ends_with_its_next_start",
    "test_alerts.py::TellingTests::test_usage_that_falls_is_said_and_makes_the_threshold_news_again",
    "test_alerts.py::FailingTests::test_two_processes_do_not_send_the_same_mail",
    "test_alerts.py::FailingTests::test_a_mail_that_nobody_could_send_for_a_week_is_given_up",
)
"""Tests whose SQL or locks PostgreSQL might take differently; each costs a copy of Synapse's database."""

PROCESSES = 8
ALICE, BOB = "@alice:test", "@bob:test"
LIMITS = Limits(1000, 1000, 1_000_000_000)


class Connection:
    """A connection as a process of its own has it."""

    def __init__(self, dsn: str, number: int) -> None:
        self.process = Process(f"media{number}", "first")
        self._connection = psycopg2.connect(dsn)
        self._engine = PostgresEngine({"name": "psycopg2", "args": {}, "allow_unsafe_locale": True})

    def run(self, func: Callable[[LoggingTransaction], T], isolation: str = "READ COMMITTED") -> T:
        self._connection.set_session(isolation_level=isolation)
        with self._connection, self._connection.cursor() as cursor:
            # Older versions of Synapse have no `server_name` here.
            named: dict[str, Any] = (
                {"server_name": "test"} if "server_name" in signature(LoggingTransaction).parameters else {}
            )
            return func(LoggingTransaction(txn=cursor, name="test", database_engine=self._engine, **named))

    def upload(self, ticket: str, size_bytes: int, counted: "reservations.Counted | None" = None) -> Refusal | None:
        upload = Upload(ticket, ALICE, size_bytes, 0)
        return self.run(lambda txn: reservations.reserve(txn, upload, self.process, LIMITS, counted or ledger))

    def update(self) -> None:
        """What the accounting does."""
        self.run(count, "REPEATABLE READ")

    def close(self) -> None:
        self._connection.close()


def ledger(txn: LoggingTransaction, _user_id: str) -> Used:
    """What the last update has found."""
    txn.execute("SELECT used FROM ledger")
    row = txn.fetchone()
    assert row is not None
    return Used(row[0], row[0])


def count(txn: LoggingTransaction) -> None:
    txn.execute("UPDATE ledger SET used = (SELECT COALESCE(SUM(size_bytes), 0) FROM files)")
    reservations.settle(txn, 0)


@pytest.fixture(scope="module")
def postgres() -> Iterator[RealPostgres]:
    with RealPostgres() as server:
        yield server


@pytest.fixture
def connections(postgres: RealPostgres) -> Iterator[list[Connection]]:
    opened = [Connection(postgres.dsn(), number) for number in range(PROCESSES)]

    def make(txn: LoggingTransaction) -> None:
        txn.execute("DROP TABLE IF EXISTS files, ledger, synapse_bum_storage_uploads")
        txn.execute("CREATE TABLE files (size_bytes BIGINT)")
        txn.execute("CREATE TABLE ledger (used BIGINT)")
        txn.execute("INSERT INTO ledger VALUES (0)")
        for migration in LIMIT.migrations:
            for statement in migration.postgres:
                txn.execute(statement)

    opened[0].run(make)
    yield opened
    for connection in opened:
        connection.close()


def test_of_several_that_race_for_the_last_bytes_one_wins(connections: list[Connection]) -> None:
    assert connections[0].upload("before", 900) is None
    for attempt in range(20):
        answers = at_once(connections, lambda each, number, n=attempt: each.upload(f"{n}-{number}", 60))  # type: ignore[misc]
        assert answers.count(None) == 1
        assert answers.count(Refusal.POOL) == PROCESSES - 1
        connections[0].run(lambda txn: txn.execute("DELETE FROM synapse_bum_storage_uploads WHERE ticket <> 'before'"))


def test_uploads_and_updates_at_once_never_exceed_the_limit_and_lose_nothing(connections: list[Connection]) -> None:
    tickets = itertools.count()

    def work(connection: Connection, number: int) -> int:
        stored = 0
        for _ in range(40):
            if number == 0:
                connection.update()
                continue
            ticket = str(next(tickets))
            if connection.upload(ticket, 7) is None:
                connection.run(lambda txn: txn.execute("INSERT INTO files VALUES (7)"))
                connection.run(lambda txn, name=ticket: reservations.finish(txn, name))  # type: ignore[misc]
                stored += 7
        return stored

    stored = sum(at_once(connections, work))
    connections[0].update()
    assert connections[0].run(lambda txn: ledger(txn, ALICE)).pool_bytes == stored
    assert 0 < stored <= 1000
    assert connections[0].upload("all but one byte", 1000 - stored) is None
    assert connections[0].upload("one byte", 1) is Refusal.POOL


@pytest.mark.parametrize("update_first", [True, False])
def test_an_update_between_two_looks_never_makes_an_upload_disappear(
    connections: list[Connection], *, update_first: bool
) -> None:
    first, second, *_ = connections
    assert first.upload("first", 600) is None
    first.run(lambda txn: txn.execute("INSERT INTO files VALUES (600)"))
    first.run(lambda txn: reservations.finish(txn, "first"))

    def counted(txn: LoggingTransaction, user_id: str) -> Used:
        if update_first:
            second.update()
        found = ledger(txn, user_id)
        second.update()
        return found

    assert first.upload("second", 401, counted) is Refusal.POOL
    assert first.upload("third", 400) is None


def test_our_homeserver_tests_pass_on_postgresql(postgres: RealPostgres) -> None:
    postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
