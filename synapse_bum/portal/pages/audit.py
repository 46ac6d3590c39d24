"""The audit: who did what, when and why; with filters, and as a file."""

import json
from typing import Any, Final

import attr

from synapse_bum.portal import csv_cells
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.language.formats import Formats, day_begin_ms
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.audit_rows import GROUPS, Line, action_text, actor_text, changes
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.statistics.calendar_days import day_of
from synapse_bum.portal.visit import Visit

MOST_IN_FILE: Final = 10_000
_AT_ONCE: Final = 1_000
_ROUTE: Final = BUM + "/audit"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class AuditRow:
    """One row.

    Attributes:
        ts: ms since the epoch.
        actor: as the server names it.
        actor_text: key of its name; None for a person.
        action: as the server names it.
        action_text: key of its name; None for one that is not known here.
        target: what it was done to.
        changes: what was changed.
        reason: empty for none.
        hash: of the row.
    """

    ts: int
    actor: str
    actor_text: str | None
    action: str
    action_text: str | None
    target: str
    changes: tuple[Line, ...]
    reason: str
    hash: str


def audit_row(row: dict[str, Any], formats: Formats) -> AuditRow:
    """Reads one row of the API's answer."""
    return AuditRow(
        row["ts"],
        row["actor"],
        actor_text(row["actor"]),
        row["action"],
        action_text(row["action"]),
        row["target"],
        tuple(changes(row["old"], row["new"], formats)),
        row["reason"] or "",
        row["hash"],
    )


async def _show(visit: Visit) -> Reply:
    listing = visit.listing("audit", "action", "since")
    since_ts = _since_ts(listing.filters["since"])
    query = {
        "from": listing.offset,
        "limit": listing.limit,
        "action": listing.filters["action"] or None,
        "since_ts": since_ts,
    }
    answer = await visit.server.get(_ROUTE, query=query)
    rows = [audit_row(row, visit.formats) for row in answer["audit"]]
    return visit.show(
        "audit/list.html",
        rows=rows,
        part=listing.part(len(rows), answer["total"]),
        groups=GROUPS,
        is_no_day=bool(listing.filters["since"]) and since_ts is None,
        most_in_file=MOST_IN_FILE,
    )


async def _download(visit: Visit) -> Reply:
    rows, is_whole = await _all_rows(visit)
    head = [visit.t(f"audit.{name}") for name in ("time", "actor", "action", "action_name", "target")]
    head += [visit.t(f"audit.{name}") for name in ("old", "new", "reason", "hash")]
    lines = [_cells(visit, row) for row in rows]
    if not is_whole:
        lines.append([visit.t("audit.cut_off", count=len(rows))])
    name = f"protokoll-{day_of(visit.now_ms).isoformat()}.csv"
    return visit.file(csv_cells.write([head, *lines]), csv_cells.CSV_TYPE, name)


async def _all_rows(visit: Visit) -> tuple[list[dict[str, Any]], bool]:
    """The newest rows that the filters choose, and whether these are all."""
    filters = visit.listing("audit", "action", "since").filters
    found: dict[str, dict[str, Any]] = {}
    offset = 0
    while offset < MOST_IN_FILE:
        query = {
            "from": offset,
            "limit": _AT_ONCE,
            "action": filters["action"] or None,
            "since_ts": _since_ts(filters["since"]),
        }
        answer = await visit.server.get(_ROUTE, query=query)
        # Rows that come in meanwhile push others onto the next page: these are there twice, none is missing.
        found.update({row["hash"]: row for row in answer["audit"]})
        offset += _AT_ONCE
        if "next_token" not in answer:
            return list(found.values()), True
    return list(found.values()), False


def _since_ts(day: str) -> int | None:
    begin_ms = day_begin_ms(day)
    return None if begin_ms is None else max(0, begin_ms)


def _cells(visit: Visit, row: dict[str, Any]) -> list[str]:
    key = action_text(row["action"])
    return [
        visit.formats.machine_time(row["ts"]),
        row["actor"],
        row["action"],
        "" if key is None else visit.t(key),
        row["target"],
        _state(row["old"]),
        _state(row["new"]),
        row["reason"] or "",
        row["hash"],
    ]


def _state(state: object) -> str:
    if state is None or isinstance(state, str):
        return state or ""
    return json.dumps(state, ensure_ascii=False, sort_keys=True)


PAGES = (
    Page("audit", area=Area.APPLICATION, title="audit.title", show=_show, menu=130),
    Page("audit/csv", area=Area.APPLICATION, title="audit.download", show=_download),
)
