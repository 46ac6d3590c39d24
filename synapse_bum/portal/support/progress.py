"""How far a report is, as a person reads it. Pure."""

from collections.abc import Mapping
from typing import Any, Final

REPORTED: Final = "reported"
RUNNING: Final = "running"
OVERDUE: Final = "overdue"
IN_TIME: Final = "in_time"
LATE: Final = "late"


def progress_of(ticket: Mapping[str, Any], now_ms: int) -> str:
    """Returns how far a report is.

    Args:
        ticket: as the API shows it (docs/api.md, "portal/tickets").
        now_ms: ms since the epoch.

    Returns:
        the last word of the keys of its texts: `reported`, `running`, `overdue`, `in_time` or `late`.
    """
    due_ms, answered_ms = ticket["due_ts"], ticket["answered_ts"]
    if due_ms is None:
        return REPORTED
    if answered_ms is None:
        return RUNNING if now_ms <= due_ms else OVERDUE
    return IN_TIME if answered_ms <= due_ms else LATE
