"""What only a real PostgreSQL shows: blocks, releases and queues of several processes at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus.findings.finding import Finding, FindingState, Source, get_finding
from synapse_bum.antivirus.findings.records import write_blocked
from synapse_bum.antivirus.findings.release import Release, release_file
from synapse_bum.antivirus.quarantine.quarantine_stream import note_change, take_notes
from synapse_bum.antivirus.tables import ANTIVIRUS
from synapse_bum.audit import AUDIT
from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.homeserver import quarantine_stream as stream
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.postgres_process import PostgresProcess, at_once

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.long]

T = TypeVar("T")

psycopg2: Any = pytest.importorskip("psycopg2")

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_quarantine_stream.py",
    "test_release.py::ReleasedFileTests::test_copies_of_the_same_bytes_are_released_together_each_with_its_audit_row",
    "test_release.py::OneKeyTests::test_a_release_drops_the_verdicts_of_its_keys",
    "test_release.py::SignatureTests",
    "test_rescan.py::NewSignaturesTests::test_each_version_has_one_run",
    "test_rescan.py::MishapTests::test_released_it_goes_on_and_leaves_the_rest_alone",
    "test_finding_deletion.py::DeleteTests::test_the_file_goes_and_the_record_stays",
    "test_forgetting.py::LocalFileTests::test_all_rows_go_with_the_file_and_those_of_others_stay",
    "test_forgetting.py::NameTests::test_what_is_on_hold_stays_until_the_hold_ends",
)
"""Tests whose SQL or locks PostgreSQL might take differently; each costs a copy of Synapse's database."""

ROUNDS = 25

# What our SQL touches of Synapse's tables.
LOCAL_MEDIA = (
    "CREATE TABLE local_media_repository (media_id TEXT PRIMARY KEY, user_id TEXT, url_cache TEXT, sha256 TEXT,"
    " media_length INTEGER, quarantined_by TEXT, safe_from_quarantine BOOLEAN NOT NULL DEFAULT FALSE)"
)
REMOTE_MEDIA = "CREATE TABLE remote_media_cache (media_origin TEXT, media_id TEXT, sha256 TEXT, quarantined_by TEXT)"


@pytest.fixture(scope="module")
def postgres() -> Iterator[RealPostgres]:
    with RealPostgres() as server:
        yield server


@pytest.fixture
def processes(postgres: RealPostgres) -> Iterator[tuple[PostgresProcess, PostgresProcess]]:
    maintenance = psycopg2.connect(postgres.dsn())
    maintenance.autocommit = True
    maintenance.cursor().execute("DROP DATABASE IF EXISTS races")
    maintenance.cursor().execute("CREATE DATABASE races")
    maintenance.close()
    opened = PostgresProcess(postgres.dsn("races")), PostgresProcess(postgres.dsn("races"))
    opened[0].run(lambda txn: migrate(txn, Dialect.POSTGRES, (AUDIT, ANTIVIRUS)))
    opened[0].run(lambda txn: txn.execute(LOCAL_MEDIA))
    opened[0].run(lambda txn: txn.execute(REMOTE_MEDIA))
    yield opened
    for process in opened:
        process.close()


def test_a_block_and_a_release_at_the_same_time_never_leave_a_released_file_blocked(
    processes: tuple[PostgresProcess, PostgresProcess],
) -> None:
    scanner, operator = processes
    stored = StoredMedia("test", "media", "media", local=True)

    def finding(state: FindingState) -> Finding:
        return Finding("test", "media", "0" * 64, "Win.Test-1", state, Source.RESCAN, None, None, 1)

    def block(txn: LoggingTransaction) -> object:
        return write_blocked(txn, stored, finding, begun_ms=5)

    def release(txn: LoggingTransaction) -> object:
        return release_file(txn, "test", "media", Release("@boss:test", "harmless", "test", 10))

    def outcome(txn: LoggingTransaction) -> tuple[FindingState | None, str | None]:
        found = get_finding(txn, "test", "media")
        txn.execute("SELECT quarantined_by FROM local_media_repository")
        (row,) = txn.fetchall()
        return None if found is None else found.state, row[0]

    def begin(txn: LoggingTransaction) -> None:
        for table in ("findings", "exemptions"):
            txn.execute(f"DELETE FROM synapse_bum_antivirus_{table}")  # noqa: S608 - two fixed names
        txn.execute("DELETE FROM local_media_repository")
        txn.execute("INSERT INTO local_media_repository (media_id, media_length) VALUES ('media', 1)")

    for _ in range(ROUNDS):
        scanner.run(begin)
        scanner.run(block)
        at_once((scanner, operator), lambda each, number: each.run((block, release)[number]))
        assert scanner.run(outcome) == (FindingState.RELEASED, None)


@pytest.mark.only_if(stream.EXISTS)
def test_two_writers_of_the_stream_share_the_notes_and_lose_none(
    processes: tuple[PostgresProcess, PostgresProcess],
) -> None:
    def note(txn: LoggingTransaction) -> None:
        for number in range(200):
            note_change(txn, "test", f"media{number}", quarantined=True, now_ms=number)

    def take_all(process: PostgresProcess) -> list[str]:
        taken: list[str] = []
        while page := process.run(lambda txn: take_notes(txn, 7)):
            taken += [media_id for _, media_id, _ in page]
        return taken

    processes[0].run(note)
    taken = at_once(processes, lambda each, _number: take_all(each))
    left = take_all(processes[0])
    assert sorted([*taken[0], *taken[1], *left]) == sorted(f"media{number}" for number in range(200))


def test_our_homeserver_tests_pass_on_postgresql(postgres: RealPostgres) -> None:
    postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
