"""Until when the support has to react to a report: the two categories of the contract. Pure.

Category 1: two hours around the clock. Category 2: four hours from Monday to Friday, 8 to 17 o'clock in Germany,
without the holidays of all of Germany. Both begin with the confirmation; time outside the service hours does not count.
"""

import datetime as dt
from enum import Enum
from typing import Final

from synapse_bum.portal.language.formats import ZONE, moment
from synapse_bum.portal.support.holidays import is_service_day

_HOUR_MS: Final = 3_600_000
_OPENS: Final = dt.time(8)
_CLOSES: Final = dt.time(17)


class Category(Enum):
    """How urgent a report is; which fault is of which category is in the contract."""

    URGENT = 1
    NORMAL = 2

    @property
    def hours(self) -> int:
        """How long a reaction may take."""
        return 2 if self is Category.URGENT else 4


def due_ms(category: Category, confirmed_ms: int) -> int:
    """Returns the last moment in time for a reaction, ms since the epoch.

    Args:
        category: of the report.
        confirmed_ms: when it was confirmed, ms since the epoch.
    """
    left_ms = category.hours * _HOUR_MS
    if category is Category.URGENT:
        return confirmed_ms + left_ms
    day = moment(confirmed_ms).date()
    while True:
        if is_service_day(day):
            begin_ms, end_ms = max(confirmed_ms, _at(day, _OPENS)), _at(day, _CLOSES)
            if end_ms - begin_ms >= left_ms:
                return begin_ms + left_ms
            left_ms -= max(0, end_ms - begin_ms)
        day += dt.timedelta(days=1)


def _at(day: dt.date, time: dt.time) -> int:
    return int(dt.datetime.combine(day, time, ZONE).timestamp()) * 1000
