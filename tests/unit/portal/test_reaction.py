"""Until when the support reacts: holidays, weekends, clocks that change, and the edges of the service hours."""

import datetime as dt
import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.support.holidays import easter, is_service_day, nationwide_holidays
from synapse_bum.portal.support.progress import progress_of
from synapse_bum.portal.support.reaction import Category, due_ms

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
API = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text(encoding="utf-8")

moments = st.integers(1_577_836_800, 2_871_763_200).map(lambda ts: dt.datetime.fromtimestamp(ts, dt.timezone.utc))
"""From 2020 to 2060."""


def ms(written: str) -> int:
    """A moment of Germany such as `2026-11-23 14:00`."""
    return int(dt.datetime.fromisoformat(written).replace(tzinfo=BERLIN).timestamp() * 1000)


def written(ts_ms: int) -> str:
    return dt.datetime.fromtimestamp(ts_ms / 1000, BERLIN).strftime("%Y-%m-%d %H:%M")


def service_ms(begin_ms: int, end_ms: int) -> int:
    """How much of a span lies in the service hours, minute by minute: slow, and plainly right."""
    counted = 0
    for ts_ms in range(begin_ms, end_ms, MINUTE_MS):
        here = dt.datetime.fromtimestamp(ts_ms / 1000, BERLIN)
        counted += MINUTE_MS if is_service_day(here.date()) and 8 <= here.hour < 17 else 0
    return counted


class TestHolidays:
    @pytest.mark.parametrize(
        "sunday",
        [
            "1961-04-02",
            "2000-04-23",
            "2008-03-23",
            "2011-04-24",
            "2026-04-05",
            "2027-03-28",
            "2038-04-25",
            "2049-04-18",
        ],
    )
    def test_easter(self, sunday: str) -> None:
        assert easter(int(sunday[:4])).isoformat() == sunday

    @given(st.integers(1900, 2199))
    def test_easter_is_a_sunday_from_22_march_to_25_april(self, year: int) -> None:
        assert easter(year).isoweekday() == 7
        assert dt.date(year, 3, 22) <= easter(year) <= dt.date(year, 4, 25)

    def test_the_nine_holidays_of_all_of_germany(self) -> None:
        assert sorted(day.strftime("%d.%m.") for day in nationwide_holidays(2026)) == sorted(
            ("01.01.", "03.04.", "06.04.", "01.05.", "14.05.", "25.05.", "03.10.", "25.12.", "26.12.")
        )

    @pytest.mark.parametrize(
        "day", ["2026-12-24", "2026-12-31", "2026-06-04", "2026-10-31", "2026-11-01", "2026-01-06"]
    )
    def test_what_is_a_holiday_in_some_states_only_is_none(self, day: str) -> None:
        assert dt.date.fromisoformat(day) not in nationwide_holidays(2026)


class TestDueTime:
    @pytest.mark.parametrize(
        ("confirmed", "due"),
        [
            ("2026-11-23 08:00", "2026-11-23 12:00"),
            ("2026-11-23 13:00", "2026-11-23 17:00"),
            ("2026-11-23 13:01", "2026-11-24 08:01"),
            ("2026-11-23 16:59", "2026-11-24 11:59"),
            ("2026-11-23 17:00", "2026-11-24 12:00"),
            ("2026-11-23 23:30", "2026-11-24 12:00"),
            ("2026-11-23 07:59", "2026-11-23 12:00"),
            ("2026-11-27 15:00", "2026-11-30 10:00"),  # Friday to Monday
            ("2026-11-28 10:00", "2026-11-30 12:00"),  # on a Saturday
            ("2026-11-29 10:00", "2026-11-30 12:00"),  # on a Sunday
            ("2026-04-02 15:00", "2026-04-07 10:00"),  # over Easter
            ("2026-05-13 16:00", "2026-05-15 11:00"),  # over Ascension Day
            ("2026-05-25 10:00", "2026-05-26 12:00"),  # on Whit Monday
            ("2027-12-31 16:00", "2028-01-03 11:00"),  # over New Year, a Saturday
            ("2026-12-24 16:00", "2026-12-28 11:00"),  # Christmas Eve is a service day
            ("2026-03-27 16:00", "2026-03-30 11:00"),  # clocks go forward on Sunday
            ("2026-10-23 16:00", "2026-10-26 11:00"),  # clocks go back on Sunday
        ],
    )
    def test_of_category_2(self, confirmed: str, due: str) -> None:
        assert written(due_ms(Category.NORMAL, ms(confirmed))) == due

    @pytest.mark.parametrize(
        ("confirmed", "due"),
        [
            ("2026-12-25 23:00", "2026-12-26 01:00"),
            ("2026-03-29 01:30", "2026-03-29 04:30"),  # two hours, though clocks go forward
            ("2026-10-25 01:30", "2026-10-25 02:30"),  # the second 02:30 of that night
        ],
    )
    def test_of_category_1_is_two_hours_later_whatever_the_day(self, confirmed: str, due: str) -> None:
        assert due_ms(Category.URGENT, ms(confirmed)) - ms(confirmed) == 2 * HOUR_MS
        assert written(due_ms(Category.URGENT, ms(confirmed))) == due

    @given(moments)
    def test_of_category_2_lies_in_service_hours_after_four_of_them(self, moment: dt.datetime) -> None:
        confirmed = int(moment.timestamp()) // 60 * MINUTE_MS
        due = due_ms(Category.NORMAL, confirmed)
        here = dt.datetime.fromtimestamp(due / 1000, BERLIN)
        assert is_service_day(here.date())
        assert dt.time(8) < here.time() <= dt.time(17)
        assert service_ms(confirmed, due) == 4 * HOUR_MS
        assert due - confirmed <= 6 * 24 * HOUR_MS, "no row of days off is longer than five days"

    @given(moments, st.integers(0, 7 * 24 * 60))
    def test_who_confirms_later_reacts_not_earlier(self, moment: dt.datetime, minutes: int) -> None:
        first = int(moment.timestamp() * 1000)
        assert due_ms(Category.NORMAL, first) <= due_ms(Category.NORMAL, first + minutes * MINUTE_MS)

    def test_the_example_of_the_documentation_is_right(self) -> None:
        confirmed, due = (int(re.search(rf'"{name}": (\d+)', API)[1]) for name in ("confirmed_ts", "due_ts"))  # type: ignore[index]
        assert due_ms(Category.NORMAL, confirmed) == due


class TestProgress:
    @pytest.mark.parametrize(
        ("due", "answered", "now", "expected"),
        [
            (None, None, 5, "reported"),
            (10, None, 10, "running"),
            (10, None, 11, "overdue"),
            (10, 10, 99, "in_time"),
            (10, 11, 99, "late"),
        ],
    )
    def test_it_follows_from_the_times(self, due: Any, answered: Any, now: int, expected: str) -> None:  # noqa: ANN401 - of a table
        assert progress_of({"due_ts": due, "answered_ts": answered}, now) == expected
