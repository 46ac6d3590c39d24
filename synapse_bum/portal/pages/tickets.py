"""Reports of faults: the list, one report, making one, and the operators' confirmation and answer."""

from http import HTTPStatus
from typing import Final

from synapse_bum.portal.forms.form import Complaint, Field, Filled, Form, Kind
from synapse_bum.portal.homeserver_api.homeserver_client import BUM, JsonDict
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.support.progress import progress_of
from synapse_bum.portal.support.reaction import Category, due_ms
from synapse_bum.portal.visit import Visit

_ALL: Final = BUM + "/portal/tickets"
_ONE: Final = _ALL + "/{ticket_id}"
_PAGE: Final = "tickets/{ticket_id}"
_CATEGORIES: Final = tuple(str(category.value) for category in Category)
_MOST_WORDS: Final = 4_000
_MOST_OF_CONTACT: Final = 200
_MOST_OF_ADDRESS: Final = 254


def _printable(value: str) -> Complaint | None:
    return None if value.isprintable() else Complaint("tickets.form.not_printable")


REPORT: Final = Form(
    "tickets.form",
    (
        Field("category", Kind.CHOICE, required=True, choices=_CATEGORIES),
        Field("text", Kind.LONG_TEXT, required=True, max_length=_MOST_WORDS, hint=True),
        Field("contact", required=True, max_length=_MOST_OF_CONTACT, hint=True, check=_printable),
        Field("email", Kind.EMAIL, max_length=_MOST_OF_ADDRESS, hint=True, autocomplete="email"),
    ),
)
CONFIRM: Final = Form(
    "tickets.confirm", (Field("category", Kind.CHOICE, required=True, choices=_CATEGORIES, hint=True),)
)
ANSWER: Final = Form(
    "tickets.answer", (Field("answer", Kind.LONG_TEXT, required=True, max_length=_MOST_WORDS, hint=True),)
)


async def _list(visit: Visit) -> Reply:
    listing = visit.listing("tickets")
    found = await visit.server.get(_ALL, query={"from": listing.offset, "limit": listing.limit})
    return visit.show(
        "support/tickets.html",
        tickets=[(ticket, progress_of(ticket, visit.now_ms)) for ticket in found["tickets"]],
        part=listing.part(len(found["tickets"]), found["total"]),
    )


async def _new(visit: Visit) -> Reply:
    return await _asked(visit, visit.blank(REPORT))


async def _asked(visit: Visit, filled: Filled) -> Reply:
    known = await visit.server.get(_ALL, query={"limit": 1})
    phones = [contact for contact in visit.config.support.contacts if contact.phone]
    return visit.show("support/report.html", form=filled, mails_go_out=known["mails_go_out"], phones=phones)


async def _report(visit: Visit) -> Reply:
    filled = REPORT.read(visit.form)
    if filled.complaints:
        return await _asked(visit, filled)
    body = {
        "category": int(filled["category"]),
        "text": filled["text"],
        "contact": filled["contact"],
        "email": filled["email"] or None,
    }
    try:
        ticket = await visit.server.post(_ALL, body)
    except RefusedError as e:
        if e.status == HTTPStatus.TOO_MANY_REQUESTS:
            return await _asked(visit, filled.complain("text", "tickets.form.too_many"))
        if isinstance(e, ForbiddenError | NotFoundError) or "`email`" not in e.sentence:
            raise
        is_foreign = "of your account" in e.sentence
        key = "tickets.form.foreign_email" if is_foreign else "forms.no_email"
        return await _asked(visit, filled.complain("email", key))
    return visit.go(visit.url(_PAGE, ticket_id=ticket["id"]), "tickets.reported", number=ticket["id"])


async def _read(visit: Visit) -> JsonDict:
    return await visit.server.get(_ONE, ticket_id=visit.path["ticket_id"])


async def _show(visit: Visit) -> Reply:
    ticket = await _read(visit)
    return visit.show(
        "support/ticket.html",
        title=visit.t("tickets.one_title", number=ticket["id"]),
        ticket=ticket,
        progress=progress_of(ticket, visit.now_ms),
    )


async def _ask_confirmation(visit: Visit) -> Reply:
    ticket = await _read(visit)
    if ticket["confirmed_ts"] is not None:
        return _back(visit, "tickets.confirmed_already")
    return _confirmation(visit, ticket, visit.blank(CONFIRM, {"category": str(ticket["category"])}))


def _confirmation(visit: Visit, ticket: JsonDict, filled: Filled) -> Reply:
    due = {category.value: due_ms(category, visit.now_ms) for category in Category}
    return visit.show("support/confirm.html", form=filled, ticket=ticket, due=due)


async def _confirm(visit: Visit) -> Reply:
    filled = CONFIRM.read(visit.form)
    if filled.complaints:
        return _confirmation(visit, await _read(visit), filled)
    body = {"category": int(filled["category"])}
    try:
        ticket = await visit.server.post(f"{_ONE}/confirm", body, ticket_id=visit.path["ticket_id"])
    except RefusedError as e:
        return _too_late(visit, e, "tickets.confirmed_already")
    address = visit.url(_PAGE, ticket_id=ticket["id"])
    return visit.go(address, "tickets.confirmed", time=visit.formats.time(ticket["due_ts"]))


async def _ask_answer(visit: Visit) -> Reply:
    ticket = await _read(visit)
    if ticket["answered_ts"] is not None:
        return _back(visit, "tickets.answered_already")
    return _answering(visit, visit.blank(ANSWER))


def _answering(visit: Visit, filled: Filled) -> Reply:
    return visit.show(
        "form.html",
        form=filled,
        paragraphs=visit.t.lines("tickets.answer.explain"),
        button=visit.t("tickets.answer.button"),
        back=visit.url(_PAGE, ticket_id=visit.path["ticket_id"]),
    )


async def _answer(visit: Visit) -> Reply:
    filled = ANSWER.read(visit.form)
    if filled.complaints:
        return _answering(visit, filled)
    try:
        await visit.server.post(f"{_ONE}/answer", {"answer": filled["answer"]}, ticket_id=visit.path["ticket_id"])
    except RefusedError as e:
        return _too_late(visit, e, "tickets.not_to_answer")
    return visit.go(visit.url(_PAGE, ticket_id=visit.path["ticket_id"]), "tickets.answered")


def _too_late(visit: Visit, error: RefusedError, notice: str) -> Reply:
    """Somebody else was faster."""
    if error.status != HTTPStatus.CONFLICT:
        raise error
    return _back(visit, notice)


def _back(visit: Visit, notice: str) -> Reply:
    return visit.go(visit.url(_PAGE, ticket_id=visit.path["ticket_id"]), notice, kind="warning")


PAGES = (
    Page("tickets", area=Area.APPLICATION, title="tickets.title", show=_list),
    Page("tickets/new", area=Area.APPLICATION, title="tickets.form.title", show=_new, submit=_report),
    Page(_PAGE, area=Area.APPLICATION, title="tickets.title", show=_show),
    Page(
        f"{_PAGE}/confirm",
        area=Area.APPLICATION,
        title="tickets.confirm.title",
        show=_ask_confirmation,
        submit=_confirm,
        operators=True,
    ),
    Page(
        f"{_PAGE}/answer",
        area=Area.APPLICATION,
        title="tickets.answer.title",
        show=_ask_answer,
        submit=_answer,
        operators=True,
    ),
)
