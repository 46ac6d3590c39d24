"""Holds: what nobody may delete until a day, with a reason."""

from http import HTTPStatus
from typing import Any, Final

from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.forms.form import Field, Filled, Form, Kind
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, NotOfferedError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.hold_terms import (
    day_complaint,
    end_saying,
    last_day,
    scope,
    target_complaint,
    until_ms,
)
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_ALL: Final = BUM + "/retention/holds"
_ONE: Final = _ALL + "/{target}"
_PATH: Final = "holds/{room_or_user_id}"
_LONGEST_ID: Final = 255

_TARGET: Final = Field("target", required=True, hint=True, check=target_complaint)
_TERMS: Final = (
    Field("until", Kind.DATE, required=True, hint=True),
    Field("reason", Kind.LONG_TEXT, required=True, max_length=1_000, hint=True),
)
_NEW: Final = Form("holds.form", (_TARGET, *_TERMS))
_EDIT: Final = Form("holds.form", _TERMS)


async def _list(visit: Visit) -> Reply:
    listing = visit.listing("holds")
    answer = await visit.server.get(_ALL, query={"from": listing.offset, "limit": listing.limit})
    own_name = visit.server_name
    rows = [(hold, scope(hold["target"], own_name), _end(visit, hold["until_ts"])) for hold in answer["holds"]]
    return visit.show("holds/list.html", holds=rows, part=listing.part(len(rows), answer["total"]))


def _end(visit: Visit, until_ts: int) -> str:
    key = end_saying(until_ts)
    return visit.t(key, day=visit.formats.date(until_ts - 1), time=visit.formats.time(until_ts))


async def _hold(visit: Visit, target: str) -> dict[str, Any] | None:
    """Returns the hold that a room or a user has; None for none."""
    try:
        return await visit.server.get(_ONE, target=target)
    except NotOfferedError:
        raise
    except NotFoundError:
        return None


async def _known(visit: Visit) -> dict[str, Any]:
    found = await _hold(visit, visit.path["room_or_user_id"])
    if found is None:
        raise NotFoundError(HTTPStatus.NOT_FOUND, "M_NOT_FOUND", "There is no such hold")
    return found


async def _new(visit: Visit) -> Reply:
    # This says so where the retention is not loaded.
    await visit.server.get(_ALL, query={"limit": 1})
    return _new_form(visit, visit.blank(_NEW, {"target": visit.query.text("target")[:_LONGEST_ID]}))


async def _create(visit: Visit) -> Reply:
    filled = _checked(visit, _NEW.read(visit.form))
    if not filled.complaints:
        target = filled["target"]
        before = await _hold(visit, target)
        if before is not None:
            # The API would put the new one in its place.
            filled = filled.complain("target", "holds.form.exists", end=_end(visit, before["until_ts"]))
            return _new_form(visit, filled)
        try:
            await visit.server.put(_ONE, _body(filled, until_ms(filled["until"])), target=target)
        except RefusedError as e:
            filled = _complained(filled, e, "target")
        else:
            return visit.go(visit.url("holds"), "holds.created", target=target)
    return _new_form(visit, filled)


def _new_form(visit: Visit, filled: Filled) -> Reply:
    return visit.show(
        "form.html",
        form=filled,
        paragraphs=visit.t.lines("holds.new_explain"),
        button=visit.t("holds.new"),
        back=visit.url("holds"),
    )


async def _edit(visit: Visit) -> Reply:
    hold = await _known(visit)
    initial = {"until": last_day(hold["until_ts"]), "reason": hold["reason"]}
    return _edit_form(visit, hold, visit.blank(_EDIT, initial))


async def _change(visit: Visit) -> Reply:
    hold = await _known(visit)
    filled = _checked(visit, _EDIT.read(visit.form))
    if not filled.complaints:
        target = hold["target"]
        try:
            await visit.server.put(_ONE, _body(filled, until_ms(filled["until"], hold["until_ts"])), target=target)
        except RefusedError as e:
            filled = _complained(filled, e, "until")
        else:
            return visit.go(visit.url("holds"), "holds.changed", target=target)
    return _edit_form(visit, hold, filled)


def _edit_form(visit: Visit, hold: dict[str, Any], filled: Filled) -> Reply:
    return visit.show(
        "form.html",
        title=visit.t("holds.edit_title", target=hold["target"]),
        form=filled,
        paragraphs=visit.t.lines("holds.edit_explain"),
        button=visit.t("holds.save"),
        back=visit.url("holds"),
    )


def _checked(visit: Visit, filled: Filled) -> Filled:
    complaint = None if "until" in filled.complaints else day_complaint(filled["until"], visit.now_ms)
    return filled if complaint is None else filled.complain("until", complaint.key, **complaint.values)


def _body(filled: Filled, end: int) -> dict[str, Any]:
    return {"reason": filled["reason"], "until_ts": end}


def _complained(filled: Filled, error: RefusedError, unknown: str) -> Filled:
    """Says at a field why the API refused; lets pass what is not about what was typed.

    Args:
        filled: the form.
        error: of the API.
        unknown: field that is complained about where the room or the user is not known.
    """
    if isinstance(error, ForbiddenError | NotOfferedError):
        raise error
    if isinstance(error, NotFoundError):
        return filled.complain(unknown, "holds.form.unknown")
    if error.sentence.startswith("`until_ts`"):
        return filled.complain("until", "holds.form.over")
    raise error


async def _describe(visit: Visit) -> Question:
    hold = await _known(visit)
    said = scope(hold["target"], visit.server_name)
    facts = (
        visit.t(said.key, **said.values),
        visit.t("holds.lift.end", end=_end(visit, hold["until_ts"])),
        visit.t("holds.lift.reason", reason=hold["reason"]),
        visit.t("holds.lift.set_by", who=hold["created_by"], time=visit.formats.time(hold["created_ts"])),
    )
    return Question({"target": hold["target"]}, back=visit.url("holds"), facts=facts)


async def _lift(visit: Visit, _reason: str) -> Reply:
    target = visit.path["room_or_user_id"]
    try:
        await visit.server.delete(_ONE, target=target)
    except NotOfferedError:
        raise
    except NotFoundError:
        return visit.go(visit.url("holds"), "holds.lift.gone", kind="info", target=target)
    return visit.go(visit.url("holds"), "holds.lift.done", target=target)


PAGES = (
    Page("holds", area=Area.APPLICATION, title="holds.title", show=_list, menu=110),
    Page("holds/new", area=Area.APPLICATION, title="holds.new", show=_new, submit=_create, operators=True),
    Page(_PATH + "/edit", area=Area.APPLICATION, title="holds.edit", show=_edit, submit=_change, operators=True),
    confirmation(
        _PATH + "/lift",
        texts="holds.lift",
        area=Area.APPLICATION,
        describe=_describe,
        carry_out=_lift,
        operators=True,
    ),
)
