"""The partners of the federation: who they are, adding, changing and removing one."""

from http import HTTPStatus
from typing import Any, Final

from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.forms.form import Field, Filled, Form, Kind
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import (
    ForbiddenError,
    NotFoundError,
    NotOfferedError,
    RefusedError,
    UnavailableError,
)
from synapse_bum.portal.language.formats import NOTHING
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.partner_terms import (
    begin_of,
    conflict,
    end_of,
    first_day,
    last_day,
    name_refusal,
    plausible_day,
    state,
)
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_ALL: Final = BUM + "/federation/partners"
_ONE: Final = _ALL + "/{partner_name}"
_DETAIL: Final = "partners/{partner_name}"
_WILDCARD: Final = "*."
_AT_ONCE: Final = 1_000
_REMOVAL_PATIENCE_S: Final = 90
"""A removal answers when all kicks have arrived, by default after 60 s at most."""
_ROOMS_NAMED: Final = 20

_NAME: Final = Field("server_name", required=True, hint=True)
_TERMS: Final = (
    Field("organisation", max_length=200),
    Field("valid_from", Kind.DATE, hint=True, check=plausible_day),
    Field("valid_until", Kind.DATE, hint=True, check=plausible_day),
    Field("reason", Kind.LONG_TEXT, required=True, max_length=1_000, hint=True),
    Field("ticket", max_length=200),
    Field("requested_by", max_length=200),
)
_NEW: Final = Form("partners.form", (_NAME, *_TERMS))
_EDIT: Final = Form("partners.form", _TERMS)


async def _list(visit: Visit) -> Reply:
    listing = visit.listing("partners")
    answer = await visit.server.get(_ALL, query={"from": listing.offset, "limit": listing.limit})
    rows = [(partner, state(partner, visit.now_ms), last_day_ms(partner)) for partner in answer["partners"]]
    return visit.show(
        "partners/list.html",
        partners=rows,
        part=listing.part(len(rows), answer["total"]),
        signed_list=await _signed_list(visit),
    )


def last_day_ms(partner: dict[str, Any]) -> int | None:
    """Returns the last moment of a partner, whose day is the one that people name; None for no end."""
    until: int | None = partner["valid_until_ts"]
    return None if until is None else until - 1


async def _signed_list(visit: Visit) -> dict[str, Any] | None:
    """What is known of the signed list; None where none is configured."""
    try:
        return await visit.server.get(BUM + "/federation/signed_list")
    except NotOfferedError:
        return None


async def _find(visit: Visit, name: str) -> dict[str, Any] | None:
    """Returns a partner by its compared name; the API has no route for a single one."""
    offset = 0
    while True:
        answer = await visit.server.get(_ALL, query={"from": offset, "limit": _AT_ONCE})
        for partner in answer["partners"]:
            if partner["server_name"] == name:
                found: dict[str, Any] = partner
                return found
        offset += _AT_ONCE
        if not answer["partners"] or offset >= answer["total"]:
            return None


async def _partner(visit: Visit) -> dict[str, Any]:
    found = await _find(visit, visit.path["partner_name"])
    if found is None:
        raise NotFoundError(HTTPStatus.NOT_FOUND, "M_NOT_FOUND", "")
    return found


async def _detail(visit: Visit) -> Reply:
    partner = await _partner(visit)
    return visit.show(
        "partners/detail.html",
        title=partner["server_name"],
        partner=partner,
        state=state(partner, visit.now_ms),
        last_ms=last_day_ms(partner),
        is_wildcard=partner["server_name"].startswith(_WILDCARD),
    )


async def _new(visit: Visit) -> Reply:
    return _form(visit, visit.blank(_NEW, {"server_name": visit.query.text("name")[:255]}))


async def _create(visit: Visit) -> Reply:
    filled = _checked(_NEW.read(visit.form))
    if not filled.complaints:
        name = filled["server_name"]
        try:
            known = await _known(visit, name)
            if known is not None:
                return _form(visit, filled.complain("server_name", "partners.form.known", partner=known))
            made = await visit.server.put(_ONE, _body(filled, {}), partner_name=name)
        except RefusedError as e:
            filled = _complained(filled, e, "server_name")
        else:
            name = made["server_name"]
            return visit.go(visit.url(_DETAIL, partner_name=name), "partners.added", name=name)
    return _form(visit, filled)


async def _known(visit: Visit, name: str) -> str | None:
    """Returns the compared name of a partner that is there already: adding it again would change it unseen."""
    if name.startswith(_WILDCARD):
        found = await _find(visit, name.lower())
        return None if found is None else name.lower()
    decision = await visit.server.get(BUM + "/federation/check/{partner_name}", partner_name=name)
    matched: str | None = decision["matched"]
    is_exact = matched is not None and not matched.startswith(_WILDCARD) and decision["because"] != "being_removed"
    return matched if is_exact else None


def _form(visit: Visit, filled: Filled) -> Reply:
    return visit.show(
        "form.html",
        form=filled,
        paragraphs=visit.t.lines("partners.new_explain"),
        button=visit.t("partners.add"),
        back=visit.url("partners"),
    )


async def _edit(visit: Visit) -> Reply:
    partner = await _partner(visit)
    initial = {
        "organisation": partner["organisation"] or "",
        "valid_from": first_day(partner["valid_from_ts"]),
        "valid_until": last_day(partner["valid_until_ts"]),
        "ticket": partner["ticket"] or "",
        "requested_by": partner["requested_by"] or "",
    }
    return _edit_form(visit, partner, visit.blank(_EDIT, initial))


