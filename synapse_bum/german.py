"""Whole numbers, dates and months as they are written in German. Pure."""

from datetime import date
from typing import Final

from synapse_bum.months import Month

_MONTHS: Final = (
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
)
SWAPPED: Final = str.maketrans(",.", ".,")
"""For `str.translate`: the signs of a number as Python writes it become German ones."""


def whole(number: int) -> str:
    """Writes a whole number, for example `1.000`."""
    return f"{number:,}".translate(SWAPPED)


def day(when: date) -> str:
    """Writes a date, for example `01.06.2026`."""
    return f"{when:%d.%m.}{when.year:04}"


def month_name(month: Month) -> str:
    """Writes a month, for example `Juni 2026`."""
    return f"{_MONTHS[month.number - 1]} {month.year}"


def last_day(month: Month) -> date:
    """Returns the last day of a month."""
    return month.first_day.replace(day=month.days)
