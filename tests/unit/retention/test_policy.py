"""How far a run may go, by lifetime, size of the class and confirmation."""

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.quantities import Duration, parse_duration
from synapse_bum.retention.policy import Decision, cutoff, decide

BERLIN = ZoneInfo("Europe/Berlin")
DAY_MS = 86_400_000
NOW_MS = 1_795_000_000_000


def ms(*moment: int, zone: ZoneInfo = BERLIN) -> int:
    """Ms since the epoch of a moment in Berlin."""
    return int(datetime(*moment, tzinfo=zone).timestamp() * 1000)  # type: ignore[arg-type,misc]


def test_a_year_with_a_leap_day_has_366_days() -> None:
    now_ms = ms(2028, 11, 22, 12)
    assert now_ms - cutoff(Duration(0, 1), now_ms, BERLIN) == 366 * DAY_MS


def test_a_year_without_one_has_365() -> None:
    now_ms = ms(2027, 11, 22, 12)
    assert now_ms - cutoff(Duration(0, 1), now_ms, BERLIN) == 365 * DAY_MS


def test_what_was_sent_on_29_february_stays_until_28_february_is_over_at_that_hour() -> None:
    sent_ms = ms(2028, 2, 29, 12)
    assert cutoff(Duration(0, 1), ms(2029, 2, 28, 12), BERLIN) < sent_ms
    assert cutoff(Duration(0, 1), ms(2029, 3, 1, 12), BERLIN) >= sent_ms


def test_calendar_years_are_those_of_the_zone() -> None:
    sent_ms = ms(2027, 3, 1, 0, 30)
    a_day_early_ms = ms(2028, 2, 29, 0, 30)
    assert cutoff(Duration(0, 1), a_day_early_ms, BERLIN) < sent_ms
    assert cutoff(Duration(0, 1), a_day_early_ms, ZoneInfo("UTC")) >= sent_ms


@given(now=st.datetimes(datetime(2001, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone.utc)))  # noqa: DTZ001 - hypothesis adds the zone
def test_a_year_is_never_shorter_than_365_days_less_an_hour(now: datetime) -> None:
    now_ms = int(now.timestamp() * 1000)
    lived_ms = now_ms - cutoff(Duration(0, 1), now_ms, BERLIN)
    assert 365 * DAY_MS - 3_600_000 <= lived_ms <= 366 * DAY_MS + 3_600_000


@pytest.mark.parametrize("agreed", [None, "1y", "90d", "1d"])
@pytest.mark.parametrize("large", [True, False])
def test_what_an_operator_confirms_goes(agreed: str | None, large: bool) -> None:  # noqa: FBT001 - parametrized
    known = None if agreed is None else parse_duration(agreed)
    decision = decide(Duration(1000), known, large=large, confirmed=True, now_ms=NOW_MS, zone=BERLIN)
    assert decision == Decision(NOW_MS - 1000)


def test_a_small_class_needs_nobody() -> None:
    decision = decide(Duration(1000), None, large=False, confirmed=False, now_ms=NOW_MS, zone=BERLIN)
    assert decision == Decision(NOW_MS - 1000)


def test_the_first_run_over_a_large_class_deletes_nothing() -> None:
    decision = decide(parse_duration("90d"), None, large=True, confirmed=False, now_ms=NOW_MS, zone=BERLIN)
    assert decision == Decision(None, needs_confirmation=True)


def test_365s_instead_of_a_year_deletes_only_what_is_older_than_a_year() -> None:
    year = parse_duration("1y")
    decision = decide(parse_duration("365s"), year, large=True, confirmed=False, now_ms=NOW_MS, zone=BERLIN)
    assert decision == Decision(cutoff(year, NOW_MS, BERLIN), needs_confirmation=True)


@pytest.mark.parametrize("wanted", ["90d", "91d", "1y"])
def test_an_equal_or_longer_lifetime_needs_nobody(wanted: str) -> None:
    lifetime = parse_duration(wanted)
    decision = decide(lifetime, parse_duration("90d"), large=True, confirmed=False, now_ms=NOW_MS, zone=BERLIN)
    assert decision == Decision(cutoff(lifetime, NOW_MS, BERLIN))


@given(
    wanted=st.integers(1, 10**11),
    agreed=st.none() | st.integers(1, 10**11),
    large=st.booleans(),
    confirmed=st.booleans(),
)
def test_nothing_younger_than_the_configured_lifetime_ever_goes(
    wanted: int,
    agreed: int | None,
    large: bool,  # noqa: FBT001 - hypothesis
    confirmed: bool,  # noqa: FBT001 - hypothesis
) -> None:
    known = None if agreed is None else Duration(agreed)
    decision = decide(Duration(wanted), known, large=large, confirmed=confirmed, now_ms=NOW_MS, zone=BERLIN)
    if decision.cutoff_ts is not None:
        assert decision.cutoff_ts <= NOW_MS - wanted
