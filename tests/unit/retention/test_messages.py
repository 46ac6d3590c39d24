"""The pure decisions about messages: how old one is, how far a purge goes, where a moment lies along the stream."""

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.homeserver.message_age import AGE_TS, age_ts
from synapse_bum.homeserver.message_listing import Message, last_at
from synapse_bum.retention.messages.pace import LEAST, Pace
from synapse_bum.retention.messages.purge_token import Limits, going_messages
from synapse_bum.retention.tables import CLOCK_LAGS

SLOW_MS = 100
TIMES = st.integers(-(2**40), 2**45)


def message(depth: int, number: int, *, old: bool = True) -> Message:
    return Message(f"${number}", "m.room.message", "@a:test", number, depth, 0 if old else 9, 100, is_emptied=False)


@given(st.integers(-(2**30), 2**30), st.none() | TIMES, TIMES)
def test_the_age_in_sql_is_that_in_python(stream_ordering: int, received_ts: int | None, origin_ts: int) -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(CLOCK_LAGS.migrations[0].sqlite[0])
        row = connection.execute(
            f"SELECT {AGE_TS} FROM (SELECT ? AS stream_ordering, ? AS received_ts, ? AS origin_server_ts) AS e",  # noqa: S608
            (stream_ordering, received_ts, origin_ts),
        ).fetchone()
    finally:
        connection.close()
    assert row == (age_ts(stream_ordering, received_ts, origin_ts),)


def test_what_arrives_is_as_old_as_its_arrival_whatever_its_sender_says() -> None:
    assert age_ts(5, 1_000, 1) == 1_000
    assert age_ts(5, 1_000, 9_999) == 1_000


def test_what_comes_from_the_past_is_as_old_as_its_sender_says_but_not_younger_than_its_arrival() -> None:
    assert age_ts(-5, 1_000, 1) == 1
    assert age_ts(-5, 1_000, 9_999) == 1_000


ROOMS = st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=40)


@given(ROOMS, st.lists(st.integers(1, 14), max_size=3), st.integers(1, 10), st.integers(0, 10), st.integers(0, 40))
def test_nothing_that_stays_is_purged_and_steps_stay_small(
    room: list[tuple[int, bool]], pinned: list[int], size: int, more: int, seen: int
) -> None:
    messages = sorted(
        (message(depth, number, old=old) for number, (depth, old) in enumerate(room)),
        key=lambda found: (found.depth, found.stream_ordering),
    )
    limits = Limits(pinned, size, size + more)
    lowest = messages[:seen]
    decided = going_messages(
        lowest, is_complete=len(lowest) == len(messages), keep=lambda found: found.age_ts > 5, limits=limits
    )
    if decided is None:
        return
    depth, going = decided
    # What Synapse will delete, of all that is in the room, is exactly what was decided.
    assert [found for found in messages if found.depth < depth] == list(going)
    assert going
    assert all(found.age_ts <= 5 for found in going)
    assert all(depth <= pin for pin in pinned)
    assert len(going) <= limits.most
    assert len(going) <= size or len({found.depth for found in going}) == 1


def test_a_room_without_anything_that_stays_is_purged_to_its_end() -> None:
    messages = [message(depth, depth) for depth in range(1, 6)]
    decided = going_messages(messages, is_complete=True, keep=lambda _: False, limits=Limits([], 10, 10))
    assert decided == (6, messages)


def test_messages_at_one_depth_go_together_or_not_at_all() -> None:
    messages = [message(7, number) for number in range(5)]
    together = going_messages(messages, is_complete=True, keep=lambda _: False, limits=Limits([], 2, 5))
    assert together == (8, messages)
    assert going_messages(messages, is_complete=True, keep=lambda _: False, limits=Limits([], 2, 4)) is None


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 100)), max_size=30), st.integers(0, 100))
def test_a_moment_is_found_along_a_stream_with_gaps(rows: list[tuple[int, int]], ts: int) -> None:
    positions = sorted({position for position, _ in rows})
    times = sorted(time for _, time in rows)[: len(positions)]
    stream = list(zip(positions, times, strict=True))

    def first_from(low: int, high: int) -> tuple[int, int] | None:
        return next(((position, time) for position, time in stream if low <= position <= high), None)

    expected = max((position for position, time in stream if time <= ts), default=0)
    found = last_at(first_from, positions[-1] if positions else 0, ts)
    assert [time for position, time in stream if position <= found] == [time for time in times if time <= ts]
    assert found == expected


def test_the_pace_follows_the_last_transaction() -> None:
    pace = Pace(2_000, slow_ms=SLOW_MS)
    before = pace.size
    pace.learn(pace.size, SLOW_MS / 3)
    assert pace.size > before
    for _ in range(20):
        pace.learn(pace.size, SLOW_MS / 3)
    assert pace.size == 2_000
    pace.learn(2_000, SLOW_MS + 1)
    assert pace.size == 1_000
    for _ in range(20):
        pace.learn(pace.size, SLOW_MS + 1)
    assert pace.size == LEAST


def test_a_small_purge_says_nothing_about_large_ones() -> None:
    pace = Pace(2_000, slow_ms=SLOW_MS)
    before = pace.size
    pace.learn(3, 1)
    assert pace.size == before
