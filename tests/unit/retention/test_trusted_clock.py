"""A jump of the system clock deletes nothing early, and does not stop the deletion for ever."""

from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.retention.trusted_clock import (
    BELIEVED_GAP_MS,
    PROOF_MS,
    TOLERANCE_MS,
    TrustedTime,
    advanced,
    believed,
    first_seen,
)

NOW_MS = 1_795_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
YEAR_MS = 365 * DAY_MS
TICK_MS = 2_000


def run(time: TrustedTime, wall_ms: int, hours: int) -> TrustedTime:
    """Let the clock run steadily from a moment of the system clock on."""
    for hour in range(hours):
        time = advanced(time, wall_ms + hour * HOUR_MS, TICK_MS if hour == 0 else HOUR_MS)
    return time


def test_it_goes_with_a_system_clock_that_is_right() -> None:
    time = run(first_seen(NOW_MS), NOW_MS + TICK_MS, 100)
    assert not time.is_doubted
    assert time.now_ms == NOW_MS + TICK_MS + 99 * HOUR_MS


def test_a_year_ahead_is_not_believed() -> None:
    time = advanced(first_seen(NOW_MS), NOW_MS + YEAR_MS, TICK_MS)
    assert time.is_doubted
    assert time.now_ms == NOW_MS + TICK_MS


def test_a_year_ahead_and_back_leaves_no_doubt() -> None:
    time = run(first_seen(NOW_MS), NOW_MS + YEAR_MS, 3)
    time = advanced(time, NOW_MS + 3 * HOUR_MS, HOUR_MS)
    assert not time.is_doubted
    assert time.now_ms == NOW_MS + 3 * HOUR_MS


def test_a_year_back_and_ahead_leaves_no_doubt_and_never_a_later_time() -> None:
    time = advanced(first_seen(NOW_MS), NOW_MS - YEAR_MS, TICK_MS)
    assert time.is_doubted
    assert time.now_ms == NOW_MS - YEAR_MS
    time = advanced(time, NOW_MS + 2 * TICK_MS, TICK_MS)
    assert not time.is_doubted
    assert time.now_ms == NOW_MS + 2 * TICK_MS


def test_a_machine_that_boots_a_year_ahead_is_not_believed() -> None:
    time = advanced(TrustedTime(NOW_MS, NOW_MS), NOW_MS + YEAR_MS, 0)
    assert time.is_doubted
    assert time.now_ms == NOW_MS


def test_a_restart_of_some_hours_is_believed() -> None:
    assert not advanced(first_seen(NOW_MS), NOW_MS + BELIEVED_GAP_MS, 0).is_doubted


def test_a_clock_that_runs_steadily_for_a_day_is_believed_in_the_end() -> None:
    time = run(first_seen(NOW_MS), NOW_MS + YEAR_MS, 23)
    assert time.is_doubted
    time = run(time, NOW_MS + YEAR_MS + 23 * HOUR_MS, 4)
    assert not time.is_doubted
    assert time.now_ms >= NOW_MS + YEAR_MS


def test_another_jump_begins_the_proof_anew() -> None:
    time = run(first_seen(NOW_MS), NOW_MS + YEAR_MS, 20)
    time = run(time, NOW_MS + 2 * YEAR_MS, 20)
    assert time.is_doubted
    assert time.now_ms < NOW_MS + 3 * DAY_MS


def test_the_proof_outlives_a_restart() -> None:
    time = run(first_seen(NOW_MS), NOW_MS + YEAR_MS, 20)
    time = advanced(time, time.wall_ms + 10 * 60_000, 0)
    time = run(time, time.wall_ms + TICK_MS, 6)
    assert not time.is_doubted


def test_what_an_operator_confirms_is_believed_at_once() -> None:
    time = advanced(first_seen(NOW_MS), NOW_MS + YEAR_MS, TICK_MS)
    assert believed(time).now_ms == NOW_MS + YEAR_MS


@given(steps=st.lists(st.tuples(st.integers(0, HOUR_MS), st.integers(-3 * YEAR_MS, 3 * YEAR_MS)), max_size=20))
def test_before_the_proof_it_is_never_ahead_of_what_was_counted(steps: list[tuple[int, int]]) -> None:
    time, counted_ms = first_seen(NOW_MS), 0
    for passed_ms, offset_ms in steps:
        counted_ms += passed_ms
        time = advanced(time, NOW_MS + counted_ms + offset_ms, passed_ms)
        # Gaps that are small enough are believed, one at a time.
        assert time.now_ms <= NOW_MS + counted_ms + len(steps) * BELIEVED_GAP_MS
        assert time.now_ms <= time.wall_ms


def test_the_tolerances_are_in_order() -> None:
    assert TOLERANCE_MS < BELIEVED_GAP_MS <= PROOF_MS
