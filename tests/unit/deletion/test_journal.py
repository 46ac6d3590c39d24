"""The journal: steps only as the table allows them, one open deletion for a file, and what is due when."""

import sqlite3
from collections.abc import Iterator

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.deletion import DELETION, DELETION_STATES, After, Deletion, DeletionState, Kind, journal, remover
from synapse_bum.deletion.pace import MAX_FILES, Pace
from synapse_bum.deletion.remover import FIRST_RETRY_MS, LAST_RETRY_MS, SETTLE_MS, YOUNG_MS

PLANNED_TS = 10 * YOUNG_MS
A_DELETION = Deletion(
    id=1,
    kind=Kind.REMOTE_MEDIA,
    server_name="a.example",
    media_id="abcdef",
    file_id="ghijkl",
    url_cache=False,
    uploader=None,
    size_bytes=3_000_000_000,
    thumbnail_bytes=5,
    created_ts=0,
    quarantined_by="system",
    policy="example:rule",
    actor="@a:a.example",
    reason=None,
    after=After.TOMBSTONE,
    state=DeletionState.PLANNED,
    planned_ts=PLANNED_TS,
    next_try_ts=PLANNED_TS,
)


@pytest.fixture
def txn() -> Iterator[sqlite3.Cursor]:
    connection = sqlite3.connect(":memory:")
    cursor = connection.cursor()
    migrate(cursor, Dialect.SQLITE, [DELETION])
    yield cursor
    connection.close()


def state_of(txn: sqlite3.Cursor) -> DeletionState:
    (row,), _ = journal.list_deletions(txn, 0, 10)
    return row.state


def test_a_row_comes_back_as_it_was_written(txn: sqlite3.Cursor) -> None:
    assert journal.write(txn, [A_DELETION])
    assert journal.open_deletions(txn, [A_DELETION.media]).get(A_DELETION.media) == A_DELETION
    assert journal.list_deletions(txn, 0, 10) == ([A_DELETION], 1)


def test_a_file_has_one_open_deletion_and_may_have_another_afterwards(txn: sqlite3.Cursor) -> None:
    assert journal.write(txn, [A_DELETION])
    assert journal.write(txn, [A_DELETION]) == []
    for state in (DeletionState.HIDDEN, DeletionState.UNLINKED):
        assert journal.advance(txn, [1], state) == {1}
    assert journal.finish(txn, [1], 7) == {1}
    assert journal.open_deletions(txn, [A_DELETION.media]) == {}
    assert journal.write(txn, [A_DELETION])


def test_a_remote_file_that_was_fetched_anew_is_another_file(txn: sqlite3.Cursor) -> None:
    again = attr.evolve(A_DELETION, file_id="another")
    assert journal.write(txn, [A_DELETION])
    assert journal.write(txn, [again])
    assert journal.open_deletions(txn, [again.media]).get(again.media) == attr.evolve(again, id=2)


@given(st.lists(st.sampled_from(list(DeletionState)), max_size=12))
def test_no_step_is_made_that_the_table_does_not_allow(steps: list[DeletionState]) -> None:
    connection = sqlite3.connect(":memory:")
    cursor = connection.cursor()
    migrate(cursor, Dialect.SQLITE, [DELETION])
    journal.write(cursor, [A_DELETION])
    state = DeletionState.PLANNED
    for step in steps:
        allowed = DELETION_STATES.allows(state, step)
        made = journal.finish(cursor, [1], 7) if step is DeletionState.DROPPED else journal.advance(cursor, [1], step)
        assert made == ({1} if allowed else set())
        state = step if allowed else state
        assert state_of(cursor) is state
        (row,), _ = journal.list_deletions(cursor, 0, 10)
        assert (row.done_ts is not None) is (state is DeletionState.DROPPED)
    connection.close()


def test_what_is_due(txn: sqlite3.Cursor) -> None:
    for number, due in enumerate((30, 10, 20)):
        journal.write(txn, [attr.evolve(A_DELETION, media_id=f"m{number}", next_try_ts=due)])
    assert [row.media_id for row in journal.due(txn, 20, 10)] == ["m1", "m2"]
    assert [row.media_id for row in journal.due(txn, 30, 1)] == ["m1"]
    assert journal.any_due(txn, 10)
    assert not journal.any_due(txn, 9)


def test_a_failure_is_written_down_and_waits(txn: sqlite3.Cursor) -> None:
    journal.write(txn, [A_DELETION])
    journal.put_off(txn, [1], PLANNED_TS + 50, "the bucket: AccessDenied")
    assert journal.count_open(txn) == (1, 1)
    (row,), _ = journal.list_deletions(txn, 0, 1)
    assert (row.attempts, row.error, row.next_try_ts) == (1, "the bucket: AccessDenied", PLANNED_TS + 50)
    journal.put_off(txn, [1], PLANNED_TS + 60, None)
    (row,), _ = journal.list_deletions(txn, 0, 1)
    assert (row.attempts, row.error) == (1, None)
    assert journal.count_open(txn) == (1, 0)


