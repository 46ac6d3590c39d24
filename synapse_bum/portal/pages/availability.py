"""The availability of a month: what was measured and what counts by the contract, side by side, and as a file."""

import re
from typing import Any, Final

from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.availability_report import DIGITS, months_before, rounded_down, sayings
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.statistics.calendar_days import day_of
from synapse_bum.portal.visit import Visit

_ROUTE: Final = BUM + "/availability"
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)
_FORMATS: Final = ("csv", "text")
_MONTHS_OFFERED: Final = 24


def _month(visit: Visit) -> str:
    """The month that is asked for; without one the last that is over."""
    asked = visit.query.text("month")
    return asked if _MONTH.fullmatch(asked) else months_before(day_of(visit.now_ms), 2)[1]


async def _show(visit: Visit) -> Reply:
    month = _month(visit)
    values: dict[str, Any] = {
        "month": month,
        "months": sorted({month, *months_before(day_of(visit.now_ms), _MONTHS_OFFERED)}, reverse=True),
        "exact": lambda share: visit.formats.percent(rounded_down(share), DIGITS),
        "is_no_month": visit.query.text("month") not in ("", month),
    }
    try:
        report = await visit.server.get(_ROUTE, query={"month": month})
    except RefusedError as e:
        if isinstance(e, ForbiddenError | NotFoundError):
            raise
        # Before the service began, or not begun yet.
        return visit.show("availability/report.html", report=None, sayings=(), refusal=e.sentence, **values)
    return visit.show("availability/report.html", report=report, sayings=sayings(report), refusal="", **values)


async def _download(visit: Visit) -> Reply:
    asked = visit.query.text("format")
    shape = asked if asked in _FORMATS else _FORMATS[0]
    month = _month(visit)
    answer = await visit.server.download(_ROUTE, query={"month": month, "format": shape})
    name = f"verfuegbarkeit-{month}.{'csv' if shape == 'csv' else 'txt'}"
    return visit.file(answer.body, answer.content_type, name)


PAGES = (
    Page("availability", area=Area.APPLICATION, title="availability.title", show=_show, menu=120),
    Page("availability/file", area=Area.APPLICATION, title="availability.title", show=_download),
)
