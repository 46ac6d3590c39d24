"""The availability of a month, from its outages. Pure, and exact: whole minutes and fractions, no floating point.

    availability = (service minutes - outage minutes) / service minutes

**Minutes** are those of the calendar. Every minute of the month is one of service, day and night, so a month in which
the clock changes has 60 more or fewer. A minute that has begun counts whole: whoever could not send in the last second
of 10:00 has lost that minute, and an outage is never rounded in favour of whoever answers for it. A minute that several
outages touch counts once.

**Excused events** are taken out moment by moment: of an outage from 10:00 to 11:00 and maintenance from 10:30 to 11:00,
30 minutes are left. A minute in which a moment without excuse is left counts as outage. They never reduce the service
minutes.

**Contractual** is what has a ticket, excused events too: without one, an event changes nothing. **Measured** is every
outage that is known, whether or not it has a ticket or an excuse: what users have seen.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_DOWN, Decimal, localcontext
from fractions import Fraction
from typing import Final

import attr

from synapse_bum.months import Month

MINUTE_MS: Final = 60_000

_SHOWN: Final = Decimal("0.00000001")
"""Finer than one minute of a month, which is 0.00002."""
_DIGITS: Final = 50


@attr.s(auto_attribs=True, frozen=True, slots=True, order=True)
class Span:
    """A span of time that is not empty.

    Attributes:
        begin_ms: its first moment, ms since the epoch.
        end_ms: the first one behind it.
    """

    begin_ms: int
    end_ms: int

    def within(self, other: "Span") -> "Span | None":
        """Returns what of it lies in another one, None when nothing does."""
        begin_ms, end_ms = max(self.begin_ms, other.begin_ms), min(self.end_ms, other.end_ms)
        return Span(begin_ms, end_ms) if begin_ms < end_ms else None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Event:
    """An outage as the calculation sees it.

    Attributes:
        span: when; one that has not ended reaches up to the present.
        has_ticket: whether it counts in the contractual figure.
        is_excused: whether it takes minutes out of the outage.
    """

    span: Span
    has_ticket: bool
    is_excused: bool


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Availability:
    """How available the service was in a month.

    Attributes:
        service_minutes: all minutes of the month, from the begin of the service on.
        outage_minutes: those of outages with a ticket and without an excuse.
        excused_minutes: those of events with a ticket that an excuse keeps from being outage minutes.
        measured_outage_minutes: those of all outages.
        target: the share that was promised.
    """

    service_minutes: int
    outage_minutes: int
    excused_minutes: int
    measured_outage_minutes: int
    target: Decimal

    @property
    def availability(self) -> Decimal:
        """The contractual share, rounded down to eight decimals: what is missed never looks as if it was met."""
        return _rounded_down(self._share(self.outage_minutes))

    @property
    def measured_availability(self) -> Decimal:
        """The same of all outages."""
        return _rounded_down(self._share(self.measured_outage_minutes))

    @property
    def target_met(self) -> bool:
        """Whether the exact contractual share is at least the target."""
        return self._share(self.outage_minutes) >= Fraction(self.target)

    @property
    def allowed_minutes(self) -> int:
        """How many outage minutes the target leaves in the whole month."""
        return int(self.service_minutes * (1 - Fraction(self.target)))

    def _share(self, outage_minutes: int) -> Fraction:
        return Fraction(self.service_minutes - outage_minutes, self.service_minutes)


def service_span(month: Span, begin_ms: int | None) -> Span | None:
    """Returns the part of a month in which there is a service.

    Args:
        month: from its first moment to that of the next month.
        begin_ms: first moment of the service; None when it was always there.

    Returns:
        None when the service began after the month.
    """
    return month if begin_ms is None else Span(max(begin_ms, month.begin_ms), max(begin_ms, month.end_ms)).within(month)


def month_span(month: Month, bounds_ms: tuple[int, int]) -> Span:
    """Returns a month as a span.

    Args:
        month: for the message.
        bounds_ms: from `Month.bounds_ms`.

    Raises:
        ValueError: in this time zone the month does not begin with a minute.
    """
    if any(bound % MINUTE_MS for bound in bounds_ms):
        raise ValueError(f"{month} does not begin and end with a whole minute of the world's time")
    return Span(*bounds_ms)


def calculate(service: Span, events: Iterable[Event], target: Decimal) -> Availability:
    """Calculate the availability of a month.

    Args:
        service: the part of the month in which there is a service; whole minutes.
        events: all that are known, in any order; what lies outside the month does not count.
        target: the share that was promised.
    """
    inside = [attr.evolve(event, span=span) for event in events if (span := event.span.within(service)) is not None]
    with_ticket = [event for event in inside if event.has_ticket]
    excuses = union(event.span for event in with_ticket if event.is_excused)
    outages = union(event.span for event in with_ticket if not event.is_excused)
    outage_minutes = minutes_of(without(outages, excuses))
    return Availability(
        service_minutes=(service.end_ms - service.begin_ms) // MINUTE_MS,
        outage_minutes=outage_minutes,
        excused_minutes=minutes_of(union([*outages, *excuses])) - outage_minutes,
        measured_outage_minutes=minutes_of(union(event.span for event in inside)),
        target=target,
    )


def union(spans: Iterable[Span]) -> list[Span]:
    """Joins what overlaps or touches; in order of time."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.begin_ms <= joined[-1].end_ms:
            joined[-1] = Span(joined[-1].begin_ms, max(joined[-1].end_ms, span.end_ms))
        else:
            joined.append(span)
    return joined


def without(spans: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """Takes spans out of others; both are unions."""
    return list(_without(spans, taken))


def _without(spans: Sequence[Span], taken: Sequence[Span]) -> Iterator[Span]:
    first = 0
    for span in spans:
        begin_ms = span.begin_ms
        while first < len(taken) and taken[first].end_ms <= begin_ms:
            first += 1
        for hole in taken[first:]:
            if hole.begin_ms >= span.end_ms:
                break
            if hole.begin_ms > begin_ms:
                yield Span(begin_ms, hole.begin_ms)
            begin_ms = max(begin_ms, hole.end_ms)
        if begin_ms < span.end_ms:
            yield Span(begin_ms, span.end_ms)


def minutes_of(spans: Sequence[Span]) -> int:
    """Counts the minutes of the calendar that a union touches, each once."""
    counted, last = 0, None
    for span in spans:
        first_minute, last_minute = span.begin_ms // MINUTE_MS, (span.end_ms - 1) // MINUTE_MS
        counted += last_minute - first_minute + 1 - (first_minute == last)
        last = last_minute
    return counted


def not_measured(elapsed: Span, measured_minutes: Iterable[int], outages: Sequence[Span]) -> int:
    """Counts the minutes of which nobody knows how they were.

    Args:
        elapsed: the part of the month that is over, in whole minutes.
        measured_minutes: in which a probe had a result that counts, as minutes since the epoch.
        outages: union of those that a probe has measured: they may bridge minutes without a result.
    """
    known = {minute for minute in measured_minutes if elapsed.begin_ms <= minute * MINUTE_MS < elapsed.end_ms}
    for outage in outages:
        inside = outage.within(elapsed)
        if inside is not None:
            known.update(range(inside.begin_ms // MINUTE_MS, (inside.end_ms - 1) // MINUTE_MS + 1))
    return (elapsed.end_ms - elapsed.begin_ms) // MINUTE_MS - len(known)


def _rounded_down(share: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = _DIGITS
        context.rounding = ROUND_DOWN
        return (Decimal(share.numerator) / Decimal(share.denominator)).quantize(_SHOWN)
