"""Moments as they are typed into a form: a day, and a time of day in Germany. Pure."""

import datetime as dt
import re
from typing import Final

from synapse_bum.portal.forms.form import Complaint
from synapse_bum.portal.language.formats import ZONE, moment

_TIME: Final = re.compile(r"([01]?[0-9]|2[0-3])[:.]([0-5][0-9])", re.ASCII)


def check_time(value: str) -> Complaint | None:
    """Says what is wrong with a time of day such as `14:05`."""
    return None if _TIME.fullmatch(value) else Complaint("outages.no_time")


def typed_ms(day: str, time: str, known_ms: int | None = None) -> int | None:
    """Returns the moment that was typed, ms since the epoch; None when there is none.

    When clocks are put back an hour is there twice: the first one is meant. When they are put forward an hour is not
    there at all.

    Args:
        day: such as `2026-01-31`.
        time: such as `14:05`.
        known_ms: what stood in the form; where it is in the minute that was typed, it is meant to the millisecond.
    """
    matched = _TIME.fullmatch(time)
    if matched is None:
        return None
    try:
        found = dt.datetime.combine(dt.date.fromisoformat(day), dt.time(int(matched[1]), int(matched[2])), ZONE)
        ts_ms = int(found.timestamp()) * 1000
        is_there = moment(ts_ms).replace(tzinfo=None) == found.replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    if known_ms is not None and typed(known_ms) == typed(ts_ms):
        return known_ms
    return ts_ms if is_there else None


def typed(ts_ms: int | None) -> tuple[str, str]:
    """Returns day and time of day as they stand in a form; empty for no moment."""
    if ts_ms is None:
        return "", ""
    found = moment(ts_ms)
    return found.date().isoformat(), f"{found:%H:%M}"
