"""The availability module on PostgreSQL instead of SQLite: the same tests, and processes that write at once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from synapse_bum.audit import AUDIT, verify
from synapse_bum.availability import outages
from synapse_bum.availability.calculation import Span
from synapse_bum.availability.measuring import Slices
from synapse_bum.availability.probes import ProbeResult, ProbeState
from synapse_bum.availability.recording import deliver
from synapse_bum.availability.tables import AVAILABILITY
from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.testing.berlin import berlin_ms
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.postgres_process import PostgresProcess, PostgresTransaction

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse, pytest.mark.long]

pytest.importorskip("psycopg2")

HERE = Path(__file__).parent
MEASURED = "test_probes.py::MeasuredTestCase"
ON_POSTGRES = (
    "test_outages.py::OutagesTestCase::test_an_outage_is_entered_shown_changed_and_removed_with_its_audit",
    "test_outages.py::ReportTestCase::test_only_a_ticket_makes_an_outage_count_and_an_excuse_takes_it_out",
    "test_outages.py::MaintenanceTestCase::test_it_is_announced_before_and_once_for_each_moment",
    f"{MEASURED}::test_late_results_join_what_was_apart_and_keep_what_an_operator_said",
    f"{MEASURED}::test_results_that_come_twice_change_nothing",
    f"{MEASURED}::test_when_the_probe_falls_silent_the_outage_ends_with_what_it_saw",
    f"{MEASURED}::test_results_are_listed_newest_first",
)
"""Tests whose SQL PostgreSQL might take differently; each costs a copy of Synapse's database."""


PROCESSES = 4
MINUTE_MS = 60_000
SLICES = Slices(MINUTE_MS)
BEGIN_MS = berlin_ms("2026-06-15 12:00")
NOW_MS = BEGIN_MS + 600 * MINUTE_MS
ROUNDS = 40


def result(place: int, state: ProbeState) -> ProbeResult:
    ts = BEGIN_MS + place * MINUTE_MS
    return ProbeResult(f"p{place}", ts, state, *(None, None, None, None, None), received_ts=NOW_MS)


def test_our_homeserver_tests_pass_on_postgresql() -> None:
    with RealPostgres() as postgres:
        postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)


def test_processes_that_take_results_over_at_once_write_each_outage_once() -> None:
    """In each round all of them know of another minute of the same outage; nobody comes later who could tidy up."""
    length = PROCESSES + 1
    together = Barrier(PROCESSES, timeout=60)

    def fail(process: PostgresProcess, number: int) -> None:
        for begin in range(0, ROUNDS * length, length):
            together.wait()
            failed = [result(begin + 1 + number, ProbeState.FAILED)]

            def take(txn: PostgresTransaction, failed: Sequence[ProbeResult] = failed) -> object:
                return deliver(txn, failed, 0, SLICES, NOW_MS)

            process.run(take)

    with RealPostgres() as postgres:
        processes = [PostgresProcess(postgres.dsn()) for _ in range(PROCESSES)]
        try:
            processes[0].run(lambda txn: migrate(txn, Dialect.POSTGRES, (AUDIT, AVAILABILITY)))
            good = [result(begin * length, ProbeState.OK) for begin in range(ROUNDS + 1)]
            processes[0].run(lambda txn: deliver(txn, good, 0, SLICES, NOW_MS))
            with ThreadPoolExecutor(PROCESSES) as threads:
                list(threads.map(fail, processes, range(PROCESSES)))
            found = processes[0].run(lambda txn: outages.read_within(txn, Span(0, 2**53)))
            assert processes[0].run(verify) is None
        finally:
            for process in processes:
                process.close()
    assert [(one.from_ts - BEGIN_MS) // MINUTE_MS for one in found] == [begin * length + 1 for begin in range(ROUNDS)]
