"""Retention: what should be gone, the confirmation that a new lifetime may need, and the proof of what was deleted."""

from http import HTTPStatus
from typing import Any, Final

from synapse_bum.portal import csv_cells
from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.retention_sayings import (
    CLASSES,
    UNDER_WAY,
    class_saying,
    counts,
    latest_dry_run,
    overdue_ms,
    policy_text,
    refusal,
    waiting_classes,
)
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.statistics.calendar_days import day_of
from synapse_bum.portal.visit import Visit

MOST_IN_FILE: Final = 10_000
_AT_ONCE: Final = 1_000
_RECENT: Final = 100
"""Runs that are looked through for what waits: some days of an hourly schedule."""

_RUNS: Final = BUM + "/retention/runs"
_DELETIONS: Final = BUM + "/retention/deletions"


async def recent_runs(visit: Visit) -> list[dict[str, Any]]:
    """Returns the newest runs, newest first."""
    answer = await visit.server.get(_RUNS, query={"limit": _RECENT})
    runs: list[dict[str, Any]] = answer["runs"]
    return runs


async def _show(visit: Visit) -> Reply:
    status = await visit.server.get(BUM + "/retention/status")
    runs = await recent_runs(visit)
    classes = [(name, status[name], class_saying(status[name]), overdue_ms(status[name])) for name in CLASSES]
    return visit.show(
        "retention/status.html",
        classes=classes,
        waiting=waiting_classes(runs),
        under_way=[run for run in runs if run["state"] in UNDER_WAY],
        last_run=next((run for run in runs if run["finished_ts"] is not None and not run["dry_run"]), None),
        has_lifetimes=any(status[name]["lifetime_ms"] is not None for name in CLASSES),
        now_ms=visit.now_ms,
    )


async def _describe(visit: Visit) -> Question:
    runs = await recent_runs(visit)
    waiting = waiting_classes(runs)
    if not waiting:
        raise NotFoundError(HTTPStatus.NOT_FOUND, "M_NOT_FOUND", "Nothing waits for a confirmation")
    status = await visit.server.get(BUM + "/retention/status")
    texts, formats = visit.t, visit.formats
    facts = [
        texts(
            "retention.confirm.lifetime",
            name=texts(f"retention.class_{name}"),
            lifetime=formats.duration(status[name]["lifetime_ms"]),
        )
        for name in waiting
    ]
    dry_run = latest_dry_run(runs, waiting)
    if dry_run is None:
        facts.append(texts("retention.confirm.no_dry_run"))
    else:
        facts.append(texts("retention.confirm.dry_run", time=formats.time(dry_run["finished_ts"])))
        facts += [texts(said.key, **said.values) for said in counts(dry_run, waiting)]
    return Question({"time": formats.time(visit.now_ms)}, back=visit.url("retention"), facts=tuple(facts))


async def _confirm(visit: Visit, _reason: str) -> Reply:
    waiting = waiting_classes(await recent_runs(visit))
    if not waiting:
        return visit.go(visit.url("retention"), "retention.confirm.too_late", kind="info")
    return await begin_run(visit, waiting, dry_run=False, confirm=True)


async def begin_run(visit: Visit, classes: tuple[str, ...], *, dry_run: bool, confirm: bool = False) -> Reply:
    """Queues a run, and leads to it; or says why there is none.

    Args:
        visit: of an operator.
        classes: that it goes through.
        dry_run: whether it only counts.
        confirm: whether a new or shorter lifetime is meant.
    """
    body = {"dry_run": dry_run, "classes": list(classes), "confirm": confirm}
    try:
        answer = await visit.server.post(_RUNS, body)
    except RefusedError as e:
        said = None if isinstance(e, ForbiddenError | NotFoundError) else refusal(e.sentence)
        if said is None:
            raise
        return visit.go(visit.url("retention"), said.key, kind=said.kind, **said.values)
    notice = "retention_runs.begun_dry" if dry_run else "retention_runs.begun"
    return visit.go(visit.url("retention/runs/{run_id}", run_id=answer["run_id"]), notice)


async def _list_deletions(visit: Visit) -> Reply:
    listing = visit.listing("retention/deletions")
    answer = await visit.server.get(_DELETIONS, query={"from": listing.offset, "limit": listing.limit})
    found = answer["deletions"]
    return visit.show(
        "retention/deletions.html",
        deletions=[(deletion, policy_text(deletion["policy"])) for deletion in found],
        part=listing.part(len(found), answer["total"]),
        most_in_file=MOST_IN_FILE,
    )


async def _download_deletions(visit: Visit) -> Reply:
    deletions, is_whole = await _newest_deletions(visit)
    head = [
        visit.t(f"deletions.{name}")
        for name in ("kind", "target", "items", "bytes", "policy_id", "policy_name", "planned", "done")
    ]
    rows = [_cells(visit, deletion) for deletion in deletions]
    if not is_whole:
        rows.append([visit.t("deletions.cut_off", count=len(deletions))])
    name = f"loeschnachweis-{day_of(visit.now_ms).isoformat()}.csv"
    return visit.file(csv_cells.write([head, *rows]), csv_cells.CSV_TYPE, name)


async def _newest_deletions(visit: Visit) -> tuple[list[dict[str, Any]], bool]:
    """The newest deletions, and whether these are all."""
    found: dict[tuple[object, ...], dict[str, Any]] = {}
    offset = 0
    while offset < MOST_IN_FILE:
        answer = await visit.server.get(_DELETIONS, query={"from": offset, "limit": _AT_ONCE})
        # What is deleted meanwhile pushes rows onto the next page: these come twice, none is missing. When a deletion
        # was finished is no part of what it is: it may have been between the two.
        for row in answer["deletions"]:
            found[tuple(row.get(name) for name in ("kind", "target", "policy", "planned_ts", "items"))] = row
        offset += _AT_ONCE
        if "next_token" not in answer:
            return list(found.values()), True
    return list(found.values()), False


def _cells(visit: Visit, deletion: dict[str, Any]) -> list[str]:
    policy, done = policy_text(deletion["policy"]), deletion["done_ts"]
    return [
        visit.t(f"retention.class_{deletion['kind']}"),
        deletion["target"],
        str(deletion.get("items", 1)),
        str(deletion["size_bytes"]),
        deletion["policy"],
        "" if policy is None else visit.t(policy),
        visit.formats.machine_time(deletion["planned_ts"]),
        "" if done is None else visit.formats.machine_time(done),
    ]


PAGES = (
    Page("retention", area=Area.APPLICATION, title="retention.title", show=_show, menu=100),
    confirmation(
        "retention/confirm",
        texts="retention.confirm",
        area=Area.APPLICATION,
        describe=_describe,
        carry_out=_confirm,
        operators=True,
    ),
    Page("retention/deletions", area=Area.APPLICATION, title="deletions.title", show=_list_deletions),
    Page("retention/deletions/csv", area=Area.APPLICATION, title="deletions.download", show=_download_deletions),
)
