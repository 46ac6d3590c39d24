"""What a month's availability means, in words (docs/api.md, "GET /availability"). Pure."""

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final

from synapse_bum.portal.language.saying import Saying

DIGITS: Final = 4
"""Of percentages, behind the comma: enough to tell minutes of a month apart."""

_SHOWN: Final = Decimal("0.000001")


def months_before(today: dt.date, count: int) -> list[str]:
    """Returns so many months as `YYYY-MM`, this one first."""
    first = today.year * 12 + today.month - 1
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(first, first - count, -1)]


def rounded_down(share: float) -> float:
    """Rounds a share of one down to what its percentage shows: nothing is said to be reached before it is."""
    return float(Decimal(str(share)).quantize(_SHOWN, ROUND_FLOOR))


def sayings(report: Mapping[str, Any]) -> tuple[Saying, ...]:
    """Returns what there is to say about a month, the most important first."""
    said = []
    if report["preliminary"]:
        key = "so_far_met" if report["target_met"] else "so_far_missed"
    else:
        key = "met" if report["target_met"] else "missed"
    kind = "error" if not report["target_met"] else "info" if report["preliminary"] else "success"
    values = {"outage": report["outage_minutes"], "allowed": report["allowed_minutes"]}
    said.append(Saying(f"availability.{key}", values, kind))
    if report["not_measured_minutes"]:
        said.append(Saying("availability.not_measured", {"count": report["not_measured_minutes"]}, "warning"))
    without_ticket = sum(outage["ticket"] is None for outage in report["outages"])
    if without_ticket:
        said.append(Saying("availability.without_ticket", {"count": without_ticket}, "warning"))
    return tuple(said)
