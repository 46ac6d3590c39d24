"""From results of probes to outages: begin, end, gaps, and the order in which results come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.availability.measuring import BRIDGED_SLICES, Measured, Slices

MINUTE = 60_000
SLICES = Slices(MINUTE)


def results(pattern: str, begin: int = 0) -> list[tuple[int, bool]]:
    """One result in each minute: `+` good, `-` failed, `.` none. In the middle of the minute."""
    return [((begin + place) * MINUTE + 20_000, sign == "+") for place, sign in enumerate(pattern) if sign != "."]


def outages(pattern: str, *, later: int = 100) -> list[tuple[int, int | None]]:
    """Begin and end of each in minutes, some time after the last result."""
    found = SLICES.outages(results(pattern), (len(pattern) + later) * MINUTE)
    return [(one.begin_ms // MINUTE, None if one.end_ms is None else one.end_ms // MINUTE) for one in found]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", []),
        ("++++", []),
        ("+--+", [(1, 3)]),
        ("--+", [(0, 2)]),
        ("+-+-+", [(1, 2), (3, 4)]),
        ("+-..-+", [(1, 5)]),  # some minutes without a result are bridged
        ("+-..+", [(1, 4)]),  # it ends with the first good one
        ("+-.....-+", [(1, 8)]),
        ("+-......-+", [(1, 2), (8, 9)]),  # more are not: nobody knows
        ("+-......+", [(1, 2)]),
        ("+--", [(1, 3)]),
    ],
)
def test_an_outage_begins_with_the_first_failed_minute_and_ends_with_the_first_good_one(
    pattern: str, found: list[tuple[int, int | None]]
) -> None:
    assert outages(pattern) == found


def test_an_outage_goes_on_until_nobody_tells_any_more() -> None:
    assert outages("+--", later=0) == [(1, None)]
    assert outages("+--", later=BRIDGED_SLICES) == [(1, None)]
    assert outages("+--", later=BRIDGED_SLICES + 1) == [(1, 3)]


def test_one_good_result_makes_a_minute_good() -> None:
    both = [(10_000, False), (50_000, True)]
    assert SLICES.outages(both, 10 * MINUTE) == []
    assert SLICES.outages([(10_000, True), (50_000, False)], 10 * MINUTE) == []
    assert SLICES.outages(both[:1], 10 * MINUTE) == [Measured(0, MINUTE, MINUTE)]


@given(st.text("+-.", max_size=40), st.randoms(use_true_random=False))
def test_the_order_in_which_results_come_does_not_matter(pattern: str, random: object) -> None:
    shuffled = results(pattern)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis' own Random
    assert SLICES.outages(shuffled, 10**9) == SLICES.outages(results(pattern), 10**9)


@given(st.text("+-.", max_size=60))
def test_every_failed_minute_lies_in_an_outage_and_no_good_one_does(pattern: str) -> None:
    covered = {
        minute for begin, end in outages(pattern) for minute in range(begin, len(pattern) if end is None else end)
    }
    assert {place for place, sign in enumerate(pattern) if sign == "-"} <= covered
    assert not {place for place, sign in enumerate(pattern) if sign == "+"} & covered
