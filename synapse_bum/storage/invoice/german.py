"""Numbers and dates as they are written in German. Pure."""

from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import Final

from synapse_bum.storage.month import Month

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
_SWAPPED: Final = str.maketrans(",.", ".,")
_THOUSANDTH: Final = Decimal("0.001")


def whole(number: int) -> str:
    """Writes a whole number, for example `1.000`."""
    return f"{number:,}".translate(_SWAPPED)


def money(euros: Decimal) -> str:
    """Writes an amount with two decimals, for example `2.896,00`."""
    return f"{euros:,.2f}".translate(_SWAPPED)


def gigabytes(number: Decimal) -> str:
    """Writes a size without needless decimals, for example `1.000,5`.

    It is rounded up to a thousandth, so that what has started the next gigabyte never looks as if it had not.
    """
    rounded = number.quantize(_THOUSANDTH, ROUND_CEILING)
    return f"{rounded:,f}".rstrip("0").rstrip(".").translate(_SWAPPED)


def day(when: date) -> str:
    """Writes a date, for example `01.06.2026`."""
    return f"{when:%d.%m.}{when.year:04}"


def month_name(month: Month) -> str:
    """Writes a month, for example `Juni 2026`."""
    return f"{_MONTHS[month.number - 1]} {month.year}"


def last_day(month: Month) -> date:
    """Returns the last day of a month."""
    return month.first_day.replace(day=month.days)
