"""Runs that delete by age: dry runs, runs with what a dry run has counted, how far they are, and their end."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.forms.form import Field, Filled, Form, Kind
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.pages.retention import begin_run, recent_runs
from synapse_bum.portal.presentation.retention_sayings import (
    CLASSES,
    UNDER_WAY,
    counts,
    run_saying,
    waiting_classes,
)
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_RUNS: Final = BUM + "/retention/runs"
_ONE: Final = _RUNS + "/{run_id}"
_DETAIL: Final = "retention/runs/{run_id}"
_REFRESH_S: Final = 4
_OLD_MS: Final = 86_400_000
"""After a day a dry run says little about what a run would delete."""


async def _list(visit: Visit) -> Reply:
    listing = visit.listing("retention/runs")
    answer = await visit.server.get(_RUNS, query={"from": listing.offset, "limit": listing.limit})
    return visit.show(
        "retention/runs.html", runs=answer["runs"], part=listing.part(len(answer["runs"]), answer["total"])
    )


async def _run(visit: Visit) -> dict[str, Any]:
    return await visit.server.get(_ONE, run_id=visit.path["run_id"])


async def _detail(visit: Visit) -> Reply:
    run = await _run(visit)
    may_carry_out = _may_carry_out(run)
    concerned = run["needs_confirmation"] or (run["classes"] if may_carry_out else ())
    return visit.show(
        "retention/run.html",
        refresh_s=_REFRESH_S if run["state"] in UNDER_WAY else None,
        title=visit.t("retention_runs.dry_title" if run["dry_run"] else "retention_runs.detail_title"),
        run=run,
        saying=run_saying(run),
        counts=counts(run, run["classes"]),
        waiting=await _waiting(visit, concerned),
        may_carry_out=may_carry_out,
        may_cancel=run["state"] in UNDER_WAY,
    )


async def _waiting(visit: Visit, concerned: Sequence[str]) -> list[str]:
    """Which of these classes wait for a confirmation now."""
    if not concerned:
        return []
    waiting = waiting_classes(await recent_runs(visit))
    return [name for name in concerned if name in waiting]


def _may_carry_out(run: dict[str, Any]) -> bool:
    return run["dry_run"] and run["state"] == "done" and any(run["deleted"][name] for name in CLASSES)


def _dry_form(status: dict[str, Any]) -> Form:
    """A box for each class that has a lifetime: the API refuses the others."""
    offered = [name for name in CLASSES if status[name]["lifetime_ms"] is not None]
    return Form("retention_runs.dry", tuple(Field(name, Kind.CHECKBOX) for name in offered))


async def _ask_dry(visit: Visit) -> Reply:
    form = _dry_form(await visit.server.get(BUM + "/retention/status"))
    return _dry(visit, visit.blank(form, {field.name: "on" for field in form.fields}))


async def _begin_dry(visit: Visit) -> Reply:
    filled = _dry_form(await visit.server.get(BUM + "/retention/status")).read(visit.form)
    chosen = tuple(field.name for field in filled.form.fields if filled.is_on(field.name))
    if not filled.form.fields:
        return visit.go(visit.url("retention"), "retention_runs.refused.no_lifetime", kind="warning")
    if not chosen:
        return _dry(visit, filled.complain(filled.form.fields[0].name, "retention_runs.dry.choose"))
    return await begin_run(visit, chosen, dry_run=True)


def _dry(visit: Visit, filled: Filled) -> Reply:
    if not filled.form.fields:
        return visit.show(
            "message.html",
            paragraphs=visit.t.lines("retention_runs.refused.no_lifetime"),
            link=visit.url("retention"),
            link_text=visit.t("retention.to_status"),
        )
    return visit.show(
        "form.html",
        form=filled,
        paragraphs=visit.t.lines("retention_runs.dry_explain"),
        button=visit.t("retention_runs.dry_button"),
        back=visit.url("retention"),
    )


async def _describe_real(visit: Visit) -> Question:
    run = await _run(visit)
    if not _may_carry_out(run):
        raise NotFoundError(HTTPStatus.NOT_FOUND, "M_NOT_FOUND", "This is no dry run that has found anything")
    texts, formats = visit.t, visit.formats
    facts = [texts(said.key, **said.values) for said in counts(run, run["classes"])]
    facts.append(texts("retention_runs.carry_out.bytes", size=formats.size(run["deleted"]["bytes"])))
    facts.append(texts("retention_runs.carry_out.counted", time=formats.time(run["finished_ts"])))
    if visit.now_ms - run["finished_ts"] > _OLD_MS:
        facts.append(texts("retention_runs.carry_out.old"))
    facts += [
        texts("retention_runs.carry_out.waits", name=texts(f"retention.class_{name}"))
        for name in await _waiting(visit, run["classes"])
    ]
    return Question({}, back=visit.url(_DETAIL, run_id=run["run_id"]), facts=tuple(facts))


async def _carry_out(visit: Visit, _reason: str) -> Reply:
    run = await _run(visit)
    return await begin_run(visit, tuple(run["classes"]), dry_run=False)


async def _describe_cancel(visit: Visit) -> Question:
    run = await _run(visit)
    form = "dry" if run["dry_run"] else "real"
    facts = (visit.t(run_saying(run).key), visit.t(f"retention_runs.cancel.{form}"))
    return Question({}, back=visit.url(_DETAIL, run_id=run["run_id"]), facts=facts)


async def _cancel(visit: Visit, _reason: str) -> Reply:
    back = visit.url(_DETAIL, run_id=visit.path["run_id"])
    try:
        await visit.server.delete(_ONE, run_id=visit.path["run_id"])
    except RefusedError as e:
        if isinstance(e, ForbiddenError | NotFoundError):
            raise
        return visit.go(back, "retention_runs.cancel.too_late", kind="warning")
    return visit.go(back, "retention_runs.cancel.done")


PAGES = (
    Page("retention/runs", area=Area.APPLICATION, title="retention_runs.title", show=_list),
    Page(_DETAIL, area=Area.APPLICATION, title="retention_runs.detail_title", show=_detail),
    Page(
        "retention/dry-run",
        area=Area.APPLICATION,
        title="retention_runs.dry_new",
        show=_ask_dry,
        submit=_begin_dry,
        operators=True,
    ),
    confirmation(
        _DETAIL + "/carry-out",
        texts="retention_runs.carry_out",
        area=Area.APPLICATION,
        describe=_describe_real,
        carry_out=_carry_out,
        operators=True,
    ),
    confirmation(
        _DETAIL + "/cancel",
        texts="retention_runs.cancel",
        area=Area.APPLICATION,
        describe=_describe_cancel,
        carry_out=_cancel,
        operators=True,
    ),
)
