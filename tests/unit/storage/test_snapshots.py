"""The count of a day: the last one stands for it, other days are never touched, whatever clock and zone do."""

import sqlite3
from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.storage import snapshots
from synapse_bum.storage.month import Month, day_of
from synapse_bum.storage.snapshots import Snapshot
from synapse_bum.storage.snapshots_tables import SNAPSHOTS
from synapse_bum.storage.usage import Stored

BERLIN = ZoneInfo("Europe/Berlin")
UTC = ZoneInfo("UTC")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOON_MS = Month(2026, 2).bounds_ms(BERLIN)[0] + 13 * DAY_MS + 12 * HOUR_MS
"""14 February."""
FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(2999, 12, 31)
LARGE = 2**45


def a_count(ts: int, users: int = 1, zone: ZoneInfo = BERLIN, gigabyte: int = 10**9) -> Snapshot:
    stored = Stored(users, LARGE, 3, 4, 5, 6)
    return Snapshot(day_of(ts, zone), ts, users, 1, stored, LARGE + 14, users * gigabyte, gigabyte)


@pytest.fixture
def txn() -> Iterator[sqlite3.Cursor]:
    yield from new_tables()


def new_tables() -> Iterator[sqlite3.Cursor]:
    connection = sqlite3.connect(":memory:")
    cursor = connection.cursor()
    migrate(cursor, Dialect.SQLITE, [SNAPSHOTS])
    yield cursor
    connection.close()


def everything(txn: sqlite3.Cursor) -> list[Snapshot]:
    return snapshots.read(txn, FIRST_DAY, LAST_DAY)


def test_a_count_comes_back_as_it_was_written(txn: sqlite3.Cursor) -> None:
    count = a_count(NOON_MS)
    snapshots.write(txn, count)
    assert everything(txn) == [count]
    assert snapshots.first(txn) == count


def test_before_the_first_count_there_is_nothing(txn: sqlite3.Cursor) -> None:
    assert everything(txn) == []
    assert snapshots.first(txn) is None
    assert snapshots.list_history(txn, 0, 2**62, 0, 10) == ([], 0)


def test_the_last_count_of_a_day_stands_for_it(txn: sqlite3.Cursor) -> None:
    for hour in range(24):
        snapshots.write(txn, a_count(NOON_MS + hour * HOUR_MS, users=hour))
    assert [(count.day, count.users) for count in everything(txn)] == [(date(2026, 2, 14), 11), (date(2026, 2, 15), 23)]


def test_the_same_count_twice_is_one(txn: sqlite3.Cursor) -> None:
    snapshots.write(txn, a_count(NOON_MS))
    snapshots.write(txn, a_count(NOON_MS, users=2))
    assert everything(txn) == [a_count(NOON_MS, users=2)]


def test_a_clock_that_goes_back_a_day_leaves_the_ends_of_past_days_alone(txn: sqlite3.Cursor) -> None:
    evening, noon = a_count(NOON_MS + 11 * HOUR_MS, users=1), a_count(NOON_MS + DAY_MS, users=2)
    snapshots.write(txn, evening)
    snapshots.write(txn, noon)
    snapshots.write(txn, a_count(NOON_MS, users=3))
    assert everything(txn) == [evening, noon]
    later = a_count(NOON_MS + DAY_MS + HOUR_MS, users=4)
    snapshots.write(txn, later)
    assert everything(txn) == [evening, later]


def test_what_a_clock_that_was_ahead_has_written_gives_way_when_its_time_comes(txn: sqlite3.Cursor) -> None:
    snapshots.write(txn, a_count(NOON_MS + DAY_MS, users=1))
    today = a_count(NOON_MS, users=2)
    snapshots.write(txn, today)
    tomorrow = a_count(NOON_MS + DAY_MS + HOUR_MS, users=3)
    snapshots.write(txn, tomorrow)
    assert everything(txn) == [today, tomorrow]


def test_days_stay_what_they_were_when_the_zone_is_changed(txn: sqlite3.Cursor) -> None:
    midnight_ms = NOON_MS + 12 * HOUR_MS
    in_berlin = a_count(midnight_ms, users=1)
    snapshots.write(txn, in_berlin)
    in_utc = a_count(midnight_ms + 1, users=2, zone=UTC)
    snapshots.write(txn, in_utc)
    assert [(count.day.day, count.users) for count in everything(txn)] == [(14, 2), (15, 1)]


def test_counts_keep_the_gigabyte_of_their_time(txn: sqlite3.Cursor) -> None:
    counts = [a_count(NOON_MS, gigabyte=10**9), a_count(NOON_MS + DAY_MS, gigabyte=2**30)]
    for count in counts:
        snapshots.write(txn, count)
    assert everything(txn) == counts


def test_a_month_has_its_days_and_no_others(txn: sqlite3.Cursor) -> None:
    for day in range(-20, 40):
        snapshots.write(txn, a_count(NOON_MS + day * DAY_MS))
    month = Month(2026, 2)
    found = [count.day for count in snapshots.read(txn, month.first_day, month.next.first_day)]
    assert found == [date(2026, 2, day) for day in range(1, 29)]


def test_old_days_are_dropped(txn: sqlite3.Cursor) -> None:
    for day in range(5):
        snapshots.write(txn, a_count(NOON_MS + day * DAY_MS))
    snapshots.drop_older(txn, date(2026, 2, 17))
    assert [count.day.day for count in everything(txn)] == [17, 18]
    first = snapshots.first(txn)
    assert first is not None
    assert first.day == date(2026, 2, 17)


def test_history_comes_in_pages(txn: sqlite3.Cursor) -> None:
    counts = [a_count(NOON_MS + day * DAY_MS, users=day) for day in range(10)]
    for count in counts:
        snapshots.write(txn, count)
    assert snapshots.list_history(txn, 0, 2**62, 0, 4) == (counts[:4], 10)
    assert snapshots.list_history(txn, 0, 2**62, 8, 4) == (counts[8:], 10)
    assert snapshots.list_history(txn, counts[2].ts, counts[5].ts, 0, 100) == (counts[2:5], 3)


def test_what_is_beyond_the_pool() -> None:
    count = attr.evolve(a_count(NOON_MS), used_bytes=5, included_bytes=3, gigabyte=2)
    assert (count.overrun_bytes, count.extension_gb) == (2, 1)
    assert attr.evolve(count, used_bytes=2).overrun_bytes == 0


@given(st.lists(st.tuples(st.integers(0, 400 * 24), st.integers(1, 9)), max_size=40))
def test_each_day_shows_its_latest_count_whatever_the_clock_did(written: list[tuple[int, int]]) -> None:
    for txn in new_tables():
        expected: dict[date, Snapshot] = {}
        for hour, users in written:
            count = a_count(NOON_MS + hour * HOUR_MS, users=users)
            snapshots.write(txn, count)
            if count.day not in expected or count.ts >= expected[count.day].ts:
                expected[count.day] = count
        assert everything(txn) == [expected[day] for day in sorted(expected)]
