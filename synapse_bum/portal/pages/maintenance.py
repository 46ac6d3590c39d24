"""Announced maintenance: what is ahead, and announcing, moving and taking back by operators."""

from typing import Any, Final

from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.forms.form import Field, Filled, Form, Kind
from synapse_bum.portal.forms.typed_moments import check_time, typed, typed_ms
from synapse_bum.portal.homeserver_api.homeserver_client import BUM, JsonDict
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_ALL: Final = BUM + "/maintenance"
_ONE: Final = _ALL + "/{maintenance_id}"
_PAGE: Final = "maintenance/{maintenance_id}"
_MOST_WORDS: Final = 4_000

FORM: Final = Form(
    "maintenance.form",
    (
        Field("from_day", Kind.DATE, required=True),
        Field("from_time", required=True, max_length=5, hint=True, check=check_time),
        Field("to_day", Kind.DATE, required=True),
        Field("to_time", required=True, max_length=5, hint=True, check=check_time),
        Field("text", Kind.LONG_TEXT, required=True, max_length=_MOST_WORDS, hint=True),
    ),
)


async def _list(visit: Visit) -> Reply:
    listing = visit.listing("maintenance")
    found = await visit.server.get(_ALL, query={"from": listing.offset, "limit": listing.limit})
    part = listing.part(len(found["maintenance"]), found["total"])
    return visit.show("availability/maintenance.html", announced=found["maintenance"], part=part, now_ms=visit.now_ms)


async def _read(visit: Visit) -> JsonDict:
    return await visit.server.get(_ONE, maintenance_id=visit.path["maintenance_id"])


async def _new(visit: Visit) -> Reply:
    return _asked(visit, visit.blank(FORM), is_new=True)


async def _announce(visit: Visit) -> Reply:
    filled, body = _body(FORM.read(visit.form), None, visit.now_ms)
    if not filled.complaints:
        try:
            await visit.server.post(_ALL, body)
        except RefusedError as e:
            filled = _refused(filled, e)
        else:
            return visit.go(visit.url("maintenance"), "maintenance.announced")
    return _asked(visit, filled, is_new=True)


async def _edit(visit: Visit) -> Reply:
    known = await _read(visit)
    (from_day, from_time), (to_day, to_time) = typed(known["from_ts"]), typed(known["to_ts"])
    initial = {
        "from_day": from_day,
        "from_time": from_time,
        "to_day": to_day,
        "to_time": to_time,
        "text": known["text"],
    }
    return _asked(visit, visit.blank(FORM, initial), is_new=False)


async def _change(visit: Visit) -> Reply:
    known = await _read(visit)
    filled, body = _body(FORM.read(visit.form), known, visit.now_ms)
    if not filled.complaints:
        try:
            await visit.server.put(_ONE, body, maintenance_id=known["id"])
        except RefusedError as e:
            filled = _refused(filled, e)
        else:
            return visit.go(visit.url("maintenance"), "maintenance.changed")
    return _asked(visit, filled, is_new=False)


def _body(filled: Filled, known: JsonDict | None, now_ms: int) -> tuple[Filled, dict[str, Any]]:
    """What the API is to be told, and the form with what is wrong with its times."""
    if filled.complaints:
        return filled, {}
    before = known or {"from_ts": None, "to_ts": None}
    begin = typed_ms(filled["from_day"], filled["from_time"], before["from_ts"])
    end = typed_ms(filled["to_day"], filled["to_time"], before["to_ts"])
    if begin is None:
        filled = filled.complain("from_time", "outages.no_moment")
    elif begin <= now_ms and begin != before["from_ts"]:
        filled = filled.complain("from_day", "maintenance.past")
    if end is None:
        filled = filled.complain("to_time", "outages.no_moment")
    elif end <= now_ms:
        filled = filled.complain("to_day", "maintenance.over")
    elif begin is not None and end <= begin:
        filled = filled.complain("to_time", "outages.end_before_begin")
    return filled, {"from_ts": begin, "to_ts": end, "text": filled["text"]}


def _refused(filled: Filled, error: RefusedError) -> Filled:
    if isinstance(error, ForbiddenError | NotFoundError):
        raise error
    overlaps = "is announced for a part of this time" in error.sentence
    key = "maintenance.overlaps" if overlaps else "outages.refused"
    return filled.complain("from_day", key, sentence=error.sentence)


def _asked(visit: Visit, filled: Filled, *, is_new: bool) -> Reply:
    return visit.show(
        "form.html",
        form=filled,
        paragraphs=visit.t.lines("maintenance.form.explain"),
        button=visit.t("maintenance.form.button_new" if is_new else "maintenance.form.button"),
        back=visit.url("maintenance"),
    )


async def _describe(visit: Visit) -> Question:
    known = await _read(visit)
    values = {"begin": visit.formats.time(known["from_ts"]), "end": visit.formats.time(known["to_ts"])}
    return Question(values, back=visit.url("maintenance"), facts=(known["text"],))


async def _withdraw(visit: Visit, reason: str) -> Reply:
    # The API takes one line.
    body = {"reason": " ".join(reason.split())}
    await visit.server.delete(_ONE, body, maintenance_id=visit.path["maintenance_id"])
    return visit.go(visit.url("maintenance"), "maintenance.withdrawn")


PAGES = (
    Page("maintenance", area=Area.APPLICATION, title="maintenance.title", show=_list),
    Page(
        "maintenance/new",
        area=Area.APPLICATION,
        title="maintenance.form.title_new",
        show=_new,
        submit=_announce,
        operators=True,
    ),
    Page(
        f"{_PAGE}/edit",
        area=Area.APPLICATION,
        title="maintenance.form.title",
        show=_edit,
        submit=_change,
        operators=True,
    ),
    confirmation(
        f"{_PAGE}/withdraw",
        texts="maintenance.withdraw",
        area=Area.APPLICATION,
        describe=_describe,
        carry_out=_withdraw,
        reason=True,
        operators=True,
    ),
)
