"""What only a real PostgreSQL shows: logins in several processes at once, and our SQL in its dialect."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.oidc import localparts, people
from synapse_bum.oidc.localparts import Choice, Newcomer, Outcome
from synapse_bum.oidc.mapping import AdminClaim, Decision
from synapse_bum.oidc.tables import OIDC
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.postgres_process import PostgresProcess, PostgresTransaction, at_once

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse]

T = TypeVar("T")

psycopg2: Any = pytest.importorskip("psycopg2")

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_mapping_provider.py::AccountTestCase::test_nobody_gets_an_account_that_is_not_his",
    "test_mapping_provider.py::AccountTestCase::test_each_login_is_written_down_once_and_pending",
    "test_mapping_provider.py::AccountTestCase::test_what_no_database_takes_does_not_reach_it",
    "test_mapping_provider_names.py::ReservationTestCase",
    "test_mapping_provider_refusals.py::RoleTestCase::test_who_was_ended_by_scim_comes_in_no_more",
    "test_links.py::LinksTestCase",
    "test_preview.py::PreviewTestCase::test_it_says_what_a_login_does_and_changes_nothing",
)
"""Tests whose SQL or locks PostgreSQL might take differently; each costs a copy of Synapse's database."""

PROCESSES = 6
ROUNDS = 20
SYNAPSES_TABLES = (
    "CREATE TABLE users (name TEXT UNIQUE)",
    "CREATE TABLE user_external_ids (auth_provider TEXT, external_id TEXT, user_id TEXT)",
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[RealPostgres]:
    with RealPostgres() as server:
        yield server


@pytest.fixture
def processes(postgres: RealPostgres) -> Iterator[list[PostgresProcess]]:
    opened = [PostgresProcess(postgres.dsn()) for _ in range(PROCESSES)]

    def make(txn: PostgresTransaction) -> None:
        txn.execute("DROP SCHEMA public CASCADE")
        txn.execute("CREATE SCHEMA public")
        for statement in SYNAPSES_TABLES:
            txn.execute(statement)
        migrate(txn, Dialect.POSTGRES, (OIDC,))

    opened[0].run(make)
    yield opened
    for process in opened:
        process.close()


def somebody(subject: str, name: str) -> Newcomer:
    return Newcomer("keycloak", "oidc-keycloak", subject, "test", (name, f"{name}-{subject}"))


def test_of_many_people_with_one_name_each_gets_another_user_id(processes: list[PostgresProcess]) -> None:
    for number in range(ROUNDS):
        name = f"anna{number}"

        def log_in(process: PostgresProcess, person: int, name: str = name) -> Choice:
            return process.run(lambda txn: localparts.reserve(txn, somebody(str(person), name), 1))

        choices = at_once(processes, log_in)
        assert {choice.outcome for choice in choices} == {Outcome.FREE}
        given = [choice.localpart for choice in choices]
        assert len(set(given)) == PROCESSES
        assert given.count(name) == 1


def test_one_person_gets_one_name_in_whatever_process(processes: list[PostgresProcess]) -> None:
    for number in range(ROUNDS):
        name = f"anna{number}"

        def log_in(process: PostgresProcess, _number: int, name: str = name) -> Choice:
            return process.run(lambda txn: localparts.reserve(txn, somebody("one", name), 1))

        assert {choice.localpart for choice in at_once(processes, log_in)} == {name}


def test_logins_of_one_person_at_once_end_in_one_that_is_pending(processes: list[PostgresProcess]) -> None:
    decision = Decision(
        allowed=True,
        subject="one",
        localpart="anna",
        user_name="anna",
        display_name=None,
        email=None,
        admin=AdminClaim.NO,
        guest=False,
        reasons=(),
    )

    def log_in(process: PostgresProcess, _number: int) -> bool:
        return process.run(lambda txn: people.note_login(txn, "keycloak", decision, 1))

    assert at_once(processes, log_in) == [True] * PROCESSES
    (first,) = processes[0].run(lambda txn: people.pending(txn, 10))
    processes[0].run(lambda txn: people.note_login(txn, "keycloak", decision, first.login_ts))
    assert not processes[0].run(lambda txn: people.applied(txn, first)), "another login came meanwhile"
    (second,) = processes[0].run(lambda txn: people.pending(txn, 10))
    assert processes[0].run(lambda txn: people.pending_of(txn, "keycloak", "one")) == second
    assert at_once(processes, lambda process, _: process.run(lambda txn: people.applied(txn, second))).count(True) == 1
    assert processes[0].run(lambda txn: people.pending(txn, 10)) == []


def test_our_homeserver_tests_pass_on_postgresql(postgres: RealPostgres) -> None:
    postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
