"""What only a real PostgreSQL shows: a hold that is set while a deletion is planned, and our tests on it."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from synapse.storage.engines import PostgresEngine

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.deletion import DELETION, Hold, put_hold
from synapse_bum.deletion.holds import held_files
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.testing.postgres import RealPostgres

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse, pytest.mark.long]

psycopg2: Any = pytest.importorskip("psycopg2")

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_deletion_log.py",
    "test_deletion_log_restored.py",
    "../retention/test_holds_api.py::HoldTests",
    "../retention/test_holds_api.py::RefusedTests",
    "../antivirus/test_room_holds.py",
)
"""Tests whose SQL or locks PostgreSQL might take differently; each costs a copy of Synapse's database."""

NOW = 50
FILE = StoredMedia("a.example", "media", "media", local=True, uploader="@alice:a.example")
HOLD = Hold("!room:a.example", "a court order", 100, "@admin:a.example", 1)
PLENTY_MS = 300
"""Longer than any statement takes that waits for nobody."""


class Transaction:
    """An open transaction of a process of its own, as Synapse's are, READ COMMITTED as `Database.run` has it."""

    database_engine = PostgresEngine({"args": {}})

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg2.connect(dsn)
        self._connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_READ_COMMITTED)
        self._cursor = self._connection.cursor()
        # Who waits for ever is an error, not a hanging test.
        self.execute(f"SET lock_timeout = {200 * PLENTY_MS}")
        self.commit()

    @property
    def rowcount(self) -> int:
        return int(self._cursor.rowcount)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> object:
        return self._cursor.execute(sql.replace("?", "%s"), tuple(parameters))

    def fetchone(self) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._cursor.fetchone()
        return row

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._cursor.fetchall())

    def commit(self) -> None:
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[RealPostgres]:
    with RealPostgres() as server:
        yield server


@pytest.fixture
def transactions(postgres: RealPostgres) -> Iterator[tuple[Transaction, Transaction]]:
    name = f"test_{time.monotonic_ns()}"
    maintenance = psycopg2.connect(postgres.dsn())
    maintenance.autocommit = True
    maintenance.cursor().execute(f"CREATE DATABASE {name}")
    maintenance.close()
    opened = Transaction(postgres.dsn(name)), Transaction(postgres.dsn(name))
    migrate(opened[0], Dialect.POSTGRES, [DELETION])
    opened[0].execute("CREATE TABLE room_memberships (room_id TEXT, user_id TEXT, membership TEXT)")
    opened[0].execute(f"INSERT INTO room_memberships VALUES ('{HOLD.target}', '{FILE.uploader}', 'join')")  # noqa: S608
    opened[0].commit()
    yield opened
    for transaction in opened:
        transaction.close()


def test_who_sets_a_hold_waits_for_a_deletion_that_was_planned_without_it(
    transactions: tuple[Transaction, Transaction],
) -> None:
    planning, setting = transactions
    assert held_files(planning, [FILE], NOW) == {}
    with ThreadPoolExecutor(1) as threads:
        put = threads.submit(put_hold, setting, HOLD)
        time.sleep(PLENTY_MS / 1_000)
        assert not put.done()
        planning.commit()
        put.result()
    setting.commit()
    assert held_files(planning, [FILE], NOW) == {FILE: HOLD}


def test_who_plans_waits_for_a_hold_that_is_being_set_and_heeds_it(
    transactions: tuple[Transaction, Transaction],
) -> None:
    planning, setting = transactions
    put_hold(setting, HOLD)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(held_files, planning, [FILE], NOW)
        time.sleep(PLENTY_MS / 1_000)
        assert not asked.done()
        setting.commit()
        assert asked.result() == {FILE: HOLD}


def test_two_who_plan_do_not_wait_for_each_other(transactions: tuple[Transaction, Transaction]) -> None:
    first, second = transactions
    assert held_files(first, [FILE], NOW) == {}
    assert held_files(second, [FILE], NOW) == {}


def test_our_homeserver_tests_pass_on_postgresql(postgres: RealPostgres) -> None:
    postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