def test_a_file_that_was_not_reached_has_failed_no_attempt(txn: sqlite3.Cursor) -> None:
    journal.write(txn, [A_DELETION])
    journal.put_off(txn, [1], PLANNED_TS + 50, "the bucket: NotReached", failed=False)
    (row,), _ = journal.list_deletions(txn, 0, 1)
    assert (row.attempts, row.error) == (0, "the bucket: NotReached")
    assert journal.count_open(txn) == (1, 1)


def test_more_files_than_a_statement_takes(txn: sqlite3.Cursor) -> None:
    many = [attr.evolve(A_DELETION, media_id=f"m{number}") for number in range(1200)]
    written = journal.write(txn, many)
    assert [row.media_id for row in written] == [row.media_id for row in many]
    ids = [row.id for row in written]
    assert journal.open_deletions(txn, [row.media for row in many]) == {row.media: row for row in written}
    assert journal.write(txn, [*many[:600], attr.evolve(A_DELETION, media_id="new")])[0].media_id == "new"
    for state in (DeletionState.HIDDEN, DeletionState.UNLINKED):
        assert journal.advance(txn, ids, state) == set(ids)
    assert journal.finish(txn, ids, 7) == set(ids)
    assert journal.finish(txn, ids, 8) == set()


def done(txn: sqlite3.Cursor, number: int, planned_ts: int, done_ts: int) -> None:
    (row,) = journal.write(txn, [attr.evolve(A_DELETION, media_id=f"d{number}", planned_ts=planned_ts)])
    for state in (DeletionState.HIDDEN, DeletionState.UNLINKED):
        journal.advance(txn, [row.id], state)
    journal.finish(txn, [row.id], done_ts)


def test_only_what_was_finished_long_ago_is_forgotten_the_oldest_first(txn: sqlite3.Cursor) -> None:
    journal.write(txn, [attr.evolve(A_DELETION, planned_ts=1)])
    for number, (planned_ts, done_ts) in enumerate([(30, 40), (10, 20), (10, 100), (100, 110)]):
        done(txn, number, planned_ts, done_ts)
    assert journal.drop_older(txn, 100, 1) == 1
    assert [row.media_id for row in journal.list_deletions(txn, 0, 9)[0]] == ["d3", "d0", "d2", "abcdef"]
    assert journal.drop_older(txn, 100, 9) == 1
    assert journal.drop_older(txn, 100, 9) == 0
    assert [row.media_id for row in journal.list_deletions(txn, 0, 9)[0]] == ["d3", "d2", "abcdef"]


def test_what_the_deletion_log_still_wants_is_not_forgotten(txn: sqlite3.Cursor) -> None:
    done(txn, 0, 10, 20)
    txn.execute("INSERT INTO synapse_bum_deletion_log VALUES (1, 0, '')")
    assert journal.drop_older(txn, 100, 9) == 0
    txn.execute("UPDATE synapse_bum_deletions SET logged = 2")
    assert journal.drop_older(txn, 100, 9) == 1


def test_a_batch_becomes_larger_while_transactions_are_short() -> None:
    pace = Pace()
    for ms, reached, files in [
        (10, True, 75),
        (10, True, 112),
        (60, True, 112),
        (90, True, 56),
        (90, True, 50),
        (10, False, 50),
    ]:
        pace.took(ms)
        pace.took(1)
        pace.end_batch(all_reached=reached)
        assert pace.files == files
    for _ in range(20):
        pace.end_batch(all_reached=True)
    assert pace.files == MAX_FILES


def test_the_newest_come_first(txn: sqlite3.Cursor) -> None:
    for number in range(5):
        journal.write(txn, [attr.evolve(A_DELETION, media_id=f"m{number}", planned_ts=number // 2)])
    first, total = journal.list_deletions(txn, 0, 3)
    rest, _ = journal.list_deletions(txn, 3, 3)
    assert [row.media_id for row in first + rest] == ["m4", "m3", "m2", "m1", "m0"]
    assert total == 5


def test_retries_become_rarer_but_never_end() -> None:
    waits = [remover.retry_after_ms(attempts) for attempts in range(100)]
    assert waits == sorted(waits)
    assert waits[0] == FIRST_RETRY_MS
    assert waits[-1] == LAST_RETRY_MS


@pytest.mark.parametrize(
    ("age_ms", "wait_ms"), [(0, SETTLE_MS), (-5, SETTLE_MS), (YOUNG_MS - 1, SETTLE_MS), (YOUNG_MS, 0)]
)
def test_only_files_that_may_be_new_have_to_settle(age_ms: int, wait_ms: int) -> None:
    deletion = attr.evolve(A_DELETION, created_ts=PLANNED_TS - age_ms)
    assert remover.settles_at(deletion) == PLANNED_TS + wait_ms
