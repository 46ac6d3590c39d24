"""What is stored while the system clock is behind does not look old once it is right again."""

import sqlite3

import attr
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.homeserver.clock_lags import CLOCK_LAGS_TABLE, ClockLag, file_came_ts
from synapse_bum.homeserver.message_age import AGE_TS, age_ts
from synapse_bum.retention.clock_lags import Look
from synapse_bum.retention.tables import CLOCK_LAGS
from synapse_bum.retention.trusted_clock import TOLERANCE_MS, TrustedTime, advanced, believed, first_seen

NOW_MS = 1_795_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
YEAR_MS = 365 * DAY_MS
TICK_MS = 2_000


@attr.s(auto_attribs=True)
class Server:
    """A server whose system clock is wrong at times, with the lags that are written down of it."""

    real_ms: int = NOW_MS
    offset_ms: int = 0
    time: TrustedTime = attr.ib(factory=lambda: first_seen(NOW_MS))
    lags: list[ClockLag] = attr.ib(factory=list)
    position: int = 0
    stored: list[tuple[int, int, int]] = attr.ib(factory=list)

    def store(self) -> None:
        """Store an event or file now."""
        self.position += 1_000  # more than the margin
        self.stored.append((self.position, self.real_ms + self.offset_ms, self.real_ms))

    def look(self, passed_ms: int, *, is_counted: bool = True) -> Look:
        """Let time pass, something be stored in it, and look at the clock."""
        self.real_ms += passed_ms // 2
        self.store()
        self.real_ms += passed_ms - passed_ms // 2
        wall_ms = self.real_ms + self.offset_ms
        now = advanced(self.time, wall_ms, passed_ms if is_counted else 0)
        look = Look(self.time, now, passed_ms if is_counted else None)
        self.write(look)
        return look

    def write(self, look: Look) -> None:
        """As `clock_record.write_look` does."""
        if look.was_behind:
            self.lags[-1] = look.continued(self.lags[-1], self.position)
        if look.begins:
            inside = range(look.begins_ts, look.now.wall_ms + TOLERANCE_MS + 1)
            outside = [position for position, stamp, _real in self.stored if stamp not in inside]
            self.lags.append(look.begun(max(outside, default=0), self.position))
        self.time = look.now

    def check(self, slack_ms: int = 2 * TOLERANCE_MS) -> None:
        """Nothing looks much older than it is."""
        for position, stamp, real_ms in self.stored:
            as_message = age_ts(position, stamp, stamp, self.lags)
            as_file = max([stamp, *(lag.trusted_to_ts for lag in self.lags if lag.has_moment(stamp))])
            assert as_message >= real_ms - slack_ms
            assert as_file >= real_ms - slack_ms


