"""Outages: the list, one of them, and entering, changing, excusing and removing one by operators."""

from typing import Any, Final

from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.forms.form import Field, Filled, Form, Kind
from synapse_bum.portal.forms.typed_moments import check_time, typed, typed_ms
from synapse_bum.portal.homeserver_api.homeserver_client import BUM, JsonDict
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_ALL: Final = BUM + "/availability/outages"
_ONE: Final = _ALL + "/{outage_id}"
_PAGE: Final = "outages/{outage_id}"
_EXCUSES: Final = ("none", "maintenance", "customer", "third_party", "force_majeure")
_MOST_WORDS: Final = 500

_WHAT: Final = (
    Field("ticket", max_length=_MOST_WORDS, hint=True),
    Field("excuse", Kind.CHOICE, required=True, choices=_EXCUSES, hint=True),
    Field("reason", required=True, max_length=_MOST_WORDS, hint=True),
)
MEASURED: Final = Form("outages.form", _WHAT)
ENTERED: Final = Form(
    "outages.form",
    (
        Field("from_day", Kind.DATE, required=True),
        Field("from_time", required=True, max_length=5, hint=True, check=check_time),
        Field("to_day", Kind.DATE, hint=True),
        Field("to_time", max_length=5, hint=True, check=check_time),
        *_WHAT,
    ),
)


async def _list(visit: Visit) -> Reply:
    listing = visit.listing("outages")
    found = await visit.server.get(_ALL, query={"from": listing.offset, "limit": listing.limit})
    part = listing.part(len(found["outages"]), found["total"])
    return visit.show("availability/outages.html", outages=found["outages"], part=part)


async def _read(visit: Visit) -> JsonDict:
    return await visit.server.get(_ONE, outage_id=visit.path["outage_id"])


async def _show(visit: Visit) -> Reply:
    return visit.show("availability/outage.html", outage=await _read(visit))


async def _new(visit: Visit) -> Reply:
    return _asked(visit, visit.blank(ENTERED, {"excuse": _EXCUSES[0]}), None)


async def _enter(visit: Visit) -> Reply:
    filled, body = _body(ENTERED.read(visit.form), None, visit.now_ms)
    if not filled.complaints:
        try:
            outage = await visit.server.post(_ALL, body)
        except RefusedError as e:
            filled = _refused(filled, e)
        else:
            return visit.go(visit.url(_PAGE, outage_id=outage["id"]), "outages.entered")
    return _asked(visit, filled, None)


async def _edit(visit: Visit) -> Reply:
    outage = await _read(visit)
    (from_day, from_time), (to_day, to_time) = typed(outage["from_ts"]), typed(outage["to_ts"])
    initial = {
        "from_day": from_day,
        "from_time": from_time,
        "to_day": to_day,
        "to_time": to_time,
        "ticket": outage["ticket"] or "",
        "excuse": outage["excuse"] or _EXCUSES[0],
        "reason": outage["reason"] or "",
    }
    return _asked(visit, visit.blank(_form(outage), initial), outage)


async def _change(visit: Visit) -> Reply:
    outage = await _read(visit)
    filled, body = _body(_form(outage).read(visit.form), outage, visit.now_ms)
    if not filled.complaints:
        try:
            await visit.server.put(_ONE, body, outage_id=outage["id"])
        except RefusedError as e:
            filled = _refused(filled, e)
        else:
            return visit.go(visit.url(_PAGE, outage_id=outage["id"]), "outages.changed")
    return _asked(visit, filled, outage)


def _form(outage: JsonDict) -> Form:
    """When a measured outage began and ended can't be changed."""
    return MEASURED if outage["source"] == "measured" else ENTERED


def _body(filled: Filled, outage: JsonDict | None, now_ms: int) -> tuple[Filled, dict[str, Any]]:
    """What the API is to be told, and the form with what is wrong with its times."""
    body: dict[str, Any] = {
        "ticket": filled["ticket"] or None,
        "excuse": None if filled["excuse"] == _EXCUSES[0] else filled["excuse"],
        "reason": filled["reason"],
    }
    if filled.form is MEASURED and outage is not None:
        return filled, {**body, "from_ts": outage["from_ts"], "to_ts": outage["to_ts"]}
    known = outage or {"from_ts": None, "to_ts": None}
    begin = typed_ms(filled["from_day"], filled["from_time"], known["from_ts"])
    end = typed_ms(filled["to_day"], filled["to_time"], known["to_ts"])
    goes_on = not filled["to_day"] and not filled["to_time"]
    if filled.complaints:
        return filled, body
    may_be_ahead = body["excuse"] is not None and not goes_on
    if begin is None:
        filled = filled.complain("from_time", "outages.no_moment")
    elif begin > now_ms and not may_be_ahead:
        filled = filled.complain("from_day", "outages.ahead")
    if not goes_on:
        if end is None:
            filled = filled.complain("to_time", "outages.no_moment")
        elif begin is not None and end <= begin:
            filled = filled.complain("to_time", "outages.end_before_begin")
        elif end > now_ms and not may_be_ahead:
            filled = filled.complain("to_day", "outages.end_ahead")
    return filled, {**body, "from_ts": begin, "to_ts": end}


def _refused(filled: Filled, error: RefusedError) -> Filled:
    if isinstance(error, ForbiddenError | NotFoundError):
        raise error
    return filled.complain(filled.form.fields[0].name, "outages.refused", sentence=error.sentence)


def _asked(visit: Visit, filled: Filled, outage: JsonDict | None) -> Reply:
    name = "new" if outage is None else "measured" if filled.form is MEASURED else "edit"
    return visit.show(
        "form.html",
        form=filled,
        paragraphs=visit.t.lines(f"outages.form.explain_{name}"),
        button=visit.t("outages.form.button_new" if outage is None else "outages.form.button"),
        back=visit.url("outages") if outage is None else visit.url(_PAGE, outage_id=outage["id"]),
    )


async def _describe(visit: Visit) -> Question:
    outage = await _read(visit)
    facts = (visit.t("outages.remove.measured"),) if outage["source"] == "measured" else ()
    return Question(
        {"begin": visit.formats.time(outage["from_ts"])},
        back=visit.url(_PAGE, outage_id=outage["id"]),
        facts=facts,
    )


async def _remove(visit: Visit, reason: str) -> Reply:
    # The API takes one line.
    await visit.server.delete(_ONE, {"reason": " ".join(reason.split())}, outage_id=visit.path["outage_id"])
    return visit.go(visit.url("outages"), "outages.removed")


PAGES = (
    Page("outages", area=Area.APPLICATION, title="outages.title", show=_list),
    Page(
        "outages/new",
        area=Area.APPLICATION,
        title="outages.form.title_new",
        show=_new,
        submit=_enter,
        operators=True,
    ),
    Page(_PAGE, area=Area.APPLICATION, title="outages.one_title", show=_show),
    Page(
        f"{_PAGE}/edit",
        area=Area.APPLICATION,
        title="outages.form.title",
        show=_edit,
        submit=_change,
        operators=True,
    ),
    confirmation(
        f"{_PAGE}/remove",
        texts="outages.remove",
        area=Area.APPLICATION,
        describe=_describe,
        carry_out=_remove,
        reason=True,
        operators=True,
    ),
)
