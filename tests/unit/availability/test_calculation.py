"""The formula of the contract: twelve months calculated by hand, and what holds for all months and outages."""

import itertools
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.availability.calculation import (
    MINUTE_MS,
    Availability,
    Event,
    Span,
    calculate,
    minutes_of,
    month_span,
    not_measured,
    service_span,
    union,
    without,
)
from synapse_bum.months import Month
from synapse_bum.testing.berlin import berlin_ms

BERLIN = ZoneInfo("Europe/Berlin")
TARGET = Decimal("0.999")

Row = tuple[str, list[Event], int, int, int, int, str, bool]


def span(begin: str, end: str) -> Span:
    return Span(berlin_ms(begin), berlin_ms(end))


def outage(begin: str, end: str, *, ticket: bool = True, excused: bool = False) -> Event:
    return Event(span(begin, end), ticket, excused)


def of_month(text: str, *events: Event, target: Decimal = TARGET) -> Availability:
    month = Month.parse(text)
    return calculate(month_span(month, month.bounds_ms(BERLIN)), events, target)


# Calculated by hand. Service minutes: days x 1,440; March has an hour less (clock forward on its last Sunday), October
# an hour more. The year before has a February of 28 days.
TWELVE_MONTHS: list[Row] = [
    # month, events, service, outage, excused, measured, availability, target met
    ("2028-01", [], 44_640, 0, 0, 0, "1.00000000", True),
    # 29 days = 41,760. One outage of 41 minutes: 41,719 / 41,760 = 0.99901819...; 41.76 minutes are allowed.
    ("2028-02", [outage("2028-02-29 08:00", "2028-02-29 08:41")], 41_760, 41, 0, 41, "0.99901819", True),
    # 31 x 1,440 - 60 = 44,580. The night of the change: 01:30 to 03:30 on the clock is one hour: 60 minutes.
    ("2028-03", [outage("2028-03-26 01:30", "2028-03-26 03:30")], 44_580, 60, 0, 60, "0.99865410", False),
    # 30 days = 43,200. 43 minutes: 43,157 / 43,200 = 0.99900462...; with one more the target is missed.
    ("2028-04", [outage("2028-04-30 23:17", "2028-05-01 00:00")], 43_200, 43, 0, 43, "0.99900462", True),
    # An outage without ticket is measured only.
    ("2028-05", [outage("2028-05-02 10:00", "2028-05-02 12:00", ticket=False)], 44_640, 0, 0, 120, "1.00000000", True),
    # Two that overlap: 10:00 to 10:30 and 10:20 to 10:50 are 50 minutes, not 60. 43,150 / 43,200.
    (
        "2028-06",
        [outage("2028-06-01 10:00", "2028-06-01 10:30"), outage("2028-06-01 10:20", "2028-06-01 10:50")],
        43_200,
        50,
        0,
        50,
        "0.99884259",
        False,
    ),
    # Maintenance of 2 hours, in it an outage of 30 minutes, and 10 minutes of it lie behind the maintenance.
    (
        "2028-07",
        [
            outage("2028-07-09 02:00", "2028-07-09 04:00", excused=True),
            outage("2028-07-09 03:40", "2028-07-09 04:10"),
        ],
        44_640,
        10,
        120,
        130,
        "0.99977598",
        True,
    ),
    # Over the end of a month: 10 minutes of July are not of August; 20 are. 44,620 / 44,640.
    ("2028-08", [outage("2028-07-31 23:50", "2028-08-01 00:20")], 44_640, 20, 0, 20, "0.99955197", True),
    # From 10:00:30 to 10:01:30 two minutes have begun. An excuse without a ticket changes nothing.
    (
        "2028-09",
        [
            outage("2028-09-01 10:00:30", "2028-09-01 10:01:30"),
            outage("2028-09-01 10:00", "2028-09-01 11:00", ticket=False, excused=True),
        ],
        43_200,
        2,
        0,
        60,
        "0.99995370",
        True,
    ),
    # 31 x 1,440 + 60 = 44,700. 01:30 to 03:30 on the clock are three hours: 180 minutes. 44,520 / 44,700.
    ("2028-10", [outage("2028-10-29 01:30", "2028-10-29 03:30")], 44_700, 180, 0, 180, "0.99597315", False),
    # A whole month out.
    ("2028-11", [outage("2028-10-15 00:00", "2028-12-15 00:00")], 43_200, 43_200, 0, 43_200, "0.00000000", False),
    # 44 minutes in three parts: 31 x 1,440 x 0.001 = 44.64 are allowed. 44,596 / 44,640.
    (
        "2028-12",
        [
            outage("2028-12-24 18:00", "2028-12-24 18:30"),
            outage("2028-12-31 23:50", "2029-01-01 00:10"),
            outage("2028-12-01 00:00", "2028-12-01 00:04"),
        ],
        44_640,
        44,
        0,
        44,
        "0.99901433",
        True,
    ),
]


@pytest.mark.parametrize("row", TWELVE_MONTHS, ids=lambda row: str(row[0]))
def test_twelve_months_calculated_by_hand(row: Row) -> None:
    month, events, *figures, share, is_met = row
    found = of_month(month, *events)
    counted = [found.service_minutes, found.outage_minutes, found.excused_minutes, found.measured_outage_minutes]
    assert counted == figures
    assert (f"{found.availability:.8f}", found.target_met) == (share, is_met)


