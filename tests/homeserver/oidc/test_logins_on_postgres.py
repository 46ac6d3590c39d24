"""What only a real PostgreSQL shows of logins: two processes at once, workers, and our SQL in its dialect."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from synapse.storage.engines import PostgresEngine

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.homeserver.admin_changes import write_admin
from synapse_bum.homeserver.user_emails import bind, holder_of
from synapse_bum.oidc import last_admin
from synapse_bum.oidc.tables import OIDC
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.postgres_process import PostgresProcess, PostgresTransaction, at_once

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse, pytest.mark.long]

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_admins.py::RoleTestCase::test_a_role_makes_an_administrator_at_the_login_and_its_absence_ends_it",
    "test_admins.py::ByHandTestCase",
    "test_admins.py::LastAdministratorTestCase::test_the_last_one_stays_until_somebody_else_can_administer_the_server",
    "test_logins.py::NameTestCase::test_a_name_that_can_not_be_set_stays_pending_and_comes_within_a_minute",
    "test_logins.py::EmailTestCase::test_somebody_elses_address_stays_his",
    "test_logins.py::EmailTestCase::test_an_address_that_its_holder_gave_up_is_bound_at_the_next_login",
    "worker_logins.py",
)
"""Tests whose SQL or locks PostgreSQL might take differently; each costs a copy of Synapse's database."""

ROUNDS = 20
USERS = (
    "CREATE TABLE users (name TEXT UNIQUE, admin SMALLINT NOT NULL DEFAULT 1, is_guest SMALLINT NOT NULL DEFAULT 0,"
    " appservice_id TEXT, user_type TEXT, approved BOOLEAN, deactivated SMALLINT NOT NULL DEFAULT 0,"
    " locked BOOLEAN NOT NULL DEFAULT FALSE)"
)
THREEPIDS = (
    "CREATE TABLE user_threepids (user_id TEXT NOT NULL, medium TEXT NOT NULL, address TEXT NOT NULL,"
    " validated_at BIGINT NOT NULL, added_at BIGINT NOT NULL, UNIQUE (medium, address))"
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[RealPostgres]:
    with RealPostgres() as server:
        yield server


@pytest.fixture(scope="module")
def processes(postgres: RealPostgres) -> Iterator[list[PostgresProcess]]:
    """Two processes on one database with the tables of Synapse that matter here."""

    def make(txn: PostgresTransaction) -> None:
        migrate(txn, Dialect.POSTGRES, (OIDC,))
        for table in (USERS, THREEPIDS):
            txn.execute(table)

    opened = [PostgresProcess(postgres.dsn()) for _ in range(2)]
    opened[0].run(make)
    yield opened
    for process in opened:
        process.close()


def test_of_two_processes_that_take_away_the_last_two_administrators_one_does_not(
    processes: list[PostgresProcess],
) -> None:
    names = ["@anna:x", "@bert:x"]
    processes[0].run(lambda txn: [txn.execute("INSERT INTO users (name) VALUES (?)", (name,)) for name in names])

    def remove(txn: Any, number: int) -> bool:  # noqa: ANN401 - as `PostgresProcess.run` has it
        txn.database_engine = object.__new__(PostgresEngine)
        last_admin.take_turn(txn)
        stays = last_admin.another_administrator_stays(txn, names[number])
        if stays:
            write_admin(txn, names[number], is_admin=False)
        return stays

    for _ in range(ROUNDS):
        assert sorted(at_once(processes, lambda each, number: each.run(lambda txn: remove(txn, number)))) == [
            False,
            True,
        ]
        processes[0].run(lambda txn: txn.execute("UPDATE users SET admin = 1"))


def test_of_two_people_with_one_address_one_gets_it(processes: list[PostgresProcess]) -> None:
    names = ["@anna:x", "@bert:x"]
    for number in range(ROUNDS):
        address = f"{number}@x.example"

        def take(txn: Any, who: int, address: str = address) -> bool:  # noqa: ANN401 - as above
            return bind(txn, names[who], address, 1)

        bound = at_once(processes, lambda each, number: each.run(lambda txn: take(txn, number)))
        assert sorted(bound) == [False, True]
        assert processes[0].run(partial(holder_of, address=address)) == names[bound.index(True)]


def test_our_homeserver_tests_pass_on_postgresql(postgres: RealPostgres) -> None:
    postgres.assert_synapse_tests_pass(str(HERE / name) for name in ON_POSTGRES)
