"""Orphans: files that the database does not know, and entries of it whose file is gone."""

from http import HTTPStatus
from typing import Any, Final

from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.forms.form import Form
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.storage_sayings import orphans_saying
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_ALL: Final = BUM + "/storage/orphans"
_ONE: Final = _ALL + "/{run_id}"
_DETAIL: Final = "orphans/{run_id}"
_REFRESH_S: Final = 5
_UNDER_WAY: Final = frozenset({"queued", "running"})
_FORM: Final = Form("orphans.look", ())


async def _list(visit: Visit) -> Reply:
    listing = visit.listing("orphans")
    answer = await visit.server.get(_ALL, query={"from": listing.offset, "limit": listing.limit})
    return visit.show(
        "storage/orphans.html", runs=answer["runs"], part=listing.part(len(answer["runs"]), answer["total"])
    )


async def _run(visit: Visit) -> dict[str, Any]:
    return await visit.server.get(_ONE, run_id=visit.path["run_id"])


async def _detail(visit: Visit) -> Reply:
    run = await _run(visit)
    return visit.show(
        "storage/orphans_run.html",
        refresh_s=_REFRESH_S if run["state"] in _UNDER_WAY else None,
        run=run,
        saying=orphans_saying(run),
        may_remove=_may_remove(run),
        may_cancel=run["state"] in _UNDER_WAY,
    )


def _may_remove(run: dict[str, Any]) -> bool:
    """Whether a removal follows from this run: it only looked, is over, and has found files."""
    is_over = run["dry_run"] and run["state"] in {"done", "failed"} and run["report"] is not None
    return is_over and run["report"]["files_without_rows"]["files"] > 0


async def _ask_look(visit: Visit) -> Reply:
    # This says so where the storage module is not loaded.
    await visit.server.get(_ALL, query={"limit": 1})
    return visit.show(
        "form.html",
        form=visit.blank(_FORM),
        paragraphs=visit.t.lines("orphans.look_explain"),
        button=visit.t("orphans.look_button"),
        back=visit.url("orphans"),
    )


async def _look(visit: Visit) -> Reply:
    return await _begin(visit, "orphans.begun", dry_run=True)


async def _begin(visit: Visit, notice: str, *, dry_run: bool) -> Reply:
    try:
        answer = await visit.server.post(_ALL, {"dry_run": dry_run})
    except RefusedError as e:
        if isinstance(e, ForbiddenError | NotFoundError) or not e.sentence.endswith("are waiting already"):
            raise
        return visit.go(visit.url("orphans"), "orphans.too_many", kind="warning")
    return visit.go(visit.url(_DETAIL, run_id=answer["run_id"]), notice)


async def _describe_removal(visit: Visit) -> Question:
    run = await _run(visit)
    if not _may_remove(run):
        raise NotFoundError(HTTPStatus.NOT_FOUND, "M_NOT_FOUND", "This run has found nothing that can be removed")
    found = run["report"]["files_without_rows"]
    facts = [
        visit.t("orphans.remove.found", count=found["files"], size=visit.formats.size(found["bytes"])),
        visit.t("orphans.remove.counted", time=visit.formats.time(run["finished_ts"])),
    ]
    if run["report"]["disbelieved"]:
        facts.append(visit.t("orphans.remove.disbelieved"))
    return Question({}, back=visit.url(_DETAIL, run_id=run["run_id"]), facts=tuple(facts))


async def _remove(visit: Visit, _reason: str) -> Reply:
    return await _begin(visit, "orphans.remove.begun", dry_run=False)


async def _describe_cancel(visit: Visit) -> Question:
    run = await _run(visit)
    facts = (visit.t("orphans.cancel.removed", count=run["removed"]["files"]),) if not run["dry_run"] else ()
    return Question({}, back=visit.url(_DETAIL, run_id=run["run_id"]), facts=facts)


async def _cancel(visit: Visit, _reason: str) -> Reply:
    back = visit.url(_DETAIL, run_id=visit.path["run_id"])
    try:
        await visit.server.delete(_ONE, run_id=visit.path["run_id"])
    except RefusedError as e:
        if isinstance(e, ForbiddenError | NotFoundError):
            raise
        return visit.go(back, "orphans.cancel.too_late", kind="warning")
    return visit.go(back, "orphans.cancel.done")


PAGES = (
    Page("orphans", area=Area.APPLICATION, title="orphans.title", show=_list),
    Page("orphans/look", area=Area.APPLICATION, title="orphans.look_new", show=_ask_look, submit=_look, operators=True),
    Page(_DETAIL, area=Area.APPLICATION, title="orphans.detail_title", show=_detail),
    confirmation(
        _DETAIL + "/remove",
        texts="orphans.remove",
        area=Area.APPLICATION,
        describe=_describe_removal,
        carry_out=_remove,
        operators=True,
    ),
    confirmation(
        _DETAIL + "/cancel",
        texts="orphans.cancel",
        area=Area.APPLICATION,
        describe=_describe_cancel,
        carry_out=_cancel,
        operators=True,
    ),
)