def test_a_clock_that_is_right_or_ahead_leaves_no_lag() -> None:
    server = Server()
    for offset_ms in (0, YEAR_MS, 0, -TOLERANCE_MS // 2):
        server.offset_ms = offset_ms
        server.look(TICK_MS)
    assert server.lags == []


def test_a_lag_begins_when_the_clock_falls_behind_and_ends_when_it_is_right() -> None:
    server = Server()
    server.look(TICK_MS)
    server.offset_ms = -YEAR_MS
    assert server.look(TICK_MS).is_to_be_kept
    for _ in range(5):
        assert not server.look(HOUR_MS).is_to_be_kept
    server.offset_ms = 0
    server.look(TICK_MS)
    [lag] = server.lags
    begun, ended = NOW_MS + TICK_MS - YEAR_MS, server.real_ms - YEAR_MS
    assert begun - 2 * MINUTE_MS < lag.wall_from_ts < begun
    assert ended < lag.wall_to_ts < ended + 2 * MINUTE_MS
    assert lag.trusted_to_ts == server.real_ms
    server.look(HOUR_MS)
    assert server.lags == [lag]
    server.check()


def test_it_is_one_lag_when_the_process_restarts_in_it() -> None:
    server = Server()
    server.offset_ms = -YEAR_MS
    server.look(TICK_MS)
    server.look(3 * HOUR_MS, is_counted=False)
    server.look(TICK_MS)
    server.offset_ms = 0
    server.look(TICK_MS)
    assert len(server.lags) == 1
    server.check()


def test_a_clock_that_falls_back_further_during_a_restart_is_covered() -> None:
    server = Server()
    server.offset_ms = -22 * HOUR_MS
    server.look(0)
    server.offset_ms = -DAY_MS
    server.look(HOUR_MS, is_counted=False)
    server.offset_ms = 0
    server.look(TICK_MS)
    server.check()


def test_another_jump_begins_another_so_that_the_time_between_does_not_count() -> None:
    server = Server()
    for offset_ms in (-YEAR_MS, -3 * YEAR_MS, 0):
        server.offset_ms = offset_ms
        server.look(TICK_MS)
    assert len(server.lags) == 2
    assert not any(lag.has_moment(NOW_MS - 2 * YEAR_MS) for lag in server.lags)
    server.check()


def test_it_ends_when_the_clock_is_believed_after_a_day() -> None:
    server = Server()
    server.offset_ms = -YEAR_MS
    for _ in range(30):
        server.look(HOUR_MS)
    assert not server.time.is_doubted
    [lag] = server.lags
    assert lag.trusted_to_ts >= NOW_MS + DAY_MS
    server.look(HOUR_MS)
    assert server.lags == [lag]


def test_it_ends_when_an_operator_believes_the_clock() -> None:
    server = Server()
    server.offset_ms = -YEAR_MS
    server.look(TICK_MS)
    server.write(Look(server.time, believed(server.time), 0))
    [lag] = server.lags
    server.look(DAY_MS)
    assert server.lags == [lag]


STEPS = st.tuples(
    st.integers(0, HOUR_MS),
    st.booleans(),
    st.sampled_from([0, 0, -2 * HOUR_MS, -DAY_MS, -YEAR_MS, -3 * YEAR_MS, YEAR_MS])
    | st.integers(-3 * YEAR_MS, 3 * YEAR_MS),
)


@given(st.lists(STEPS, max_size=20))
def test_whatever_the_clock_does_nothing_that_is_stored_meanwhile_looks_old(
    steps: list[tuple[int, bool, int]],
) -> None:
    server = Server()
    for passed_ms, is_counted, offset_ms in steps:
        server.offset_ms = offset_ms
        server.look(passed_ms, is_counted=is_counted)
    # Nothing is deleted while the clocks differ: `now_ms` is the earlier one.
    server.offset_ms = 0
    server.look(TICK_MS)
    # Each step may shift the clock by the tolerance unseen, and steps add up; lifetimes are counted in days.
    server.check(slack_ms=(2 + len(steps)) * TOLERANCE_MS)


LAGS = st.lists(
    st.builds(
        ClockLag,
        wall_from_ts=st.integers(0, 5),
        wall_to_ts=st.integers(0, 5),
        trusted_to_ts=st.integers(0, 9),
        stream_from=st.integers(0, 5),
        stream_to=st.integers(0, 5),
    ),
    max_size=4,
)


@given(LAGS, st.integers(-3, 7), st.none() | st.integers(0, 7), st.integers(0, 10))
def test_the_ages_in_sql_are_those_in_python(
    lags: list[ClockLag], stream_ordering: int, received_ts: int | None, origin_ts: int
) -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(CLOCK_LAGS.migrations[0].sqlite[0])
        rows = [(number, *attr.astuple(lag)) for number, lag in enumerate(lags)]
        connection.executemany(f"INSERT INTO {CLOCK_LAGS_TABLE} VALUES (?, ?, ?, ?, ?, ?)", rows)  # noqa: S608
        [(message_ts, file_ts)] = connection.execute(
            f"SELECT {AGE_TS}, {file_came_ts('e')}"  # noqa: S608
            " FROM (SELECT ? AS stream_ordering, ? AS received_ts, ? AS origin_server_ts, ? AS created_ts) AS e",
            (stream_ordering, received_ts, origin_ts, origin_ts),
        )
    finally:
        connection.close()
    assert message_ts == age_ts(stream_ordering, received_ts, origin_ts, lags)
    assert file_ts == max([origin_ts, *(lag.trusted_to_ts for lag in lags if lag.has_moment(origin_ts))])
