"""Days of a form and moments of the API mean the same, and refusals become sentences."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.language.formats import ZONE
from synapse_bum.portal.language.texts import load
from synapse_bum.portal.presentation.partner_terms import (
    begin_of,
    conflict,
    end_of,
    first_day,
    last_day,
    name_refusal,
    plausible_day,
    state,
)

GERMAN = load("de")
DAYS = st.dates(dt.date(2000, 1, 1), dt.date(2199, 12, 31)).map(dt.date.isoformat)


@given(DAYS)
def test_a_day_comes_back_as_it_was_typed(day: str) -> None:
    assert first_day(begin_of(day)) == day
    assert last_day(end_of(day)) == day


@given(DAYS)
def test_the_last_day_counts_to_its_end_and_no_longer(day: str) -> None:
    end = end_of(day)
    assert end is not None
    after = dt.datetime.fromtimestamp(end / 1000, ZONE)
    assert (after.hour, after.minute) == (0, 0)
    assert after.date() == dt.date.fromisoformat(day) + dt.timedelta(days=1)


@given(st.integers(946_684_800_000, 7_226_582_400_000))
def test_what_is_not_touched_stays_to_the_millisecond(moment_ms: int) -> None:
    assert begin_of(first_day(moment_ms), moment_ms) == moment_ms
    assert end_of(last_day(moment_ms), moment_ms) == moment_ms


def test_an_emptied_day_is_no_limit() -> None:
    assert begin_of("", 1_700_000_000_000) is None
    assert end_of("", 1_700_000_000_000) is None
    assert begin_of("") is None
    assert end_of("") is None
    assert first_day(None) == last_day(None) == ""


def test_days_of_other_ages_are_slips() -> None:
    assert plausible_day("0206-01-01") is not None
    assert plausible_day("9999-12-31") is not None
    assert plausible_day("2199-12-31") is None


@pytest.mark.parametrize(
    ("begin", "end", "said"),
    [
        (None, None, "in_force"),
        (1_000, None, "in_force"),
        (1_001, None, "not_yet"),
        (None, 1_000, "expired"),
        (500, 900, "expired"),
        (None, 1_001, "ends_soon"),
        (None, 15 * 86_400_000, "in_force"),
    ],
)
def test_what_the_dates_mean_now(begin: int | None, end: int | None, said: str) -> None:
    assert state({"valid_from_ts": begin, "valid_until_ts": end}, 1_000) == f"partners.state_{said}"
    assert f"partners.state_{said}" in GERMAN


@pytest.mark.parametrize(
    ("sentence", "key"),
    [
        ("`server_name`: wildcards need `allow_wildcards: true` in the configuration", "no_wildcards"),
        ("`server_name`: is a public suffix or a single label: anybody may have a name below it", "suffix"),
        ("`server_name`: must be a name: addresses belong to nobody in particular", "address"),
        ("`server_name`: is this server's own name", "own_name"),
        ("`partner_name`: is no valid one in this path", "no_name"),
        ("`server_name`: something new", "other"),
    ],
)
def test_why_a_name_is_none(sentence: str, key: str) -> None:
    assert name_refusal(sentence) == f"partners.name.{key}"
    assert f"partners.name.{key}" in GERMAN


def test_what_is_not_about_the_name_is_not_said_of_it() -> None:
    assert name_refusal("`reason`: must say why") is None
    assert conflict("Something new") is None
