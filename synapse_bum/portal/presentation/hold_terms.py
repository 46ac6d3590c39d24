"""Holds in the words of a form: days instead of moments, and what a hold is on. Pure.

The API knows the first moment that a hold does not cover any more. People name its last day.
"""

import datetime as dt
from typing import Final

from synapse_bum.identifiers import is_room_id, is_user_id
from synapse_bum.portal.forms.form import Complaint
from synapse_bum.portal.language.formats import moment
from synapse_bum.portal.language.saying import Saying
from synapse_bum.portal.statistics.calendar_days import day_of, end_ms

_MAX_YEARS: Final = 100
_MOST_DAYS: Final = 36_523
"""Days ahead that a last day may be: the API's limit of 36,525 days of 24 hours, and room for an end at midnight."""


def target_complaint(value: str) -> Complaint | None:
    """Complains about what is neither the id of a room nor that of a user."""
    if is_room_id(value) or is_user_id(value):
        return None
    if value.startswith("#"):
        return Complaint("holds.form.alias")
    return Complaint("holds.form.no_target")


def day_complaint(day: str, now_ms: int) -> Complaint | None:
    """Complains about a last day that is over, or too far ahead.

    Args:
        day: of a date field.
        now_ms: ms since the epoch.
    """
    last, today = dt.date.fromisoformat(day), day_of(now_ms)
    if last < today:
        return Complaint("holds.form.over")
    if last - today > dt.timedelta(days=_MOST_DAYS):
        return Complaint("holds.form.too_far", {"years": _MAX_YEARS})
    return None


def last_day(until_ts: int) -> str:
    """Returns the last day of a hold as a date field has it."""
    return day_of(until_ts - 1).isoformat()


def until_ms(day: str, before: int | None = None) -> int:
    """Returns the end of a hold whose last day is given, ms since the epoch.

    Args:
        day: of a date field.
        before: the end that is in force; it stays to the millisecond where its day does.
    """
    if before is not None and day == last_day(before):
        return before
    return end_ms(dt.date.fromisoformat(day))


def end_saying(until_ts: int) -> str:
    """Returns the key of how an end is named: by its last day, or by the moment where it is within a day."""
    end = moment(until_ts)
    return "holds.until_day" if end == end.replace(hour=0, minute=0, second=0, microsecond=0) else "holds.until_moment"


def scope(target: str, own_name: str) -> Saying:
    """Says what a hold holds.

    Args:
        target: room or user.
        own_name: of this homeserver.
    """
    if is_room_id(target):
        return Saying("holds.scope_room", kind="info")
    server = target.partition(":")[2]
    if server == own_name:
        return Saying("holds.scope_user", kind="info")
    return Saying("holds.scope_stranger", {"server": server}, kind="info")
