"""Transactions, tables and leases inside a homeserver; the same file runs on SQLite and on PostgreSQL."""

import logging
from collections.abc import Awaitable
from typing import TypeVar
from unittest.mock import AsyncMock, patch

import pytest
from synapse.module_api import LoggingTransaction, run_in_background
from tests.unittest import HomeserverTestCase, logcontext_clean
from twisted.internet.defer import CancelledError, Deferred

from synapse_bum.database import (
    Component,
    Database,
    DatabaseNotReadyError,
    Dialect,
    Lease,
    Leases,
    Migration,
    Outcome,
    SchemaTooNewError,
)
from synapse_bum.homeserver import log_context
from synapse_bum.homeserver.database_pool import is_postgres
from synapse_bum.secret_store import SecretStore

T = TypeVar("T")

EXAMPLE = Component("example", (Migration.both(1, "CREATE TABLE synapse_bum_example (a INTEGER NOT NULL)"),))


def count(txn: LoggingTransaction) -> int:
    txn.execute("SELECT count(*) FROM synapse_bum_example")
    row = txn.fetchone()
    assert row is not None
    return int(row[0])


def insert(txn: LoggingTransaction, value: int) -> None:
    txn.execute("INSERT INTO synapse_bum_example VALUES (?)", (value,))


@logcontext_clean
class DatabaseTestCase(HomeserverTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.api = self.hs.get_module_api()
        self.database = Database(self.api, EXAMPLE)

    def background(self, work: Awaitable[T]) -> "Deferred[T]":
        async def run() -> T:
            return await work

        return run_in_background(run)

    def versions(self) -> dict[str, int]:
        def select(txn: LoggingTransaction) -> dict[str, int]:
            txn.execute("SELECT component, version FROM synapse_bum_schema")
            return dict(txn.fetchall())

        return self.get_success(self.api.run_db_interaction("test", select))


class ReadinessTestCase(DatabaseTestCase):
    def test_the_tables_are_made_after_start_without_anybody_asking(self) -> None:
        self.database.start()
        self.pump()
        assert self.versions() == {"example": 1}

    def test_the_first_transaction_makes_the_tables(self) -> None:
        assert self.get_success(self.database.run("test", count)) == 0
        assert self.versions() == {"example": 1}

    def test_transactions_that_come_early_wait_together(self) -> None:
        early = [self.background(self.database.run("test", insert, value)) for value in range(5)]
        self.pump()
        for done in early:
            assert self.successResultOf(done) is None
        assert self.get_success(self.database.run("test", count)) == 5

    def test_a_component_added_later_is_made_before_the_next_transaction(self) -> None:
        self.get_success(self.database.ready())
        SecretStore(self.database)
        self.get_success(self.database.run("test", count))
        assert self.versions() == {"example": 1, "secrets": 1}

    def test_the_dialect_is_that_of_the_database(self) -> None:
        def version(txn: LoggingTransaction) -> str:
            txn.execute("SELECT version()" if self.database.dialect is Dialect.POSTGRES else "SELECT sqlite_version()")
            row = txn.fetchone()
            assert row is not None
            return str(row[0])

        assert self.get_success(self.database.run("test", version))

    def test_a_later_database_fails_everybody_with_both_versions(self) -> None:
        self.get_success(self.database.run("test", insert, 1))

        def from_the_future(txn: LoggingTransaction) -> None:
            txn.execute("UPDATE synapse_bum_schema SET version = 7 WHERE component = 'example'")

        self.get_success(self.api.run_db_interaction("test", from_the_future))
        later = Database(self.api, EXAMPLE)
        if is_postgres(self.api):
            with pytest.raises(SchemaTooNewError, match="version 7"):
                later.start()
        callers = [self.background(later.run("test", count)) for _ in range(3)]
        self.pump()
        for caller in callers:
            message = str(self.get_failure(caller, DatabaseNotReadyError).value)
            assert "version 7 of the synapse_bum tables for example, this package knows version 1" in message

    def test_a_failure_is_not_final(self) -> None:
        broken = Component("broken", (Migration.both(1, "CREATE TABLE synapse_bum_broken AS SELECT * FROM missing"),))
        database = Database(self.api, broken)
        with self.assertLogs("synapse_bum.database.transactions", logging.ERROR) as logged:
            database.start()
            self.pump()
        assert "The tables of synapse_bum are not ready" in logged.output[0]
        self.get_failure(database.ready(), DatabaseNotReadyError)

        def make(txn: LoggingTransaction) -> None:
            txn.execute("CREATE TABLE missing (a INTEGER)")

        self.get_success(self.api.run_db_interaction("test", make))
        self.get_success(database.ready())


class TransactionTestCase(DatabaseTestCase):
    def test_an_error_rolls_back(self) -> None:
        def insert_and_fail(txn: LoggingTransaction) -> None:
            insert(txn, 1)
            raise KeyError

        self.get_failure(self.database.run("test", insert_and_fail), KeyError)
        assert self.get_success(self.database.run("test", count)) == 0

    def test_callbacks_of_an_attempt_that_was_rolled_back_do_not_run(self) -> None:
        called: list[int] = []
        attempts: list[int] = []

        def fail_once(txn: LoggingTransaction) -> None:
            attempts.append(1)
            txn.call_after(called.append, len(attempts))
            if len(attempts) == 1:
                raise txn.database_engine.module.OperationalError("the connection is gone")

        self.get_success(self.database.run("test", fail_once))
        assert len(attempts) == 2
        assert called == [2]

    def test_what_an_attempt_left_for_its_failure_is_done_whether_a_later_one_commits_or_not(self) -> None:
        for fails in (1, 9):
            done: list[int] = []
            attempts: list[int] = []

            def work(txn: LoggingTransaction, fails: int, attempts: list[int], done: list[int]) -> None:
                attempts.append(1)
                txn.call_on_exception(done.append, len(attempts))
                if len(attempts) <= fails:
                    raise txn.database_engine.module.OperationalError("the connection is gone")

            running = self.database.run("test", work, fails, attempts, done)
            if fails == 1:
                self.get_success(running)
                assert done == [1]
            else:
                self.get_failure(running, Exception)
                assert done == list(range(1, len(attempts) + 1))

    def test_what_was_read_is_still_true_when_it_is_written(self) -> None:
        def how(txn: LoggingTransaction) -> str:
            if is_postgres(self.api):
                txn.execute("SHOW transaction_isolation")
                row = txn.fetchone()
                assert row is not None
                return str(row[0])
            return "locked" if txn.txn.connection.in_transaction else "open"  # type: ignore[attr-defined]

        expected = "read committed" if is_postgres(self.api) else "locked"
        assert self.get_success(self.database.run("test", how)) == expected

    def test_a_snapshot_stays_the_same_and_is_ready_to_write(self) -> None:
        def how(txn: LoggingTransaction) -> str:
            insert(txn, 1)
            if is_postgres(self.api):
                txn.execute("SHOW transaction_isolation")
                row = txn.fetchone()
                assert row is not None
                return str(row[0])
            return "locked" if txn.txn.connection.in_transaction else "open"  # type: ignore[attr-defined]

        expected = "repeatable read" if is_postgres(self.api) else "locked"
        assert self.get_success(self.database.run_on_snapshot("test", how)) == expected
        assert self.get_success(self.database.run_on_snapshot("test", count)) == 1

    def test_a_snapshot_that_somebody_has_overtaken_is_taken_anew(self) -> None:
        attempts: list[int] = []

        def overtaken(txn: LoggingTransaction) -> int:
            insert(txn, 1)
            attempts.append(count(txn))
            if len(attempts) == 1:
                raise txn.database_engine.module.OperationalError("could not serialize access due to concurrent update")
            return count(txn)

        assert self.get_success(self.database.run_on_snapshot("test", overtaken)) == 1
        assert attempts == [1, 1]

    def test_synapse_keeps_its_own_isolation_level(self) -> None:
        def level(txn: LoggingTransaction) -> object:
            txn.execute("SHOW transaction_isolation")
            return txn.fetchone()

        self.get_success(self.database.ready())
        if is_postgres(self.api):
            found = self.get_success(self.api.run_db_interaction("test", level))
            assert found == ("repeatable read",)


class LeaseTestCase(DatabaseTestCase):
    TTL = 30_000

    def setUp(self) -> None:
        super().setUp()
        self.first, self.second = self.process(), self.process()

    def process(self) -> Leases:
        """Another process, as far as leases can tell."""
        return Leases(self.api, Database(self.api), monotonic_ms=lambda: self.reactor.seconds() * 1000)

    def end_of_lease(self) -> None:
        """Lets a lease run out by the database's clock."""

        def expire(txn: LoggingTransaction) -> None:
            txn.execute("UPDATE synapse_bum_leases SET expires_ts = 0")

        self.get_success(self.api.run_db_interaction("test", expire))

    def test_one_of_two_gets_it_and_the_other_after_its_release(self) -> None:
        lease = self.get_success(self.first.acquire("duty", self.TTL))
        assert lease is not None
        assert lease.held
        assert self.get_success(self.second.acquire("duty", self.TTL)) is None
        self.get_success(self.first.release(lease))
        assert not lease.held
        assert self.get_success(self.second.acquire("duty", self.TTL)) is not None

    def test_work_that_nobody_will_ever_wake_is_forgotten_in_silence(self) -> None:
        """As when a homeserver is thrown away, and the collector finds what it was doing."""
        lease = self.get_success(self.first.acquire("duty", self.TTL))

        async def work(_lease: Lease) -> None:
            await Deferred()

        with patch.object(self.first, "acquire", AsyncMock(return_value=lease)):
            duty = self.first.run_while_held("duty", self.TTL, work)
            duty.send(None)
        with patch.object(log_context, "cancel") as cancel:
            duty.close()
        assert cancel.mock_calls == []
        assert lease is not None
        assert lease.held

    def test_a_kept_lease_is_given_back_when_the_process_stops(self) -> None:
        async def work(_lease: Lease) -> None:
            pass

        self.get_success(self.first.run_while_held("duty", self.TTL, work, keep=True))
        assert self.get_success(self.second.acquire("duty", self.TTL)) is None
        for trigger, arguments, options in self.reactor.triggers["before"]["shutdown"]:
            if "before_shutdown" in trigger.__qualname__:
                trigger(*arguments, **options)
        self.pump()
        assert self.get_success(self.second.acquire("duty", self.TTL)) is not None

    def test_the_other_takes_over_when_it_ends(self) -> None:
        lease = self.get_success(self.first.acquire("duty", self.TTL))
        assert lease is not None
        self.end_of_lease()
        assert self.get_success(self.second.acquire("duty", self.TTL)) is not None
        assert not self.get_success(self.first.renew(lease, self.TTL))
        assert not lease.held

    def test_the_holder_stops_believing_by_its_own_clock(self) -> None:
        lease = self.get_success(self.first.acquire("duty", self.TTL))
        assert lease is not None
        self.reactor.advance(self.TTL / 1000)
        assert not lease.held

    def test_owners_are_unique(self) -> None:
        assert self.first.owner != self.second.owner

    def test_work_is_done_by_one_and_the_lease_is_renewed_meanwhile(self) -> None:
        finished: Deferred[None] = Deferred()
        leases: list[Lease] = []

        async def work(lease: Lease) -> None:
            leases.append(lease)
            await finished

        running = self.background(self.first.run_while_held("duty", self.TTL, work))
        for _ in range(10):
            self.reactor.advance(self.TTL / 1000 / 4)
        assert leases[0].held
        other = self.background(self.second.run_while_held("duty", self.TTL, work))
        self.reactor.advance(0)
        assert self.successResultOf(other) is Outcome.HELD_ELSEWHERE
        finished.callback(None)
        self.reactor.advance(0)
        assert self.successResultOf(running) is Outcome.DONE
        assert self.get_success(self.second.acquire("duty", self.TTL)) is not None
        assert len(leases) == 1

    def test_work_stops_when_the_lease_is_lost(self) -> None:
        stopped: list[bool] = []

        async def work(lease: Lease) -> None:
            try:
                await Deferred()
            except CancelledError:
                stopped.append(lease.held)
                raise

        running = self.background(self.first.run_while_held("duty", self.TTL, work))
        self.reactor.advance(1)
        self.end_of_lease()
        taken = self.get_success(self.second.acquire("duty", self.TTL))
        assert taken is not None
        with self.assertLogs("synapse_bum.database.leases", logging.WARNING):
            for _ in range(12):
                self.reactor.advance(1)
        assert self.successResultOf(running) is Outcome.LOST
        assert stopped == [False]
        assert self.get_success(self.first.acquire("duty", self.TTL)) is None

    def test_work_stops_in_time_when_the_database_is_away(self) -> None:
        async def work(lease: Lease) -> None:
            del lease
            await Deferred()

        running = self.background(self.first.run_while_held("duty", self.TTL, work))
        self.reactor.advance(1)

        async def away(*args: object) -> None:
            del args
            raise ConnectionError("the database is away")

        self.first._database.run = away  # type: ignore[method-assign,assignment]
        with self.assertLogs("synapse_bum.database.leases", logging.WARNING) as logged:
            for _ in range(int(self.TTL / 1000) - 2):
                self.reactor.advance(1)
            assert not running.called
            self.reactor.advance(1)
        assert self.successResultOf(running) is Outcome.LOST
        assert "trying again until it ends" in logged.output[0]

    def test_an_error_of_the_work_is_the_callers_and_the_lease_is_given_back(self) -> None:
        async def work(lease: Lease) -> None:
            del lease
            raise KeyError("work")

        self.get_failure(self.first.run_while_held("duty", self.TTL, work), KeyError)
        assert self.get_success(self.second.acquire("duty", self.TTL)) is not None

    def test_a_kept_lease_stays_until_it_ends(self) -> None:
        async def work(lease: Lease) -> None:
            del lease

        outcome = self.get_success(self.first.run_while_held("duty", self.TTL, work, keep=True))
        assert outcome is Outcome.DONE
        outcome = self.get_success(self.second.run_while_held("duty", self.TTL, work))
        assert outcome is Outcome.HELD_ELSEWHERE
        outcome = self.get_success(self.first.run_while_held("duty", self.TTL, work))
        assert outcome is Outcome.DONE
