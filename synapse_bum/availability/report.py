"""What is known of a month: its availability, the outages, and how much of it was measured."""

from collections.abc import Sequence
from typing import Any

import attr

from synapse_bum.availability import outages, probes
from synapse_bum.availability.calculation import (
    Availability,
    Span,
    calculate,
    month_span,
    not_measured,
    service_span,
    union,
)
from synapse_bum.availability.config import AvailabilityConfig
from synapse_bum.availability.outages import Outage, Source
from synapse_bum.database import Cursor
from synapse_bum.german import day
from synapse_bum.months import Month, MonthError, day_of


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Report:
    """The availability of a month with what it follows from.

    Attributes:
        month: of the report.
        preliminary: whether the month is not over, or an outage of it has no end.
        availability: by the formula.
        not_measured_minutes: minutes so far of which no probe knows anything.
        outages: those with a moment in the month, in order of time.
        as_of_ts: when it was made, ms since the epoch.
    """

    month: Month
    preliminary: bool
    availability: Availability
    not_measured_minutes: int
    outages: Sequence[Outage]
    as_of_ts: int

    def as_json(self) -> dict[str, Any]:
        """Returns it as the API shows it; shares are rounded down to eight decimals."""
        found = self.availability
        return {
            "month": str(self.month),
            "preliminary": self.preliminary,
            "service_minutes": found.service_minutes,
            "outage_minutes": found.outage_minutes,
            "excused_minutes": found.excused_minutes,
            "measured_outage_minutes": found.measured_outage_minutes,
            "not_measured_minutes": self.not_measured_minutes,
            "allowed_minutes": found.allowed_minutes,
            "availability": float(found.availability),
            "measured_availability": float(found.measured_availability),
            "target": float(found.target),
            "target_met": found.target_met,
            "outages": [outage.as_json() for outage in self.outages],
            "as_of_ts": self.as_of_ts,
        }


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Known:
    """What outages say of a month.

    Attributes:
        service: the part of the month in which there is a service.
        elapsed: what of it is over, None when nothing is.
        is_over: whether the month is.
        outages: those with a moment in it, in order of time.
        availability: by the formula.
    """

    service: Span
    elapsed: Span | None
    is_over: bool
    outages: Sequence[Outage]
    availability: Availability


def read_known(txn: Cursor, config: AvailabilityConfig, month: Month, now_ms: int) -> Known:
    """Read what the outages of a month say.

    Args:
        txn: in a transaction.
        config: what was promised, and since when.
        month: that somebody asked for.
        now_ms: ms since the epoch.

    Raises:
        MonthError: the month has not begun, or ended before the service began.
    """
    whole = month_span(month, month.bounds_ms(config.timezone))
    service = service_span(whole, config.service_begin_ms)
    if whole.begin_ms > now_ms:
        raise MonthError(f"{month} has not begun yet")
    if service is None:
        began = "" if config.service_begin is None else config.service_begin.isoformat()
        raise MonthError(f"the service began on {began}, after {month}")
    listed = outages.read_within(txn, service)
    elapsed = Span(service.begin_ms, now_ms).within(service) if service.begin_ms < now_ms else None
    # What lies in the future has not happened to anybody: planned maintenance counts when it is there.
    events = [event for outage in listed if (event := outage.event(now_ms)) is not None]
    past = [attr.evolve(event, span=span) for event in events if elapsed and (span := event.span.within(elapsed))]
    return Known(service, elapsed, whole.end_ms <= now_ms, listed, calculate(service, past, config.target))


def read_report(txn: Cursor, config: AvailabilityConfig, month: Month, now_ms: int) -> Report:
    """Read the whole report of a month; arguments and errors are those of `read_known`."""
    known = read_known(txn, config, month, now_ms)
    return Report(
        month=month,
        preliminary=not known.is_over or any(outage.to_ts is None for outage in known.outages),
        availability=known.availability,
        not_measured_minutes=0 if known.elapsed is None else _not_measured(txn, known.elapsed, known.outages, now_ms),
        outages=known.outages,
        as_of_ts=now_ms,
    )


def running_month(config: AvailabilityConfig, now_ms: int) -> Month:
    """Returns the month that runs."""
    return Month.of(day_of(now_ms, config.timezone))


def service_begin_text(config: AvailabilityConfig) -> str | None:
    """Returns the first day of the service in German, None when it was always there."""
    return None if config.service_begin is None else day(config.service_begin)


def _not_measured(txn: Cursor, elapsed: Span, listed: Sequence[Outage], now_ms: int) -> int:
    measured = [outage.event(now_ms) for outage in listed if outage.source is Source.MEASURED]
    minutes = probes.measured_minutes(txn, elapsed)
    return not_measured(elapsed, minutes, union(event.span for event in measured if event is not None))