async def _change(visit: Visit) -> Reply:
    partner = await _partner(visit)
    filled = _checked(_EDIT.read(visit.form))
    if not filled.complaints:
        name = partner["server_name"]
        try:
            await visit.server.put(_ONE, _body(filled, partner), partner_name=name)
        except RefusedError as e:
            filled = _complained(filled, e, "reason")
        else:
            return visit.go(visit.url(_DETAIL, partner_name=name), "partners.changed", name=name)
    return _edit_form(visit, partner, filled)


def _edit_form(visit: Visit, partner: dict[str, Any], filled: Filled) -> Reply:
    return visit.show(
        "form.html",
        title=visit.t("partners.edit_title", name=partner["server_name"]),
        form=filled,
        paragraphs=visit.t.lines("partners.edit_explain", reason=partner["reason"] or NOTHING),
        button=visit.t("partners.save"),
        back=visit.url(_DETAIL, partner_name=visit.path["partner_name"]),
    )


def _checked(filled: Filled) -> Filled:
    begin, end = filled["valid_from"], filled["valid_until"]
    if not {"valid_from", "valid_until"} & set(filled.complaints) and begin and end and end < begin:
        return filled.complain("valid_until", "partners.form.ends_before")
    return filled


def _body(filled: Filled, before: dict[str, Any]) -> dict[str, Any]:
    texts = {name: filled[name] or None for name in ("organisation", "ticket", "requested_by")}
    return {
        "reason": filled["reason"],
        "valid_from_ts": begin_of(filled["valid_from"], before.get("valid_from_ts")),
        "valid_until_ts": end_of(filled["valid_until"], before.get("valid_until_ts")),
        **texts,
    }


def _complained(filled: Filled, error: RefusedError, field: str) -> Filled:
    """Says at a field why the API refused; lets pass what is not about what was typed."""
    if isinstance(error, ForbiddenError | NotFoundError):
        raise error
    refused = name_refusal(error.sentence) if error.status == HTTPStatus.BAD_REQUEST else conflict(error.sentence)
    if refused is None:
        raise error
    return filled.complain(field, refused)


async def _describe(visit: Visit) -> Question:
    partner = await _partner(visit)
    name = partner["server_name"]
    impact = await visit.server.get(_ONE + "/impact", partner_name=name)
    facts = [visit.t("partners.remove.no_rooms")]
    if impact["rooms"]:
        facts = [
            visit.t("partners.remove.rooms", count=impact["rooms"]),
            visit.t("partners.remove.remote_users", count=impact["remote_users"]),
            visit.t("partners.remove.local_users", count=impact["local_users"]),
        ]
    stuck = impact["rooms_without_power"]
    if stuck:
        facts.append(visit.t("partners.remove.stuck", count=len(stuck)))
        facts.extend(visit.t("partners.remove.stuck_room", room=room) for room in stuck[:_ROOMS_NAMED])
        if len(stuck) > _ROOMS_NAMED:
            facts.append(visit.t("partners.remove.stuck_more", count=len(stuck) - _ROOMS_NAMED))
    if name.startswith(_WILDCARD):
        facts.append(visit.t("partners.remove.wildcard"))
    return Question(
        {"name": name}, back=visit.url(_DETAIL, partner_name=visit.path["partner_name"]), facts=tuple(facts), typed=name
    )


async def _remove(visit: Visit, reason: str) -> Reply:
    name = visit.path["partner_name"]
    try:
        await visit.server.delete(_ONE, {"reason": reason}, patience_s=_REMOVAL_PATIENCE_S, partner_name=name)
    except UnavailableError:
        # The removal goes on without us once it has begun: then the partner is in the list no more.
        left = await _find(visit, name)
        if left is not None and left["source"] == "managed":
            raise
        return visit.go(visit.url("partners"), "partners.remove.goes_on", kind="warning", name=name)
    except RefusedError as e:
        known = None if isinstance(e, ForbiddenError | NotFoundError) else conflict(e.sentence)
        if known is None:
            raise
        return visit.go(visit.url(_DETAIL, partner_name=visit.path["partner_name"]), known, kind="warning")
    return await _removed(visit, name)


async def _removed(visit: Visit, name: str) -> Reply:
    """Says what has become of a partner: another entry may let it in all the same."""
    if not name.startswith(_WILDCARD):
        try:
            now = await visit.server.get(BUM + "/federation/check/{partner_name}", partner_name=name)
        except (RefusedError, UnavailableError):
            return visit.go(visit.url("partners"), "partners.remove.unchecked", kind="warning", name=name)
        if now["allowed"]:
            values = {"name": name, "matched": now["matched"]}
            return visit.go(visit.url("partners"), "partners.remove.still_allowed", kind="warning", **values)
    return visit.go(visit.url("partners"), "partners.remove.done", name=name)


PAGES = (
    Page("partners", area=Area.APPLICATION, title="partners.title", show=_list, menu=70),
    Page("partners/new", area=Area.APPLICATION, title="partners.new_title", show=_new, submit=_create, operators=True),
    Page(_DETAIL, area=Area.APPLICATION, title="partners.detail_title", show=_detail),
    Page(
        _DETAIL + "/edit",
        area=Area.APPLICATION,
        title="partners.edit_button",
        show=_edit,
        submit=_change,
        operators=True,
    ),
    confirmation(
        _DETAIL + "/remove",
        texts="partners.remove",
        area=Area.APPLICATION,
        describe=_describe,
        carry_out=_remove,
        reason=True,
        operators=True,
    ),
)
