"""Calendar months in a time zone, and which numbers a month is billed by. Pure."""

import re
from calendar import monthrange
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from math import ceil
from typing import Final

import attr

from synapse_bum.quantities import shown
from synapse_bum.storage.registered_users import UserCount
from synapse_bum.storage.snapshots import Snapshot

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2999
_DECEMBER: Final = 12

_GB_DECIMALS: Final = Decimal("1.000000000")
"""Enough to show one byte of a gigabyte."""


class UsersBasis(Enum):
    """Which number of users a month is billed by."""

    DISTINCT = "distinct"
    PEAK = "peak"
    END = "end"


class StorageBasis(Enum):
    """Which storage a month is billed by."""

    PEAK = "peak"
    MEAN = "mean"
    END = "end"


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
        return _midnight_ms(self.first_day, zone), _midnight_ms(self.next.first_day, zone)


def _midnight_ms(day: date, zone: tzinfo) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return (midnight.astimezone(timezone.utc) - _EPOCH) // timedelta(milliseconds=1)


def day_of(ts_ms: int, zone: tzinfo) -> date:
    """The day of the calendar at a moment.

    Args:
        ts_ms: ms since the epoch.
        zone: where.
    """
    return (_EPOCH + timedelta(milliseconds=ts_ms)).astimezone(zone).date()


def check_has_data(month: Month, snapshots: Sequence[Snapshot], first_day: date | None, today: date) -> bool:
    """Checks that something can be said about a month.

    Args:
        month: that somebody asked for.
        snapshots: of its days.
        first_day: the first day that was counted at all; None when none was.
        today: in the time zone of the accounting.

    Returns:
        Whether the month still runs, so that its numbers are preliminary.

    Raises:
        MonthError: it lies in the future, ended before the first count, or no day of it was counted.
    """
    if month.first_day > today:
        raise MonthError(f"{month} has not begun yet")
    if first_day is None:
        raise MonthError("nothing has been counted yet: the first count comes shortly after the start of the server")
    if month < Month.of(first_day):
        raise MonthError(f"there is no data for {month}: counts are kept since {first_day.isoformat()}")
    if not snapshots:
        raise MonthError(
            f"no day of {month} was counted, although counts are kept since {first_day.isoformat()}: the module was not"
            " running, or its counts failed"
        )
    return month == Month.of(today)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Basis:
    """The numbers that a month is billed by.

    Attributes:
        users: registered users.
        locked_users: those among them who are locked.
        used_gb: used storage in gigabytes, to one billionth.
        included_gb: what the users of the same count brought with them.
        extension_gb: started gigabytes beyond that. With `mean` it may be more than the two before say: days below the
            pool do not make up for days above it.
        days_counted: days of the month that have a count.
        days: days of the month.
    """

    users: int
    locked_users: int
    used_gb: Decimal
    included_gb: Decimal
    extension_gb: int
    days_counted: int
    days: int


def basis(
    month: Month,
    snapshots: Sequence[Snapshot],
    distinct: UserCount,
    users_basis: UsersBasis,
    storage_basis: StorageBasis,
) -> Basis:
    """Find the numbers that a month is billed by.

    What is beyond the pool is found for each count by itself, by the users and the gigabyte of that count: never one
    day's storage against another day's users.

    Args:
        month: of the counts.
        snapshots: of its days, at least one, each day once, in any order.
        distinct: who was registered at any time of the month.
        users_basis: which number of users counts.
        storage_basis: which storage counts.
    """
    days = sorted(snapshots, key=lambda snapshot: snapshot.day)
    users, locked_users = _users(days, distinct, users_basis)
    if storage_basis is StorageBasis.MEAN:
        used_gb, included_gb, extension_gb = _mean(days)
    else:
        found = days[-1] if storage_basis is StorageBasis.END else max(days, key=_extension_then_used)
        used_gb = Fraction(found.used_bytes, found.gigabyte)
        included_gb = Fraction(found.included_bytes, found.gigabyte)
        extension_gb = found.extension_gb
    return Basis(
        users, locked_users, _decimal(used_gb), _decimal(included_gb), extension_gb, len(snapshots), month.days
    )


def _users(days: Sequence[Snapshot], distinct: UserCount, users_basis: UsersBasis) -> tuple[int, int]:
    if users_basis is UsersBasis.DISTINCT:
        return distinct.users, distinct.locked
    found = days[-1] if users_basis is UsersBasis.END else max(days, key=lambda day: (day.users, day.day))
    return found.users, found.locked_users


def _extension_then_used(snapshot: Snapshot) -> tuple[int, Fraction, date]:
    return snapshot.extension_gb, Fraction(snapshot.used_bytes, snapshot.gigabyte), snapshot.day


def _mean(days: Sequence[Snapshot]) -> tuple[Fraction, Fraction, int]:
    """The means of what was used, of what was included, and of what was beyond it; the last one is rounded up."""
    used = sum(Fraction(day.used_bytes, day.gigabyte) for day in days)
    included = sum(Fraction(day.included_bytes, day.gigabyte) for day in days)
    overrun = sum(Fraction(day.overrun_bytes, day.gigabyte) for day in days)
    return used / Fraction(len(days)), included / Fraction(len(days)), ceil(overrun / len(days))


def _decimal(amount: Fraction) -> Decimal:
    """An amount rounded to one billionth."""
    return (Decimal(amount.numerator) / Decimal(amount.denominator)).quantize(_GB_DECIMALS)
