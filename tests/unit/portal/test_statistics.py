"""The calendar of the daily counts, and tables by day, week and month."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.statistics import calendar_days, periods
from synapse_bum.portal.statistics.calendar_days import CATCH_UP_DAYS, GRACE_MS, begin_ms, due_days, end_ms, first_kept
from synapse_bum.portal.statistics.periods import Column, Length, Sum

BERLIN = ZoneInfo("Europe/Berlin")


def ms(*moment: int) -> int:
    """A moment in Germany."""
    year, month, day, hour, minute = moment
    return int(dt.datetime(year, month, day, hour, minute, tzinfo=BERLIN).timestamp() * 1000)


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


class TestCalendar:
    @pytest.mark.parametrize(("text", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-10", 24)])
    def test_a_day_is_as_long_as_the_clocks_make_it(self, text: str, hours: int) -> None:
        assert end_ms(day(text)) - begin_ms(day(text)) == hours * 3_600_000

    @pytest.mark.parametrize(
        ("last_moment", "text"), [((2026, 11, 10, 1, 14), "2026-11-09"), ((2026, 7, 10, 2, 14), "2026-07-09")]
    )
    def test_a_day_is_counted_when_it_is_over_here_and_in_utc(self, last_moment: tuple[int, ...], text: str) -> None:
        now_ms, yesterday = ms(*last_moment), day(text)
        assert yesterday not in due_days(now_ms, None)
        assert yesterday in due_days(now_ms + 60_000, None)

    @given(st.integers(0, 4_000_000_000_000), st.integers(0, 60))
    def test_days_are_due_in_order_each_once_and_all_over(self, now_ms: int, back: int) -> None:
        last = calendar_days.day_of(now_ms) - dt.timedelta(days=back)
        found = due_days(now_ms, last)
        assert found == sorted(set(found))
        assert len(found) <= CATCH_UP_DAYS
        for one in found:
            assert one > last
            assert now_ms >= end_ms(one) + GRACE_MS

    def test_two_years_are_kept_also_from_a_29_february(self) -> None:
        assert first_kept(day("2028-02-29")) == day("2026-02-28")
        assert first_kept(day("2026-11-23")) == day("2024-11-23")


class TestPeriods:
    def test_rows_by_week_begin_on_monday_and_the_latest_is_first(self) -> None:
        column = Column("a", {day("2026-11-20"): 1, day("2026-11-22"): 2, day("2026-11-23"): 5}, Sum.TOTAL)
        found = periods.rows([column], Length.WEEK)
        assert [(row.begin.isoformat(), row.values) for row in found] == [("2026-11-23", (5,)), ("2026-11-16", (3,))]

    def test_a_row_says_how_many_of_its_days_are_known(self) -> None:
        column = Column("a", {day("2026-02-01") + dt.timedelta(days=n): n for n in range(30)}, Sum.TOTAL)
        for length, expected in (
            (Length.MONTH, [(2, 31), (28, 28)]),
            (Length.WEEK, [(1, 7), (7, 7), (7, 7), (7, 7), (7, 7), (1, 7)]),
            (Length.DAY, [(1, 1)] * 30),
        ):
            found = periods.rows([column], length)
            assert [(row.counted, row.days) for row in found] == expected
            assert [row.is_partial for row in found] == [counted < days for counted, days in expected]

    def test_what_is_not_known_is_no_zero(self) -> None:
        rooms = Column("rooms", {day("2026-11-20"): None, day("2026-11-21"): 4}, Sum.LAST)
        sent = Column("sent", {day("2026-11-20"): 7, day("2026-11-21"): None}, Sum.TOTAL)
        assert [row.values for row in periods.rows([rooms, sent], Length.DAY)] == [(4, None), (None, 7)]
        assert [row.values for row in periods.rows([rooms, sent], Length.MONTH)] == [(4, 7)]
        assert rooms.latest == (day("2026-11-21"), 4)
        assert Column("none", {day("2026-11-20"): None}, Sum.LAST).latest is None

    @pytest.mark.parametrize(("how", "expected"), [(Sum.LAST, 2), (Sum.TOTAL, 8), (Sum.PEAK, 5)])
    def test_how_days_become_one_number(self, how: Sum, expected: int) -> None:
        assert how.of([None, 1, 5, 2, None]) == expected
        assert how.of([None]) is None

    @pytest.mark.parametrize("span", periods.SPANS)
    def test_no_table_is_long(self, span: str) -> None:
        column = Column("a", {day("2026-01-01") + dt.timedelta(days=n): n for n in range(int(span))}, Sum.LAST)
        assert len(periods.rows([column], periods.length_of(span))) <= 31

    @pytest.mark.parametrize("text", ["", "31", "-1", "x", "٣٠"])
    def test_nonsense_is_the_shortest_span(self, text: str) -> None:
        assert periods.span_of(text) == "30"
