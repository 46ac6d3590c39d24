"""Durations and sizes mean what they say, or are refused with the right form."""

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.quantities import Duration, as_size, parse_duration, parse_size

DAY = 86_400_000


def ts(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "ms"), [("30s", 30_000), ("15m", 900_000), ("24h", DAY), ("90d", 90 * DAY), ("007d", 7 * DAY)]
)
def test_fixed_durations(text: str, ms: int) -> None:
    assert parse_duration(text) == Duration(fixed_ms=ms)
    assert parse_duration(text).before(ms + 5) == 5


@pytest.mark.parametrize(
    "value",
    [365, 0, 1.5, "365", "", "0s", "0y", "-1d", "1 d", "1D", "1w", "1.5h", "\u0661d", "1d\n", "1001y", "9" * 30 + "s"],
)
def test_durations_without_a_unit_or_not_above_zero_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"unit|longer"):
        parse_duration(value)


@pytest.mark.parametrize("value", [True, None, ["1d"], {"1d": 1}])
def test_durations_of_another_type_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ("2027-03-01T12:00:00", "2026-03-01T12:00:00"),
        ("2025-02-28T12:00:00", "2024-02-28T12:00:00"),
        ("2024-03-01T12:00:00", "2023-03-01T12:00:00"),
        ("2024-02-29T12:00:00", "2023-02-28T12:00:00"),
    ],
)
def test_a_year_is_a_calendar_year(now: str, before: str) -> None:
    assert parse_duration("1y").before(ts(now)) == ts(before)


def test_a_calendar_year_is_counted_where_the_users_live() -> None:
    # 2024-12-31T23:30Z is already 1 January 2025 in Berlin; 2024 had 29 February, so both differ from 365 days.
    berlin = ZoneInfo("Europe/Berlin")
    assert parse_duration("1y").before(ts("2025-03-30T12:00:00"), berlin) == ts("2024-03-30T13:00:00")
    assert parse_duration("1y").before(ts("2024-02-28T23:30:00"), berlin) == ts("2023-02-27T23:30:00")


@given(st.integers(1, 900), st.integers(0, 4_102_444_800_000))
def test_going_back_years_is_within_a_day_of_the_mean_year(years: int, now: int) -> None:
    back = now - Duration(fixed_ms=0, years=years).before(now)
    assert abs(back - years * 365.2425 * DAY) < 2 * DAY


@given(st.integers(1, 10**5), st.sampled_from("smhd"))
def test_a_longer_duration_lies_further_back(amount: int, unit: str) -> None:
    shorter, longer = parse_duration(f"{amount}{unit}"), parse_duration(f"{amount + 1}{unit}")
    assert longer.before(0) < shorter.before(0) < 0
    assert shorter.nominal_ms == -shorter.before(0)


@pytest.mark.parametrize(
    ("value", "size"), [("100K", 102_400), ("50M", 52_428_800), ("1G", 2**30), ("2T", 2**41), ("7", 7), (7, 7)]
)
def test_sizes_have_binary_units(value: object, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("1g", "write `1G`"),
        ("1.5G", "write `1536M`"),
        ("50MB", "write `50M`"),
        ("50MiB", "write `50M`"),
        ("50 M", "write `50M`"),
        ("0.5k", "write `512`"),
        ("", "must be a size"),
        ("M", "must be a size"),
        ("1_000", "must be a size"),
        (" 5", "must be a size"),
        ("\u0663M", "must be a size"),
        ("-5M", "must be a size"),
        ("0", "more than zero"),
        (0, "more than zero"),
        (-1, "more than zero"),
        (True, "must be a size"),
        (1.5, "must be a size"),
        (None, "must be a size"),
        ("9" * 19 + "T", "larger than any file"),
    ],
)
def test_other_sizes_are_refused_with_the_right_form(value: object, right: str) -> None:
    with pytest.raises(ValueError, match=right):
        parse_size(value)


@given(st.integers(1, 2**60))
def test_a_written_size_reads_back(size: int) -> None:
    assert parse_size(as_size(size)) == size


@given(st.text(alphabet="0123456789.KMGTkmgtiB _-+", max_size=10))
def test_a_suggested_size_is_itself_valid(text: str) -> None:
    try:
        parse_size(text)
    except ValueError as e:
        suggestion = str(e).partition("write `")[2].rstrip("`")
        assert not suggestion or parse_size(suggestion) > 0
