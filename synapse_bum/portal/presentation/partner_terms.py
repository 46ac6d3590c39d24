"""Partners in the words of a form: days instead of moments, and what their names and dates mean. Pure.

The API knows the first moment of a partnership and the first one after it. People name the first and the last day.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from synapse_bum.portal.forms.form import Complaint
from synapse_bum.portal.language.formats import day_begin_ms, moment

_SOON_MS: Final = 14 * 86_400_000
_YEARS: Final = range(2000, 2200)
_NAME_REFUSALS: Final = (
    ("wildcards need", "no_wildcards"),
    ("`*` may only", "wildcard_place"),
    ("must be a name: addresses", "address"),
    ("is a public suffix", "suffix"),
    ("is this server's own name", "own_name"),
    ("is no valid international", "no_name"),
    ("must be a Matrix server name", "no_name"),
    ("is no valid one", "no_name"),
)
_CONFLICTS: Final = (
    ("This partner stands in the configuration", "static"),
    ("This partner stands in the signed list", "signed_list"),
    ("Partners can't be changed at run time", "not_managed"),
    ("This partner is being removed", "being_removed"),
)


def plausible_day(value: str) -> Complaint | None:
    """Complains about a day of another age, which is a slip of the finger."""
    return None if int(value[:4]) in _YEARS else Complaint("partners.form.no_day")


def first_day(from_ts: int | None) -> str:
    """Returns the day of a beginning as a date field has it; empty for none."""
    return "" if from_ts is None else moment(from_ts).date().isoformat()


def last_day(until_ts: int | None) -> str:
    """Returns the last day before an end, which is the first moment that does not count; empty for none."""
    return "" if until_ts is None else moment(until_ts - 1).date().isoformat()


def begin_of(day: str, before: int | None = None) -> int | None:
    """Returns the first moment of a partnership.

    Args:
        day: of a date field; empty for none.
        before: the moment that is in force; it stays to the millisecond where its day does.
    """
    return before if day == first_day(before) else day_begin_ms(day)


def end_of(day: str, before: int | None = None) -> int | None:
    """Returns the first moment after a partnership whose last day is given; arguments as for `begin_of`."""
    if day == last_day(before):
        return before
    return day_begin_ms((dt.date.fromisoformat(day) + dt.timedelta(days=1)).isoformat()) if day else None


def state(partner: Mapping[str, Any], now_ms: int) -> str:
    """Returns the key of what the dates of a partner mean now.

    Args:
        partner: as the API shows it.
        now_ms: ms since the epoch.
    """
    begin, end = partner["valid_from_ts"], partner["valid_until_ts"]
    if end is not None and end <= now_ms:
        return "partners.state_expired"
    if begin is not None and begin > now_ms:
        return "partners.state_not_yet"
    if end is not None and end - now_ms <= _SOON_MS:
        return "partners.state_ends_soon"
    return "partners.state_in_force"


def name_refusal(sentence: str) -> str | None:
    """Returns the key of why the API takes a server name for none; None when it complains about something else.

    Args:
        sentence: of an answer with 400.
    """
    parameter, _colon, why = sentence.partition(": ")
    if parameter not in {"`server_name`", "`partner_name`"}:
        return None
    return next(
        (f"partners.name.{key}" for begin, key in _NAME_REFUSALS if why.startswith(begin)), "partners.name.other"
    )


def conflict(sentence: str) -> str | None:
    """Returns the key of why a partner can't be changed; None for a reason that is not known here.

    Args:
        sentence: of an answer with 409.
    """
    return next((f"partners.conflict.{key}" for begin, key in _CONFLICTS if sentence.startswith(begin)), None)
