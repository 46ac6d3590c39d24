"""What only a real PostgreSQL shows: the same form in several processes at once, and our SQL in its dialect."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.portal.sessions.records import claim_form
from synapse_bum.portal.support import SUPPORT, tickets
from synapse_bum.portal.support.outbox import MailKind, add_mails, take_mail
from synapse_bum.portal.support.reaction import Category
from synapse_bum.portal.support.tickets import Ticket
from synapse_bum.portal.tables import PORTAL
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.postgres_process import PostgresProcess

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse, pytest.mark.long]

psycopg2: Any = pytest.importorskip("psycopg2")

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_account_deletion.py::InterruptedTestCase::test_a_process_that_dies_leaves_a_mark_and_anybody_goes_on",
    "test_account_deletion.py::LoginTestCase::test_the_token_of_a_process_that_died_is_ended_all_the_same",
    "test_daily_statistics.py::CountingTestCase::test_a_day_is_counted_once_when_it_is_over",
    "test_daily_statistics.py::ActivityTestCase::test_users_of_a_day_where_that_is_switched_on",
    "test_file_deletion.py::FileDeletionTestCase::test_all_files_of_an_account_that_nobody_can_use",
    "test_forms.py::FormTestCase::test_a_form_is_carried_out_once_however_often_it_comes",
    "test_forms.py::FormTestCase::test_after_a_failure_the_same_form_may_come_again",
    "test_support.py::ReportTestCase::test_a_mail_waits_until_the_mail_server_is_back",
    "test_support.py::ReportTestCase::test_answered_reports_go_when_they_are_old_and_others_stay",
    "test_support.py::ReportTestCase::test_from_the_report_to_the_answer",
    "test_left_behind.py::RowsTestCase::test_of_one_user_only_the_newest_drafts_are_kept",
    "test_left_behind.py::RowsTestCase::test_what_was_noted_is_forgotten",
    "test_left_behind.py::TokenTestCase::test_one_that_is_used_lives_until_its_last_hour",
    "test_oidc_login.py::TokenTestCase::test_two_pages_at_once_renew_once",
    "test_oidc_login.py::TokenTestCase::test_what_was_typed_is_there_after_the_login",
    "test_session.py::SessionTestCase::test_after_logout_neither_cookie_nor_token_opens_anything",
    "test_steps.py::StepTestCase::test_what_was_refused_is_written_down_too",
    "test_turns.py::TurnsTestCase::test_who_remove_each_other",
)
"""Tests whose SQL or locks PostgreSQL might take differently; each costs a copy of Synapse's database."""

PROCESSES = 6
FORMS = 30
REPORTS = 10


@pytest.fixture(scope="module")
def postgres() -> Iterator[RealPostgres]:
    with RealPostgres() as server:
        yield server


def test_a_form_that_reaches_several_processes_is_carried_out_by_one(postgres: RealPostgres) -> None:
    processes = [PostgresProcess(postgres.dsn()) for _ in range(PROCESSES)]
    processes[0].run(lambda txn: migrate(txn, Dialect.POSTGRES, (PORTAL,)))

    def claim_all(process: PostgresProcess) -> list[bool]:
        return [process.run(partial(claim_form, form_id=f"form{n}", until_ms=10)) for n in range(FORMS)]

    with ThreadPoolExecutor(PROCESSES) as threads:
        claimed = list(threads.map(claim_all, processes))
    assert [sum(each) for each in zip(*claimed, strict=True)] == [1] * FORMS
    for process in processes:
        process.close()


def test_of_processes_that_act_at_once_one_confirms_a_report_and_one_takes_each_mail(postgres: RealPostgres) -> None:
    processes = [PostgresProcess(postgres.dsn()) for _ in range(PROCESSES)]
    processes[0].run(lambda txn: migrate(txn, Dialect.POSTGRES, (SUPPORT,)))
    for n in range(REPORTS):
        ticket = Ticket(f"T{n}", Category.NORMAL, "text", "contact", None, "@boss:test", n)
        processes[0].run(partial(tickets.add, ticket=ticket))
        processes[0].run(partial(add_mails, kind=MailKind.REPORTED, ticket_id=f"T{n}", email=None, now_ms=n))

    def act(process: PostgresProcess) -> tuple[list[bool], list[str]]:
        confirm = partial(tickets.confirm, category=Category.URGENT, actor="@op:test", now_ms=5)
        confirmed = [process.run(partial(confirm, ticket_id=f"T{n}")) for n in range(REPORTS)]
        taken = [process.run(partial(take_mail, now_ms=1_000)) for _ in range(2 * REPORTS)]
        return confirmed, [waiting.mail_id for waiting in taken if waiting is not None]

    with ThreadPoolExecutor(PROCESSES) as threads:
        acted = list(threads.map(act, processes))
    assert [sum(each) for each in zip(*(confirmed for confirmed, _ in acted), strict=True)] == [1] * REPORTS
    mails = [mail_id for _, taken in acted for mail_id in taken]
    assert len(mails) == len(set(mails)) == REPORTS
    for process in processes:
        process.close()


def test_our_homeserver_tests_pass_on_postgresql(postgres: RealPostgres) -> None:
    postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
