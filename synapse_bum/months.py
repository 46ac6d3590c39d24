"""Months of the calendar in a time zone. Pure.

What is billed and what is promised by the month begins and ends where the calendar says, so some are an hour shorter or
longer than others.
"""

import re
from calendar import monthrange
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Final

import attr

from synapse_bum.quantities import shown

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2999
_DECEMBER: Final = 12


class MonthError(Exception):
    """A text is no month, or there is no data for a month; the sentence is what the client or operator reads."""


@attr.s(auto_attribs=True, frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar; its text is `YYYY-MM`.

    Attributes:
        year: from 1970 to 2999.
        number: from 1 to 12.
    """

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Reads `YYYY-MM` and nothing else.

        Raises:
            MonthError: it is something else.
        """
        matched = _MONTH.fullmatch(text)
        if matched is None or not _FIRST_YEAR <= int(matched[1]) <= _LAST_YEAR:
            raise MonthError(f"{shown(text)} is no month; write it as YYYY-MM, for example 2026-02")
        return cls(int(matched[1]), int(matched[2]))

    @classmethod
    def of(cls, day: date) -> "Month":
        """The month that a day belongs to."""
        return cls(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def next(self) -> "Month":
        """The month after this one."""
        return Month(self.year + 1, 1) if self.number == _DECEMBER else Month(self.year, self.number + 1)

    @property
    def days(self) -> int:
        """How many days it has."""
        return monthrange(self.year, self.number)[1]

    @property
    def first_day(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    def bounds_ms(self, zone: tzinfo) -> tuple[int, int]:
        """When it begins, and when the next one does, in ms since the epoch.

        Where the clock is put forward at midnight, it begins at that moment; where it is put back over midnight, it
        begins the first time.
        """
        return midnight_ms(self.first_day, zone), midnight_ms(self.next.first_day, zone)


def midnight_ms(day: date, zone: tzinfo) -> int:
    """When a day begins, in ms since the epoch.

    Args:
        day: of the calendar.
        zone: where. For a clock that is put forward or back at midnight see `Month.bounds_ms`.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return (midnight - _EPOCH) // timedelta(milliseconds=1)


def day_of(ts_ms: int, zone: tzinfo) -> date:
    """The day of the calendar at a moment.

    Args:
        ts_ms: ms since the epoch.
        zone: where.
    """
    return (_EPOCH + timedelta(milliseconds=ts_ms)).astimezone(zone).date()
