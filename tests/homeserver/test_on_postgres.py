"""What only a real PostgreSQL shows: several processes at once, and our homeserver tests on it instead of SQLite."""

import logging
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest

from synapse_bum.audit import AUDIT, Entry, append, verify
from synapse_bum.database import Component, Dialect, Migration, SchemaTooNewError
from synapse_bum.database.leases import LEASES, Claim, acquire, clock_sql, release, renew
from synapse_bum.database.schema import migrate, refuse_newer
from synapse_bum.secret_store import SECRETS, get_or_create
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.postgres_process import PostgresProcess, PostgresTransaction, at_once

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.long]

T = TypeVar("T")

psycopg2: Any = pytest.importorskip("psycopg2")

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_database.py::ReadinessTestCase",
    "test_database.py::TransactionTestCase",
    "test_database.py::LeaseTestCase::test_one_of_two_gets_it_and_the_other_after_its_release",
    "test_database.py::LeaseTestCase::test_the_other_takes_over_when_it_ends",
    "test_audit.py::WritingTestCase",
    "test_audit.py::RouteTestCase::test_pages_and_filters",
)
"""Tests whose SQL or locks PostgreSQL might take differently; each costs a copy of Synapse's database."""

PROCESSES = 8
ENOUGH_SPANS = 11
EXAMPLE = Component("example", (Migration.both(1, "CREATE TABLE synapse_bum_example (a INTEGER)"),))


@pytest.fixture(scope="module")
def postgres() -> Iterator[RealPostgres]:
    with RealPostgres() as server:
        yield server


@pytest.fixture
def processes(postgres: RealPostgres) -> Iterator[list[PostgresProcess]]:
    """Several processes on one empty database."""
    name = f"test_{time.monotonic_ns()}"
    maintenance = psycopg2.connect(postgres.dsn())
    maintenance.autocommit = True
    maintenance.cursor().execute(f"CREATE DATABASE {name}")
    maintenance.close()
    opened = [PostgresProcess(postgres.dsn(name)) for _ in range(PROCESSES)]
    yield opened
    for process in opened:
        process.close()


def make_tables(*components: Component) -> Callable[[PostgresTransaction], None]:
    return lambda txn: migrate(txn, Dialect.POSTGRES, components)


def test_processes_that_start_at_the_same_time_make_the_tables_once(processes: list[PostgresProcess]) -> None:
    components = (EXAMPLE, LEASES, SECRETS, AUDIT)
    at_once(processes, lambda process, _number: process.run(make_tables(*components)))

    def versions(txn: PostgresTransaction) -> list[tuple[Any, ...]]:
        txn.execute("SELECT component, version FROM synapse_bum_schema ORDER BY component")
        return txn.fetchall()

    assert processes[0].run(versions) == [("audit", 1), ("example", 1), ("leases", 1), ("secrets", 1)]


def test_without_tables_nothing_is_newer(processes: list[PostgresProcess]) -> None:
    processes[0].run(lambda txn: refuse_newer(txn, Dialect.POSTGRES, [LEASES, EXAMPLE]))
    processes[0].run(make_tables(EXAMPLE))
    processes[0].run(lambda txn: refuse_newer(txn, Dialect.POSTGRES, [LEASES, EXAMPLE]))


def test_a_later_database_is_refused(processes: list[PostgresProcess]) -> None:
    later = Component("example", (*EXAMPLE.migrations, Migration.both(2, "SELECT 1")))
    processes[0].run(make_tables(later))
    with pytest.raises(SchemaTooNewError, match="version 2 of the synapse_bum tables for example"):
        processes[1].run(make_tables(LEASES, EXAMPLE))
    with pytest.raises(SchemaTooNewError, match="version 2 of the synapse_bum tables for example"):
        processes[1].run(lambda txn: refuse_newer(txn, Dialect.POSTGRES, [LEASES, EXAMPLE]))
    processes[1].run(make_tables(LEASES))


def test_processes_that_ask_at_the_same_time_get_the_same_secret(processes: list[PostgresProcess]) -> None:
    processes[0].run(make_tables(SECRETS))

    def ask(process: PostgresProcess, number: int) -> str:
        def slowly(txn: PostgresTransaction) -> str:
            value = get_or_create(txn, "name", lambda: f"made by {number}").value
            time.sleep(0.02)
            return value

        return process.run(slowly)

    assert len(set(at_once(processes, ask))) == 1


def test_appends_at_the_same_time_make_one_chain(
    processes: list[PostgresProcess], caplog: pytest.LogCaptureFixture
) -> None:
    processes[0].run(make_tables(AUDIT))
    caplog.set_level(logging.WARNING, logger="synapse_bum.audit")

    def write(process: PostgresProcess, number: int) -> None:
        def once(txn: PostgresTransaction) -> None:
            txn.execute("SELECT count(*) FROM synapse_bum_audit")
            append(txn, Entry(1, f"job {number}", "example.done", "target"))

        for _ in range(25):
            process.run(once)

    at_once(processes, write)

    def ids(txn: PostgresTransaction) -> list[int]:
        txn.execute("SELECT id FROM synapse_bum_audit ORDER BY id")
        return [row[0] for row in txn.fetchall()]

    assert processes[0].run(ids) == list(range(1, 25 * PROCESSES + 1))
    assert processes[0].run(verify) is None


def test_a_lease_has_one_holder_at_any_time(processes: list[PostgresProcess]) -> None:
    """Holders write down when they surely held it; no two such spans overlap."""
    processes[0].run(make_tables(LEASES))
    now = clock_sql(Dialect.POSTGRES, 0)
    ttl = 0.03

    spans: list[tuple[float, float]] = []

    def compete(process: PostgresProcess, number: int) -> None:
        claim = Claim("duty", f"owner {number}", int(ttl * 1000))
        begun = time.monotonic()
        # A busy machine needs longer until there is enough to compare.
        while (passed := time.monotonic() - begun) < 1.5 or (len(spans) < ENOUGH_SPANS and passed < 60):
            asked = time.monotonic()
            if not process.run(lambda txn: acquire(txn, claim, now)):
                continue
            got = time.monotonic()
            if number % 2:
                renewed = time.monotonic()
                asked = renewed if process.run(lambda txn: renew(txn, claim, now)) else asked
            end = asked + ttl
            if number % 3:
                time.sleep(ttl)
            else:
                end = min(time.monotonic(), end)
            if got < end:
                spans.append((got, end))
            if not number % 3:
                process.run(lambda txn: release(txn, claim.name, claim.owner))

    at_once(processes, compete)
    assert len(spans) >= ENOUGH_SPANS
    for (_start, end), (following, _end) in pairwise(sorted(spans)):
        assert end <= following


def test_our_homeserver_tests_pass_on_postgresql(postgres: RealPostgres) -> None:
    postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
