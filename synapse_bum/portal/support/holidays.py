"""The public holidays that are the same in all of Germany. Pure.

Eight of them by the laws of all sixteen states, and 3 October by the treaty of unification. The Easter Sunday of the
Gregorian calendar by the anonymous rule (Meeus, "Astronomical Algorithms", chapter 8).
"""

import datetime as dt
from functools import lru_cache
from typing import Final

_FRIDAY: Final = 5
_FIXED: Final = ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26))
_AFTER_EASTER: Final = (-2, 1, 39, 50)
"""Good Friday, Easter Monday, Ascension Day and Whit Monday; the Sundays of both feasts are Sundays anyway."""


def easter(year: int) -> dt.date:
    """Returns Easter Sunday of a year of the Gregorian calendar."""
    golden, century, of_century = year % 19, year // 100, year % 100
    leap_centuries = century // 4
    moon_shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - moon_shift + 15) % 30
    to_sunday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - epact - of_century % 4) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return dt.date(year, month, day + 1)


@lru_cache(maxsize=16)
def nationwide_holidays(year: int) -> frozenset[dt.date]:
    """Returns the days that are holidays in every state."""
    sunday = easter(year)
    fixed = {dt.date(year, month, day) for month, day in _FIXED}
    return frozenset(fixed | {sunday + dt.timedelta(days=days) for days in _AFTER_EASTER})


def is_service_day(day: dt.date) -> bool:
    """Whether this is a day from Monday to Friday that is no holiday in all of Germany."""
    return day.isoweekday() <= _FRIDAY and day not in nationwide_holidays(day.year)
