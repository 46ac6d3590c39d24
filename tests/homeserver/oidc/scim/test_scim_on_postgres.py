"""What only a real PostgreSQL shows: several processes at once, and our SQL in its dialect."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.oidc.last_admin import take_turn
from synapse_bum.oidc.scim import budget
from synapse_bum.oidc.tables import OIDC
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.postgres_process import PostgresProcess

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse]

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_scim_people.py::CreateTestCase::test_who_has_logged_in_before_is_taken_over_with_his_account",
    "test_scim_people.py::FindTestCase::test_people_are_found_before_they_are_created",
    "test_scim_people.py::FindTestCase::test_pages_hold_everybody_once",
    "test_scim_people.py::TrustedEmailTestCase",
    "test_scim_leavers.py::DeleteTestCase::test_deleted_is_locked_at_once_and_deactivated_after_30_days",
    "test_scim_leavers.py::DeleteTestCase::test_created_anew_within_30_days_it_is_the_same_account",
    "test_scim_leavers.py::CrashTestCase::test_a_commit_that_fails_leaves_all_as_it_was",
    "test_scim_leavers.py::LastAdminTestCase::test_the_last_one_stays",
    "test_scim_leavers.py::LeavesTestCase::test_tokens_are_refused_and_devices_are_gone_when_the_answer_comes",
    "test_scim_leavers.py::LimitTestCase::test_a_mishap_ends_the_access_of_no_more_people_than_the_limit",
    "test_scim_creation_faults.py::CreationFaultsTestCase::test_without_another_post_the_duty_links_it",
    "test_scim_creation_faults.py::CreationFaultsTestCase::test_two_posts_at_once_make_one_account",
    "test_scim_ending_requests.py::LockedByHandTestCase",
    "test_scim_ending_requests.py::OneWhoFlapsTestCase::test_he_takes_nothing_from_others",
    "test_scim_people.py::FindTestCase::test_an_old_login_keeps_its_name_from_nobody_who_is_provisioned",
    "test_scim_http.py::DoorTestCase::test_ids_that_are_nobodys",
)
"""Tests whose SQL or locks PostgreSQL might take differently; each costs a copy of Synapse's database."""

PROCESSES = 6
ENDINGS = 10
LIMIT = 25
NOW_MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def postgres() -> Iterator[RealPostgres]:
    with RealPostgres() as server:
        yield server


@pytest.fixture
def processes(postgres: RealPostgres) -> Iterator[list[PostgresProcess]]:
    opened = [PostgresProcess(postgres.dsn()) for _ in range(PROCESSES)]
    opened[0].run(lambda txn: migrate(txn, Dialect.POSTGRES, (OIDC,)))
    yield opened
    for process in opened:
        process.close()


def test_all_processes_share_one_limit(processes: list[PostgresProcess]) -> None:
    """A mishap comes over many connections at once; together they end no more than one of them could."""

    def end_many(process: PostgresProcess) -> int:
        spent = 0
        for number in range(ENDINGS):

            def end(txn: object, subject: str = f"{id(process)} {number}") -> int | None:
                take_turn(txn)  # type: ignore[arg-type]
                return budget.spend(txn, "idp", subject, LIMIT, NOW_MS)  # type: ignore[arg-type]

            spent += process.run(end) is None
        return spent

    with ThreadPoolExecutor(PROCESSES) as threads:
        assert sum(threads.map(end_many, processes)) == LIMIT


def test_homeserver_tests_pass_on_postgres(postgres: RealPostgres) -> None:
    postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
