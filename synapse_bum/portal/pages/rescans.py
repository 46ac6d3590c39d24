"""Scanning all stored files again: begins a run, shows how far it is, and lets operators decide about a paused one."""

from typing import Any, Final

from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, NotOfferedError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.virus_findings import waiting_rescan
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_ONE: Final = BUM + "/antivirus/rescan/{run_id}"
_DETAIL: Final = "rescans/{run_id}"
_REFRESH_S: Final = 5
_SHOWN: Final = 5
_BEGINNINGS: Final = ("antivirus.rescan.queued", "antivirus.rescan.running")
"""How the audit names the first steps of a run; only those of operators are written down while they wait."""


async def _list(visit: Visit) -> Reply:
    # The antivirus has no list of its runs; where it is not loaded, this says so.
    await visit.server.get(BUM + "/antivirus/status")
    runs = [await _known_run(visit, run_id) for run_id in await _latest_ids(visit)]
    shown = sorted((run for run in runs if run is not None), key=lambda run: -run["created_ts"])[:_SHOWN]
    return visit.show("findings/rescans.html", runs=shown, most=_SHOWN)


async def _latest_ids(visit: Visit) -> list[str]:
    newest: dict[str, int] = {}
    for action in _BEGINNINGS:
        answer = await visit.server.get(BUM + "/audit", query={"action": action, "limit": 2 * _SHOWN})
        for row in answer["audit"]:
            newest[row["target"]] = max(row["ts"], newest.get(row["target"], 0))
    return sorted(newest, key=lambda run_id: -newest[run_id])[:_SHOWN]


async def _known_run(visit: Visit, run_id: str) -> dict[str, Any] | None:
    try:
        return await visit.server.get(_ONE, run_id=run_id)
    except NotOfferedError:
        raise
    except NotFoundError:
        return None


async def _detail(visit: Visit) -> Reply:
    run = await visit.server.get(_ONE, run_id=visit.path["run_id"])
    goes_on = run["state"] in {"queued", "running"}
    return visit.show("findings/rescan.html", run=run, refresh_s=_REFRESH_S if goes_on else None)


async def _describe_start(visit: Visit) -> Question:
    status = await visit.server.get(BUM + "/antivirus/status")
    facts = () if status["scanner_ok"] else (visit.t("rescans.start.scanner_down"),)
    return Question({}, back=visit.url("rescans"), facts=facts)


async def _start(visit: Visit, _reason: str) -> Reply:
    try:
        answer = await visit.server.post(BUM + "/antivirus/rescan")
    except RefusedError as e:
        waiting = waiting_rescan(e.sentence)
        if waiting is None:
            raise
        return visit.go(visit.url(_DETAIL, run_id=waiting), "rescans.start.waiting", kind="warning")
    return visit.go(visit.url(_DETAIL, run_id=answer["run_id"]), "rescans.start.done")


async def _describe(visit: Visit) -> Question:
    run = await visit.server.get(_ONE, run_id=visit.path["run_id"])
    return Question(
        {"signature": run["paused_by"] or "", "infected": run["infected"]},
        back=visit.url(_DETAIL, run_id=visit.path["run_id"]),
        facts=(visit.t(f"rescans.now_{run['state']}"),),
    )


async def _confirm(visit: Visit, _reason: str) -> Reply:
    try:
        await visit.server.post(_ONE + "/confirm", run_id=visit.path["run_id"])
    except RefusedError as e:
        return _too_late(visit, e)
    return visit.go(visit.url(_DETAIL, run_id=visit.path["run_id"]), "rescans.confirm.done")


async def _cancel(visit: Visit, _reason: str) -> Reply:
    try:
        await visit.server.delete(_ONE, run_id=visit.path["run_id"])
    except RefusedError as e:
        return _too_late(visit, e)
    return visit.go(visit.url(_DETAIL, run_id=visit.path["run_id"]), "rescans.cancel.done")


def _too_late(visit: Visit, error: RefusedError) -> Reply:
    if isinstance(error, ForbiddenError | NotFoundError):
        raise error
    return visit.go(visit.url(_DETAIL, run_id=visit.path["run_id"]), "rescans.too_late", kind="warning")


PAGES = (
    Page("rescans", area=Area.APPLICATION, title="rescans.title", show=_list),
    Page(_DETAIL, area=Area.APPLICATION, title="rescans.detail_title", show=_detail),
    confirmation(
        "rescans/start",
        texts="rescans.start",
        area=Area.APPLICATION,
        describe=_describe_start,
        carry_out=_start,
        operators=True,
    ),
    confirmation(
        _DETAIL + "/confirm",
        texts="rescans.confirm",
        area=Area.APPLICATION,
        describe=_describe,
        carry_out=_confirm,
        operators=True,
    ),
    confirmation(
        _DETAIL + "/cancel",
        texts="rescans.cancel",
        area=Area.APPLICATION,
        describe=_describe,
        carry_out=_cancel,
        operators=True,
    ),
)
