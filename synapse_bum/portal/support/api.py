"""The routes below `B/portal/tickets`: reporting a fault, confirming the report, and answering it."""

from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.database import Database
from synapse_bum.portal.config import email
from synapse_bum.portal.support import outbox, tickets
from synapse_bum.portal.support.outbox import MailKind
from synapse_bum.portal.support.reaction import Category
from synapse_bum.portal.support.tickets import Ticket
from synapse_bum.reading import Path, fail, integer, option, text
from synapse_bum.rest import Access, Answer, ApiRequest, Routes, conflict, invalid_param, not_found, too_many

MOST_OF_CONTACT: Final = 200

MOST_OPEN: Final = 20
"""Reports of one person that nobody has answered."""

MOST_AN_HOUR: Final = 10
"""Reports of one person: each sends mail."""

_HOUR_MS: Final = 3_600_000

_ONE: Final = "portal/tickets/{ticket_id}"


def _category(value: object, path: Path) -> Category:
    return Category(integer(1, 2)(value, path))


def _contact(value: object, path: Path) -> str:
    found = text(value, path)
    if len(found) > MOST_OF_CONTACT or not found.isprintable():
        fail(path, f"must be one line of at most {MOST_OF_CONTACT} characters")
    return found


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ReportBody:
    """The body of a report.

    Attributes:
        category: how urgent it is.
        text: what is wrong.
        contact: who can be asked, and how.
        email: who is told of confirmation and answer too: an address of whoever reports, or that of the support. None
            for nobody.
    """

    category: Category = option(_category)  # noqa: RUF009 - makes an attrs field
    text: str = option(text)
    contact: str = option(_contact)
    email: str | None = option(email, default=None)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ConfirmBody:
    """The body of a confirmation; `category` is None where that of the report is right."""

    category: Category | None = option(_category, default=None)  # noqa: RUF009 - makes an attrs field


@attr.s(auto_attribs=True, frozen=True, slots=True)
class AnswerBody:
    """The body of an answer."""

    answer: str = option(text)


class SupportApi:
    """The handlers; they work on every process and read our own tables only."""

    def __init__(self, api: ModuleApi, database: Database, *, mails_go_out: bool, support_email: str | None) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with `SUPPORT` and the audit.
            mails_go_out: whether reports are mailed.
            support_email: of the configuration; None for none.
        """
        self._api = api
        self._database = database
        self._mails_go_out = mails_go_out
        self._support_email = support_email

    def add_to(self, routes: Routes) -> None:
        """Adds the routes."""
        routes.add("GET", "portal/tickets", self.list)
        routes.add("POST", "portal/tickets", self.report)
        routes.add("GET", _ONE, self.show)
        routes.add("POST", f"{_ONE}/confirm", self.confirm, access=Access.OPERATOR)
        routes.add("POST", f"{_ONE}/answer", self.answer, access=Access.OPERATOR)

    async def list(self, request: ApiRequest) -> Answer:
        """A page of reports, the newest first."""
        page = request.page()
        found, total = await self._database.run(
            "synapse_bum_portal_tickets", tickets.read_page, page.offset, page.limit
        )
        answered = page.answer("tickets", [ticket.as_json() for ticket in found], total)
        return Answer({**answered, "mails_go_out": self._mails_go_out})

    async def show(self, request: ApiRequest) -> Answer:
        """One report."""
        found = await self._database.run("synapse_bum_portal_ticket", tickets.read_one, request.path["ticket_id"])
        if found is None:
            raise _no_ticket()
        return self._shown(found)

    async def report(self, request: ApiRequest) -> Answer:
        """Writes down a report, and has it mailed to the support."""
        body, now_ms = request.body(ReportBody), self._api.get_current_time_msec()
        await self._check_address(request.user_id, body.email)
        ticket = Ticket(tickets.new_id(), body.category, body.text, body.contact, body.email, request.user_id, now_ms)

        def write(txn: LoggingTransaction) -> Ticket:
            _check_number(txn, request.user_id, now_ms)
            tickets.add(txn, ticket)
            return self._told(txn, MailKind.REPORTED, ticket.ticket_id, request.user_id, now_ms)

        return self._shown(await self._database.run("synapse_bum_portal_report", write))

    async def _check_address(self, user_id: str, address: str | None) -> None:
        """Lets nobody have this server write to strangers."""
        if address is None or _is_same(address, self._support_email):
            return
        known = await self._api.get_threepids_for_user(user_id)
        if not any(found["medium"] == "email" and _is_same(address, found["address"]) for found in known):
            raise invalid_param("email", "must be a mail address of your account")

    async def confirm(self, request: ApiRequest) -> Answer:
        """Begins the clock."""
        body, now_ms = request.body(ConfirmBody), self._api.get_current_time_msec()
        ticket_id, actor = request.path["ticket_id"], request.user_id

        def write(txn: LoggingTransaction) -> Ticket:
            known = _known(txn, ticket_id)
            if not tickets.confirm(txn, ticket_id, body.category or known.category, actor, now_ms):
                raise conflict("This report is confirmed already")
            return self._told(txn, MailKind.CONFIRMED, ticket_id, actor, now_ms)

        return self._shown(await self._database.run("synapse_bum_portal_confirm", write))

    async def answer(self, request: ApiRequest) -> Answer:
        """Writes down the first reaction."""
        body, now_ms = request.body(AnswerBody), self._api.get_current_time_msec()
        ticket_id, actor = request.path["ticket_id"], request.user_id

        def write(txn: LoggingTransaction) -> Ticket:
            known = _known(txn, ticket_id)
            if not tickets.answer(txn, ticket_id, body.answer, actor, now_ms):
                raise conflict(
                    "This report is not confirmed yet"
                    if known.confirmed_ts is None
                    else "This report is answered already"
                )
            return self._told(txn, MailKind.ANSWERED, ticket_id, actor, now_ms)

        return self._shown(await self._database.run("synapse_bum_portal_answer", write))

    def _told(self, txn: LoggingTransaction, kind: MailKind, ticket_id: str, actor: str, now_ms: int) -> Ticket:
        """Mails and audits what was written down, in its transaction; nobody's own words are in the audit."""
        ticket = _known(txn, ticket_id)
        if self._mails_go_out:
            outbox.add_mails(txn, kind, ticket_id, ticket.email, now_ms)
        new = {"category": ticket.category.value, "due_ts": ticket.due_ts}
        audit.append(txn, audit.Entry(now_ms, actor, f"support.ticket.{kind.value}", ticket_id, new=new))
        return _known(txn, ticket_id)

    def _shown(self, ticket: Ticket) -> Answer:
        return Answer({**ticket.as_json(), "mails_go_out": self._mails_go_out})


def _is_same(address: str, other: str | None) -> bool:
    return other is not None and address.lower() == other.lower()


def _check_number(txn: LoggingTransaction, user_id: str, now_ms: int) -> None:
    if tickets.count_open(txn, user_id) >= MOST_OPEN:
        raise too_many(f"{MOST_OPEN} of your reports are not answered yet")
    if tickets.count_since(txn, user_id, now_ms - _HOUR_MS) >= MOST_AN_HOUR:
        raise too_many(f"You may make {MOST_AN_HOUR} reports an hour", _HOUR_MS)


def _known(txn: LoggingTransaction, ticket_id: str) -> Ticket:
    ticket = tickets.read_one(txn, ticket_id)
    if ticket is None:
        raise _no_ticket()
    return ticket


def _no_ticket() -> Exception:
    return not_found("report with this number")
