"""The days of Germany's calendar, and which of them have to be counted. Pure."""

import datetime as dt
from typing import Final

from synapse_bum import months
from synapse_bum.months import midnight_ms
from synapse_bum.portal.language.formats import ZONE

GRACE_MS: Final = 900_000
"""How long after its end a day is left to whatever is still being written."""

CATCH_UP_DAYS: Final = 7
"""How far back days are counted that nobody has counted in time."""

KEPT_YEARS: Final = 2

_DAY: Final = dt.timedelta(days=1)


def day_of(ts_ms: int) -> dt.date:
    """The day of a moment, given in ms since the epoch."""
    return months.day_of(ts_ms, ZONE)


def begin_ms(day: dt.date) -> int:
    """The first moment of a day, ms since the epoch."""
    return midnight_ms(day, ZONE)


def end_ms(day: dt.date) -> int:
    """The first moment of the next day, ms since the epoch: 23 to 25 hours later."""
    return begin_ms(day + _DAY)


def utc_begin_ms(day: dt.date) -> int:
    """When the day of the same name begins in UTC, ms since the epoch."""
    return midnight_ms(day, dt.timezone.utc)


def is_over(day: dt.date, now_ms: int) -> bool:
    """Whether a day can be counted: it is over here and in UTC, and a little time has passed."""
    return now_ms >= max(end_ms(day), utc_begin_ms(day + _DAY)) + GRACE_MS


def due_days(now_ms: int, last: dt.date | None) -> list[dt.date]:
    """The days that have to be counted, the earliest first.

    Args:
        now_ms: ms since the epoch.
        last: the last day that was counted; None for none.
    """
    today = day_of(now_ms)
    earliest = today - CATCH_UP_DAYS * _DAY
    first = earliest if last is None else max(earliest, last + _DAY)
    days = [first + number * _DAY for number in range((today - first).days)]
    return [day for day in days if is_over(day, now_ms)]


def is_yesterday(day: dt.date, now_ms: int) -> bool:
    """Whether a day was the last one that is over: only then what is there now stands for it."""
    return day == day_of(now_ms) - _DAY


def first_kept(today: dt.date) -> dt.date:
    """The first day that is still kept."""
    try:
        return today.replace(year=today.year - KEPT_YEARS)
    except ValueError:
        return today.replace(year=today.year - KEPT_YEARS, day=28)