@pytest.mark.parametrize(
    ("month", "days", "change"), [("2027-02", 28, 0), ("2027-03", 31, -60), ("2026-10", 31, 60), ("2100-02", 28, 0)]
)
def test_service_is_there_day_and_night(month: str, days: int, change: int) -> None:
    assert of_month(month).service_minutes == days * 1_440 + change


def test_what_misses_the_target_by_one_minute_never_looks_as_if_it_met_it() -> None:
    met, missed = (Availability(43_200, out, 0, out, TARGET) for out in (43, 44))
    assert (met.target_met, missed.target_met) == (True, False)
    assert missed.availability < TARGET <= met.availability
    exact = Availability(40_000, 40, 0, 40, TARGET)
    assert (exact.availability, exact.target_met, exact.allowed_minutes) == (TARGET, True, 40)


def test_the_month_of_the_begin_counts_from_there() -> None:
    month = span("2026-05-01", "2026-06-01")
    assert service_span(month, None) == month
    assert service_span(month, berlin_ms("2026-05-11")) == span("2026-05-11", "2026-06-01")
    assert service_span(month, berlin_ms("2026-06-01")) is None
    assert service_span(month, berlin_ms("2026-04-01")) == month


def test_minutes_that_nobody_has_measured() -> None:
    day = span("2026-05-01", "2026-05-02")
    first = day.begin_ms // MINUTE_MS
    measured = [first - 1, first, first + 1, first + 1, first + 1_440]
    assert not_measured(day, measured, []) == 1_438
    bridged = [Span(day.begin_ms + MINUTE_MS, day.begin_ms + 5 * MINUTE_MS)]
    assert not_measured(day, measured, bridged) == 1_435


def brute(spans: list[Span], begin: int, end: int) -> set[int]:
    return {moment for one in spans for moment in range(max(begin, one.begin_ms), min(end, one.end_ms))}


SMALL_SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda pair: Span(pair[0], pair[0] + pair[1])), max_size=6
)


@given(SMALL_SPANS, SMALL_SPANS)
def test_spans_are_sets_of_moments(one: list[Span], other: list[Span]) -> None:
    left, right = union(one), union(other)
    assert brute(left, 0, 200) == brute(one, 0, 200)
    assert all(a.end_ms < b.begin_ms for a, b in itertools.pairwise(left))
    rest = without(left, right)
    assert brute(rest, 0, 200) == brute(one, 0, 200) - brute(other, 0, 200)
    assert all(piece.begin_ms < piece.end_ms for piece in rest)


SECONDS = 1_000
EVENTS = st.lists(
    st.builds(
        lambda begin, length, ticket, excused: Event(
            Span(begin * SECONDS, (begin + length) * SECONDS), ticket, excused
        ),
        st.integers(0, 1_500),
        st.integers(1, 600),
        st.booleans(),
        st.booleans(),
    ),
    max_size=8,
)
SERVICE = Span(5 * MINUTE_MS, 25 * MINUTE_MS)


def minutes(seconds: set[int]) -> set[int]:
    return {second // 60 for second in seconds}


def seconds(events: list[Event]) -> set[int]:
    spans = [Span(event.span.begin_ms // SECONDS, event.span.end_ms // SECONDS) for event in events]
    return brute(spans, SERVICE.begin_ms // SECONDS, SERVICE.end_ms // SECONDS)


@given(EVENTS)
def test_every_minute_is_counted_as_one_would_with_a_pencil(events: list[Event]) -> None:
    found = calculate(SERVICE, events, TARGET)
    counting = [event for event in events if event.has_ticket]
    excused = seconds([event for event in counting if event.is_excused])
    out = seconds([event for event in counting if not event.is_excused])
    assert found.service_minutes == 20
    assert found.outage_minutes == len(minutes(out - excused))
    assert found.excused_minutes == len(minutes(out | excused) - minutes(out - excused))
    assert found.measured_outage_minutes == len(minutes(seconds(events)))


@given(EVENTS, EVENTS)
def test_more_events_change_the_figures_in_one_direction_only(events: list[Event], more: list[Event]) -> None:
    before = calculate(SERVICE, events, TARGET)
    outages = [event for event in more if not event.is_excused]
    excuses = [event for event in more if event.is_excused]
    assert calculate(SERVICE, [*events, *outages], TARGET).availability <= before.availability
    assert calculate(SERVICE, [*events, *excuses], TARGET).availability >= before.availability
    assert calculate(SERVICE, [*events, *more], TARGET).service_minutes == before.service_minutes
    assert calculate(SERVICE, [*reversed(events), *events], TARGET) == before


@given(st.integers(1, 44_700), st.data(), st.integers(500_000, 1_000_000))
def test_a_share_is_never_shown_better_than_it_is(service: int, data: st.DataObject, millionths: int) -> None:
    out = data.draw(st.integers(0, service))
    found = Availability(service, out, 0, out, Decimal(millionths) / 1_000_000)
    exact = Fraction(service - out, service)
    assert 0 <= exact - Fraction(found.availability) < Fraction(1, 10**8)
    assert found.target_met == (exact >= Fraction(millionths, 1_000_000))
    assert found.target_met == (found.availability >= found.target or exact == Fraction(found.target))
    assert found.target_met == (out <= found.allowed_minutes)


def test_a_begun_minute_counts_whole_and_once() -> None:
    assert minutes_of([Span(0, 1)]) == 1
    assert minutes_of([Span(59_999, 60_001)]) == 2
    assert minutes_of([Span(0, 1), Span(30_000, 30_001), Span(59_999, 60_000)]) == 1
    assert minutes_of([Span(0, 60_000), Span(120_000, 180_000)]) == 2
