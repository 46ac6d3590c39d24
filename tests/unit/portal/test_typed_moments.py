"""Days and times of day as they are typed, also when clocks change."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.forms.form import Complaint
from synapse_bum.portal.forms.typed_moments import check_time, typed, typed_ms
from synapse_bum.portal.language.formats import ZONE


def ms(*when: int, fold: int = 0) -> int:
    return int(dt.datetime(*when, tzinfo=ZONE, fold=fold).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize("time", ["14:05", "4:05", "04.05", "00:00", "23:59"])
def test_times_of_day(time: str) -> None:
    assert check_time(time) is None


@pytest.mark.parametrize(
    "time", ["", "24:00", "14", "14:60", "14:5", "14:05 Uhr", "\N{ARABIC-INDIC DIGIT ONE}4:05", "-1:00"]
)
def test_what_is_none(time: str) -> None:
    assert isinstance(check_time(time), Complaint)
    assert typed_ms("2026-11-23", time) is None


def test_what_is_typed_is_time_of_germany() -> None:
    assert typed_ms("2026-07-01", "14:05") == ms(2026, 7, 1, 14, 5)
    assert typed_ms("2026-12-01", "4.05") == ms(2026, 12, 1, 4, 5)
    assert typed_ms("2026-13-01", "14:05") is None
    assert typed_ms("0001-01-01", "00:00") is None


def test_an_hour_that_is_not_there_and_one_that_is_there_twice() -> None:
    assert typed_ms("2026-03-29", "02:30") is None
    assert typed_ms("2026-10-25", "02:30") == ms(2026, 10, 25, 2, 30)
    second = ms(2026, 10, 25, 2, 30, fold=1)
    assert typed_ms("2026-10-25", "02:30", second) == second


def test_what_was_not_changed_stays_to_the_millisecond() -> None:
    known = ms(2026, 5, 4, 10, 0) + 41_234
    assert typed_ms(*typed(known), known) == known
    assert typed_ms("2026-05-04", "10:01", known) == ms(2026, 5, 4, 10, 1)
    assert typed(None) == ("", "")


@given(st.integers(1_577_836_800_000, 2_500_000_000_000))
def test_a_moment_that_is_shown_and_sent_back_is_the_same(ts_ms: int) -> None:
    assert typed_ms(*typed(ts_ms), ts_ms) == ts_ms
