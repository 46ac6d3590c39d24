"""The states of a rescan, and what its tables say after each step."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus.stored import rescan_runs
from synapse_bum.antivirus.stored.rescan_runs import RUN_STATES, Run, RunState
from synapse_bum.antivirus.stored.verdicts import CleanVerdict, write_clean
from synapse_bum.antivirus.tables import ANTIVIRUS
from synapse_bum.audit import AUDIT
from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate

SIGNATURE = "Win.Test-1"


class Transaction:
    """A cursor with what our SQL needs of Synapse's."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> object:
        return self._cursor.execute(sql, tuple(parameters))

    def fetchone(self) -> Any:  # noqa: ANN401 - a row
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    def call_after(self, _callback: Callable[..., object], *_args: object, **_kwargs: object) -> None:
        """Nothing waits for a commit here."""


@pytest.fixture
def txn() -> Iterator[LoggingTransaction]:
    connection = sqlite3.connect(":memory:")
    transaction = Transaction(connection.cursor())
    migrate(transaction, Dialect.SQLITE, (AUDIT, ANTIVIRUS))
    yield cast("LoggingTransaction", transaction)
    connection.close()


def scanned(txn: LoggingTransaction, number: int, version: str | None, state: str = "clean") -> None:
    """Files with a verdict of some signatures."""
    for n in range(number):
        write_clean(txn, [CleanVerdict("test", f"{version}-{n:05}", version, 100, state)])


def started(txn: LoggingTransaction, **cause: str | None) -> Run:
    rescan_runs.add_run(txn, "run", **{"signature_version": None, "started_by": None, "now_ms": 1_000, **cause})  # type: ignore[arg-type]
    run = rescan_runs.current_run(txn, 1_000)
    assert run is not None
    return run


def now(txn: LoggingTransaction) -> Run:
    run = rescan_runs.get_run(txn, "run")
    assert run is not None
    return run


def hit(txn: LoggingTransaction, files: int) -> list[bool]:
    return [rescan_runs.may_block(txn, "run", SIGNATURE, 2_000) for _ in range(files)]


def test_new_signatures_want_only_what_others_found_clean(txn: LoggingTransaction) -> None:
    scanned(txn, 2, "old")
    scanned(txn, 3, "new")
    scanned(txn, 1, None)
    scanned(txn, 4, "cipher", state="encrypted")
    run = started(txn, signature_version="new")
    assert (run.state, run.total) == (RunState.RUNNING, 3)
    assert {media_id for _, media_id in rescan_runs.next_files(txn, run, 10)} == {
        "old-00000",
        "old-00001",
        "None-00000",
    }


def test_an_operator_wants_everything_that_is_clean(txn: LoggingTransaction) -> None:
    scanned(txn, 2, "old")
    scanned(txn, 4, "cipher", state="encrypted")
    assert started(txn, started_by="@boss:test").total == 2


def test_what_is_stored_while_it_runs_is_not_part_of_it(txn: LoggingTransaction) -> None:
    run = started(txn, started_by="@boss:test")
    write_clean(txn, [CleanVerdict("test", "later", "old", 5_000)])
    assert rescan_runs.next_files(txn, run, 10) == []


def test_a_version_has_one_run_and_operators_have_as_many_as_they_like(txn: LoggingTransaction) -> None:
    def add(run_id: str, version: str | None, user: str | None) -> bool:
        return rescan_runs.add_run(txn, run_id, signature_version=version, started_by=user, now_ms=1)

    assert [add("a", "v1", None), add("b", "v1", None), add("c", "v2", None)] == [True, False, True]
    assert [add("d", None, "@boss:test"), add("e", None, "@boss:test")] == [True, True]


def test_one_run_after_the_other(txn: LoggingTransaction) -> None:
    scanned(txn, 1, "old")
    for number, run_id in enumerate(("first", "second")):
        rescan_runs.add_run(txn, run_id, signature_version=None, started_by="@boss:test", now_ms=number)
    for run_id in ("first", "second"):
        run = rescan_runs.current_run(txn, 1_000)
        assert run is not None
        assert run.run_id == run_id
        assert rescan_runs.change_run(txn, run_id, RunState.DONE, "antivirus.rescan", 1_000) is not None
    assert rescan_runs.current_run(txn, 1_000) is None


def test_the_hit_that_is_one_too_many_pauses_the_run_and_is_not_blocked(txn: LoggingTransaction) -> None:
    scanned(txn, 30, "old")
    started(txn, started_by="@boss:test")
    assert hit(txn, 22) == [True] * 20 + [False] * 2
    run = now(txn)
    assert (run.state, run.infected, run.paused_by) == (RunState.NEEDS_CONFIRMATION, 20, SIGNATURE)
    assert rescan_runs.hits_of(txn, run) == 20


def test_confirmed_hits_have_no_limit_and_excused_ones_are_never_blocked(txn: LoggingTransaction) -> None:
    scanned(txn, 100, "old")
    started(txn, started_by="@boss:test")
    hit(txn, 21)
    assert rescan_runs.confirm(txn, "run", "@boss:test", 3_000) is not None
    assert all(hit(txn, 50))
    assert rescan_runs.confirm(txn, "run", "@boss:test", 3_000) is None


def test_only_the_signature_that_has_paused_it_lets_it_go_on(txn: LoggingTransaction) -> None:
    scanned(txn, 100, "old")
    started(txn, started_by="@boss:test")
    hit(txn, 21)
    rescan_runs.excuse_signature(txn, "another", "@boss:test", "why", 3_000)
    assert now(txn).state is RunState.NEEDS_CONFIRMATION
    rescan_runs.excuse_signature(txn, SIGNATURE, "@boss:test", "why", 3_000)
    assert now(txn).state is RunState.RUNNING
    assert not any(hit(txn, 50))


def test_progress_of_a_run_that_was_cancelled_is_not_written(txn: LoggingTransaction) -> None:
    scanned(txn, 5, "old")
    started(txn, started_by="@boss:test")
    rescan_runs.change_run(txn, "run", RunState.CANCELLED, "@boss:test", 2_000)
    run = rescan_runs.advance(txn, "run", ("test", "old-00002"), 3)
    assert run is not None
    assert (run.state, run.scanned, run.finished_ts) == (RunState.CANCELLED, 0, 2_000)
    assert hit(txn, 1) == [False]


@pytest.mark.parametrize("state", [RunState.DONE, RunState.CANCELLED])
def test_what_is_over_stays_over(state: RunState) -> None:
    assert RUN_STATES.is_final(state)
