"""Which numbers a month is billed by. Pure."""

from collections.abc import Sequence
from datetime import date, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from math import ceil
from typing import Final

import attr

from synapse_bum.months import Month, MonthError, day_of
from synapse_bum.storage.registered_users import UserCount
from synapse_bum.storage.snapshots import Snapshot

__all__ = [
    "Basis",
    "Month",
    "MonthError",
    "StorageBasis",
    "UsersBasis",
    "basis",
    "check_has_data",
    "day_of",
    "is_preliminary",
]

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


def check_has_data(month: Month, snapshots: Sequence[Snapshot], first_day: date | None, today: date) -> None:
    """Checks that something can be said about a month.

    Args:
        month: that somebody asked for.
        snapshots: of its days.
        first_day: the first day that was counted at all; None when none was.
        today: in the time zone of the accounting.

    Raises:
        MonthError: it lies in the future, ended before the first count, or no day of it was counted.
    """
    if month.first_day > today:
        raise MonthError(f"{month} has not begun yet")
    if first_day is None:
        raise MonthError("nothing has been counted yet: the first count comes shortly after the start of the server")
    if month < Month.of(first_day):
        raise MonthError(f"there is no data for {month}: counts are kept since {first_day.isoformat()}")
    if not snapshots and month == Month.of(today):
        raise MonthError(
            f"{month} has not been counted yet: its first count comes shortly after its beginning; if none does, the"
            " counts fail, and the log says why"
        )
    if not snapshots:
        raise MonthError(
            f"no day of {month} was counted, although counts are kept since {first_day.isoformat()}: the module was not"
            " running, or its counts failed"
        )


def is_preliminary(month: Month, counted_ts: int | None, now_ms: int, zone: tzinfo) -> bool:
    """Whether the numbers of a month may still change.

    They may until its users are counted after its end: who was created since the count before is known only then.

    Args:
        month: that somebody asked for.
        counted_ts: when users were last counted, ms since the epoch; None when they never were. In the future it was
            written by a clock that was ahead, and says nothing.
        now_ms: ms since the epoch.
        zone: of the accounting.
    """
    _begin_ms, end_ms = month.bounds_ms(zone)
    return counted_ts is None or not end_ms <= counted_ts <= now_ms


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
