"""Daily counts as a reader of a table wants them: by day, week or month. Pure."""

import calendar
import datetime as dt
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

import attr

DEFAULT_SPAN: Final = "30"
SPANS: Final = ("30", "90", "365", "730")
"""Days that can be asked for."""

_DAILY_UP_TO: Final = 31
_WEEKLY_UP_TO: Final = 92
_DAYS_OF_A_WEEK: Final = 7


class Length(Enum):
    """What one row of a table stands for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Sum(Enum):
    """How the days of a row become one number."""

    LAST = "last"
    TOTAL = "total"
    PEAK = "peak"

    def of(self, values: Sequence[int | None]) -> int | None:
        """The number for some days in their order; None when nothing is known of any."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return {Sum.LAST: known[-1], Sum.TOTAL: sum(known), Sum.PEAK: max(known)}[self]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Column:
    """One kind of number.

    Attributes:
        name: key of its name in the catalogue.
        values: by day; a day that is not there is not known.
        sum: how several days become one number.
        is_size: whether it is a number of bytes.
    """

    name: str
    values: Mapping[dt.date, int | None]
    sum: Sum
    is_size: bool = False

    @property
    def latest(self) -> tuple[dt.date, int] | None:
        """The last day of which it is known, and the number."""
        known = [(day, value) for day, value in self.values.items() if value is not None]
        return max(known) if known else None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        begin: its first day.
        counted: of how many days something is known.
        days: that it has.
        values: one for each column; None where nothing is known.
    """

    begin: dt.date
    counted: int
    days: int
    values: tuple[int | None, ...]

    @property
    def is_partial(self) -> bool:
        """Whether days are missing: before the span that is shown, before the first count, or still to come."""
        return self.counted < self.days


def span_of(text: str) -> str:
    """The span that an address asks for."""
    return text if text in SPANS else DEFAULT_SPAN


def length_of(span: str) -> Length:
    """What one row stands for when so many days are shown: a table has at most some thirty rows."""
    days = int(span)
    if days <= _DAILY_UP_TO:
        return Length.DAY
    return Length.WEEK if days <= _WEEKLY_UP_TO else Length.MONTH


def days_of(columns: Sequence[Column]) -> list[dt.date]:
    """The days of which any column knows something, ascending."""
    return sorted({day for column in columns for day, value in column.values.items() if value is not None})


def rows(columns: Sequence[Column], length: Length) -> list[Row]:
    """The rows of a table, the latest first."""
    by_begin: dict[dt.date, list[dt.date]] = {}
    for day in days_of(columns):
        by_begin.setdefault(begin_of(day, length), []).append(day)
    return [
        Row(
            begin,
            len(days),
            _days_in(begin, length),
            tuple(column.sum.of([column.values.get(day) for day in days]) for column in columns),
        )
        for begin, days in sorted(by_begin.items(), reverse=True)
    ]


def _days_in(begin: dt.date, length: Length) -> int:
    if length is Length.MONTH:
        return calendar.monthrange(begin.year, begin.month)[1]
    return _DAYS_OF_A_WEEK if length is Length.WEEK else 1


def begin_of(day: dt.date, length: Length) -> dt.date:
    """The first day of the week (Monday) or month that a day belongs to."""
    if length is Length.WEEK:
        return day - dt.timedelta(days=day.weekday())
    return day.replace(day=1) if length is Length.MONTH else day
