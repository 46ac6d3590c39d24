"""What only a real PostgreSQL shows: changes of several processes at once, and our SQL in its dialect."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from synapse_bum.audit import AUDIT, Entry, append, verify
from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.federation import partners
from synapse_bum.federation.partner import Partner, Source
from synapse_bum.federation.tables import FEDERATION
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.postgres_process import PostgresProcess, PostgresTransaction

pytestmark = pytest.mark.requires("postgresql")

T = TypeVar("T")

psycopg2: Any = pytest.importorskip("psycopg2")

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_partners.py::PartnersTestCase::test_the_audit_says_who_did_what_and_why",
    "test_partners.py::WaitingTestCase::test_a_wildcard_that_comes_back_finds_nothing",
    "test_removal.py::RemovalTestCase::test_rooms_without_power_are_named_before_and_after",
    "test_removal.py::RemovalTestCase::test_what_is_queued_is_not_delivered_when_the_partner_is_back",
    "test_removal.py::WildcardTestCase::test_a_wildcard_takes_with_it_whom_nobody_else_lets_in",
    "test_signed_list.py::ListInAFileTestCase::test_what_waits_for_a_server_that_the_list_brings_is_dropped",
    "test_signed_list.py::ListInAFileTestCase::test_one_that_drops_many_waits_for_an_operator",
)
"""Tests whose SQL or locks PostgreSQL might take differently; each costs a copy of Synapse's database."""

PROCESSES = 6
CHANGES = 30


@pytest.fixture(scope="module")
def postgres() -> Iterator[RealPostgres]:
    with RealPostgres() as server:
        yield server


@pytest.fixture
def processes(postgres: RealPostgres) -> Iterator[list[PostgresProcess]]:
    opened = [PostgresProcess(postgres.dsn()) for _ in range(PROCESSES + 1)]
    opened[0].run(lambda txn: migrate(txn, Dialect.POSTGRES, (AUDIT, FEDERATION)))
    yield opened
    for process in opened:
        process.close()


def test_whoever_has_read_a_generation_has_read_all_changes_up_to_it(processes: list[PostgresProcess]) -> None:
    """Several processes add partners while one reads: with generation n it must see n partners."""
    reader, *writers = processes
    done = threading.Event()

    def write(number: int) -> None:
        for change in range(CHANGES):

            def add(txn: PostgresTransaction, name: str = f"p{number}-{change}.example") -> None:
                partners.begin_change(txn, 1)
                partners.put(txn, Partner(name, None, Source.MANAGED, created_ts=1))
                append(txn, Entry(1, "test", "federation.added", name))

            writers[number].run(add)

    def read() -> list[tuple[int, int]]:
        seen = []
        while not done.is_set():
            seen.append(reader.run(lambda txn: (partners.generation(txn).number, len(partners.read_all(txn)))))
        return seen

    with ThreadPoolExecutor(PROCESSES + 1) as threads:
        reading = threads.submit(read)
        try:
            list(threads.map(write, range(PROCESSES)))
        finally:
            done.set()
        seen = reading.result()
    # The second query may see more than the first one; never less.
    assert seen
    assert [pair for pair in seen if pair[1] < pair[0]] == []
    total = PROCESSES * CHANGES
    assert reader.run(lambda txn: (partners.generation(txn).number, len(partners.read_all(txn)))) == (total, total)
    assert reader.run(verify) is None


def test_our_homeserver_tests_pass_on_postgresql(postgres: RealPostgres) -> None:
    postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
