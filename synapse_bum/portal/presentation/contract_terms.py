"""When a contract can end: six months at least, then month by month, with a month's notice. Pure.

Counted as the German Civil Code counts: a month that begins on a day ends with the day before the same day of the next
month (sections 187 II and 188 II), and with the last day of a month that is too short (188 III). A notice counts from
the day after it has arrived (187 I).
"""

import datetime as dt
from calendar import monthrange
from typing import Final

import attr

MINIMUM_MONTHS: Final = 6
_MONTHS_OF_A_YEAR: Final = 12


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ContractTerms:
    """What a contract allows on a day. All days count whole.

    Attributes:
        begin: its first day.
        minimum_end: the last day of its first six months, before which it does not end.
        next_end: the last day of the term that runs, or of the first six months.
        earliest_end: its last day when notice is given today.
        notice_until: the last day on which a notice ends it with `earliest_end`.
    """

    begin: dt.date
    minimum_end: dt.date
    next_end: dt.date
    earliest_end: dt.date
    notice_until: dt.date


def contract_terms(begin: dt.date, today: dt.date) -> ContractTerms:
    """Returns the terms of a contract.

    Args:
        begin: its first day.
        today: the day on which notice would arrive.
    """
    months = max(MINIMUM_MONTHS, _months_between(begin, today))
    next_end = _first_end(begin, months, today)
    earliest_end = _first_end(begin, months, month_after(today))
    return ContractTerms(
        begin=begin,
        minimum_end=term_end(begin, MINIMUM_MONTHS),
        next_end=next_end,
        earliest_end=earliest_end,
        notice_until=last_notice(earliest_end),
    )


def term_end(begin: dt.date, months: int) -> dt.date:
    """Returns the last day of so many months from `begin` on, that day included."""
    year, month = _month(begin.year, begin.month + months)
    if begin.day == 1:
        return dt.date(year, month, 1) - dt.timedelta(days=1)
    return dt.date(year, month, min(begin.day - 1, monthrange(year, month)[1]))


def month_after(day: dt.date) -> dt.date:
    """Returns the day on which a month ends that a notice on a day begins."""
    year, month = _month(day.year, day.month + 1)
    return dt.date(year, month, min(day.day, monthrange(year, month)[1]))


def last_notice(end: dt.date) -> dt.date:
    """Returns the last day on which a month's notice ends not later than a day."""
    day = end - dt.timedelta(days=25)
    while month_after(day) > end:
        day -= dt.timedelta(days=1)
    return day


def _first_end(begin: dt.date, months: int, not_before: dt.date) -> dt.date:
    """Returns the first end of a term on or after a day, of so many months at least."""
    while (end := term_end(begin, months)) < not_before:
        months += 1
    return end


def _months_between(begin: dt.date, day: dt.date) -> int:
    """Returns a number of months after which a contract ends before the day or in its month."""
    return (day.year - begin.year) * _MONTHS_OF_A_YEAR + day.month - begin.month - 1


def _month(year: int, month: int) -> tuple[int, int]:
    years, month = divmod(month - 1, _MONTHS_OF_A_YEAR)
    return year + years, month + 1
