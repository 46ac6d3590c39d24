"""Reports of faults: from the form to the answer, in time, by mail, and by operators only."""

import datetime as dt
import json
from collections.abc import Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http import HTTPStatus
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.support.api import MOST_AN_HOUR, MOST_OPEN
from synapse_bum.portal.support.outbox import RETRY_MS
from synapse_bum.portal.support.post import LOOK_EVERY_MS
from synapse_bum.testing.portal_case import PortalTestCase

TICKETS = "/_synapse/client/bum/v1/portal/tickets"
NASTY = "<script>alert(1)</script>\"'&"
REPORT = {
    "category": "2",
    "text": f"Keine Dateien {NASTY}\nseit heute",
    "contact": f"Erika {NASTY}",
    "email": "erika@amt.example",
}
SUPPORT = {
    "contacts": [
        {"name": "Service Desk", "task": "Störungen", "phone": "030 1", "email": "desk@a.example"},
        {"name": NASTY},
    ],
    "email": "desk@a.example",
}
CONTRACT = {"number": "V-4711", "begin": "2026-10-01"}
MAIL = {"smtp_host": "127.0.0.1", "notif_from": "BundesMessenger <portal@a.example>"}


class SupportCase(PortalTestCase):
    """What the tests of reports have in common.

    Attributes:
        sent: every mail that the mail server was given, with its recipient.
        mail_server_is_there: whether it takes them.
    """

    portal = {"support": SUPPORT, "contract": CONTRACT}
    server: ClassVar[Mapping[str, Any]] = {"email": MAIL}

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.sent: list[tuple[str, EmailMessage]] = []
        self.mail_server_is_there = True

        async def send(
            _reactor: object, _host: str, _port: int, _sender: str, to: str, message: bytes, **_: object
        ) -> None:
            read = message_from_bytes(message, policy=default)
            assert isinstance(read, EmailMessage)
            self.sent.append((to, read))
            if not self.mail_server_is_there:
                raise OSError("connection refused")

        self.hs.get_send_email_handler()._sendmail = send  # type: ignore[assignment]
        self.get_success(
            self.hs.get_datastores().main.user_add_threepid(
                self.boss, "email", REPORT["email"], self.now_ms(), self.now_ms()
            )
        )
        self.go_to("2026-11-23 14:00")
        self.browser.log_in()

    def go_to(self, moment: str) -> None:
        """Lets time pass until a moment of Germany, and logs in anew when the session is over."""
        there = dt.datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
        self.reactor.advance(there - self.reactor.seconds())
        self.pump(0.1)

    def let_mail_out(self, wait_ms: int = LOOK_EVERY_MS) -> None:
        self.reactor.advance(wait_ms / 1000)
        self.pump(0.1)

    def mails(self) -> list[tuple[str, str]]:
        """Recipient and subject of what was sent so far."""
        return [(to, str(message["Subject"])) for to, message in self.sent]

    def report(self, **changes: str) -> str:
        """Reports a fault; returns its number."""
        page = self.browser.submit("tickets/new", {**REPORT, **changes})
        assert self.browser.status == HTTPStatus.OK, page
        return self.tickets()[0]["id"]  # type: ignore[no-any-return]

    def tickets(self) -> list[dict[str, Any]]:
        channel = self.make_request("GET", TICKETS, access_token=self.login("boss", "pass"))
        assert channel.code == HTTPStatus.OK, channel.json_body
        found: list[dict[str, Any]] = channel.json_body["tickets"]
        return found


class ReportTestCase(SupportCase):
    def test_from_the_report_to_the_answer(self) -> None:
        number = self.report()
        page = self.browser.get(f"tickets/{number}")
        assert "noch nicht bestätigt" in page
        assert NASTY not in page
        assert "&lt;script&gt;alert(1)" in page
        self.go_to("2026-11-23 16:00")
        self.browser.log_in()
        question = self.browser.get(f"tickets/{number}/confirm")
        assert "in Kategorie 1 bis 23.11.2026, 18:00 Uhr" in question
        assert "in Kategorie 2 bis 24.11.2026, 11:00 Uhr" in question
        assert NASTY not in question
        assert self.tickets()[0]["due_ts"] is None, "asking changes nothing"
        page = self.browser.submit(f"tickets/{number}/confirm", {"category": "2"})
        assert "Reaktion bis 24.11.2026, 11:00 Uhr" in page
        self.go_to("2026-11-24 11:01")
        self.browser.log_in()
        assert "Die Reaktionszeit ist abgelaufen" in self.browser.get(f"tickets/{number}")
        assert "überfällig" in self.browser.get("tickets")
        page = self.browser.submit(f"tickets/{number}/answer", {"answer": f"Behoben {NASTY}"})
        assert "verspätet beantwortet" in page
        assert NASTY not in page
        assert NASTY not in self.browser.get("tickets")
        ticket = self.tickets()[0]
        assert (ticket["reported_by"], ticket["confirmed_by"], ticket["answered_by"]) == (self.boss,) * 3
        assert ticket["text"] == REPORT["text"]

    def test_each_step_goes_out_by_mail_once_and_is_in_the_audit(self) -> None:
        number = self.report()
        assert "E-Mails zu dieser Meldung sind noch nicht verschickt" in self.browser.get(f"tickets/{number}")
        self.let_mail_out()
        to_both = [("desk@a.example", "Störung gemeldet"), ("erika@amt.example", "Störung gemeldet")]
        assert sorted((to, subject.split(": ")[0].split("] ")[1]) for to, subject in self.mails()) == to_both
        assert "noch nicht verschickt" not in self.browser.get(f"tickets/{number}")
        self.browser.submit(f"tickets/{number}/confirm", {"category": "1"})
        self.browser.submit(f"tickets/{number}/answer", {"answer": "Wir sind dran."})
        for _ in range(3):
            self.let_mail_out()
        assert len(self.mails()) == 6
        text = self.sent[2][1].get_body(("plain",))
        assert text is not None
        assert "Reaktion bis: 23.11.2026, 16:" in text.get_content(), "two hours after the confirmation"
        channel = self.make_request("GET", "/_synapse/client/bum/v1/audit", access_token=self.login("boss", "pass"))
        rows = [row for row in channel.json_body["audit"] if row["action"].startswith("support.")]
        assert [row["action"] for row in rows] == [
            "support.ticket.answered",
            "support.ticket.confirmed",
            "support.ticket.reported",
        ]
        assert {(row["actor"], row["target"]) for row in rows} == {(self.boss, number)}
        assert "Dateien" not in json.dumps(rows)
        assert "Störungsmeldung bestätigt" in self.browser.get("audit")

    def test_a_mail_waits_until_the_mail_server_is_back(self) -> None:
        self.mail_server_is_there = False
        number = self.report(email="")
        self.let_mail_out()
        self.let_mail_out()
        assert len(self.mails()) == 1, "left alone for a while"
        assert "Eine E-Mail zu dieser Meldung ist noch nicht verschickt" in self.browser.get(f"tickets/{number}")
        self.mail_server_is_there = True
        self.let_mail_out(RETRY_MS + LOOK_EVERY_MS)
        self.let_mail_out()
        assert len(self.mails()) == 2
        assert self.tickets()[0]["mails_waiting"] == 0
        self.let_mail_out(RETRY_MS + LOOK_EVERY_MS)
        assert len(self.mails()) == 2

    def test_what_is_missing_is_said_and_nothing_is_reported(self) -> None:
        page = self.browser.submit("tickets/new", {"text": NASTY, "email": "nobody"})
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "Bitte prüfen Sie 3 Angaben" in page
        assert NASTY not in page
        self.browser.submit("tickets/new", {**REPORT, "email": "a<b@c.example"})
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert self.tickets() == []

    def test_a_step_that_somebody_else_was_faster_with_changes_nothing(self) -> None:
        number = self.report()
        answer = self.browser.submit(f"tickets/{number}/answer", {"answer": "zu früh"})
        assert "noch nicht bestätigt. Es wurde nichts geändert." in answer
        token = self.browser.token(self.browser.get(f"tickets/{number}/confirm"))
        self.browser.submit(f"tickets/{number}/confirm", {"category": "1"})
        due = self.tickets()[0]["due_ts"]
        self.reactor.advance(60)
        self.browser.post(f"tickets/{number}/confirm", {"_form": token, "category": "2"})
        assert "schon bestätigt" in self.browser.follow()
        assert self.tickets()[0]["due_ts"] == due
        self.browser.get(f"tickets/{number}/confirm")
        assert self.browser.status == HTTPStatus.SEE_OTHER

    def test_a_report_that_is_not_there_and_an_api_that_is_away(self) -> None:
        self.browser.get("tickets/00000000")
        assert self.browser.status == HTTPStatus.NOT_FOUND
        self.homeserver_api.scripted[f"GET {TICKETS}"] = OSError("away")
        for page in ("support", "tickets", "tickets/new", "tickets/00000000"):
            self.browser.get(page)
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE, page

    def test_who_is_no_administrator_may_not_even_read(self) -> None:
        token = self.login("alice", "pass")
        for method, path in (("GET", TICKETS), ("POST", TICKETS), ("POST", f"{TICKETS}/1/confirm")):
            assert self.make_request(method, path, {}, access_token=token).code == HTTPStatus.FORBIDDEN

    def test_answered_reports_go_when_they_are_old_and_others_stay(self) -> None:
        old, open_one = self.report(), self.report()
        self.browser.submit(f"tickets/{old}/confirm", {"category": "1"})
        self.browser.submit(f"tickets/{old}/answer", {"answer": "Behoben."})
        self.let_mail_out()
        self.reactor.advance(2 * 366 * 86_400)
        self.let_mail_out()
        assert [ticket["id"] for ticket in self.tickets()] == [open_one]

    def test_mail_goes_to_nobody_who_has_no_part_in_it(self) -> None:
        for address in ("victim@other.example", f"{REPORT['email']}.evil.example"):
            page = self.browser.submit("tickets/new", {**REPORT, "email": address})
            assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
            assert "keine E-Mail-Adresse Ihres Kontos" in page
        assert self.tickets() == []
        self.report(email=REPORT["email"].upper())
        self.report(email=str(SUPPORT["email"]))
        self.let_mail_out()
        assert {to.lower() for to, _subject in self.mails()} == {REPORT["email"], SUPPORT["email"]}

    def test_nobody_reports_without_end(self) -> None:
        for number in range(MOST_AN_HOUR):
            self.report(text=str(number))
        page = self.browser.submit("tickets/new", REPORT)
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "Sie haben in kurzer Zeit viele Störungen gemeldet" in page
        assert len(self.tickets()) == MOST_AN_HOUR
        self.go_to("2026-11-23 15:01")
        self.browser.log_in()
        for number in range(MOST_OPEN - MOST_AN_HOUR):
            self.report(text=str(number))
        self.go_to("2026-11-24 15:01")
        self.browser.log_in()
        self.browser.submit("tickets/new", REPORT)
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY, "all of them are open"
        oldest = self.tickets()[-1]["id"]
        self.browser.submit(f"tickets/{oldest}/confirm", {"category": "2"})
        self.browser.submit(f"tickets/{oldest}/answer", {"answer": "Behoben"})
        self.report()


class OverviewTestCase(SupportCase):
    def test_contacts_and_terms(self) -> None:
        page = self.browser.get("support")
        assert "Service Desk" in page
        assert NASTY not in page
        assert 'href="mailto:desk@a.example"' in page
        assert "V-4711" in page
        for day in ("01.10.2026", "31.03.2027", "28.02.2027"):
            assert day in page
        assert "0 Meldungen" in page

    def test_the_configuration_says_that_there_is_a_contract_but_not_which(self) -> None:
        page = self.browser.get("configuration")
        assert self.browser.status == HTTPStatus.OK
        assert "contract.begin" in page
        assert "V-4711" not in page

    def test_whoever_reports_sees_whom_to_call(self) -> None:
        page = self.browser.get("tickets/new")
        assert "Service Desk: 030 1" in page
        assert "nicht per E-Mail" not in page


class NoMailTestCase(SupportCase):
    server: ClassVar[Mapping[str, Any]] = {}

    def test_without_a_mail_server_a_report_is_kept_and_the_pages_say_so(self) -> None:
        assert "nicht per E-Mail verschickt" in self.browser.get("tickets/new")
        number = self.report()
        assert "nicht per E-Mail verschickt" in self.browser.get(f"tickets/{number}")
        self.let_mail_out()
        assert self.mails() == []
        assert self.tickets()[0]["mails_waiting"] == 0


class OperatorsTestCase(SupportCase):
    portal = {"operator_users": ["@somebody.else:test"]}

    def test_others_report_and_read_but_do_not_confirm(self) -> None:
        assert "keine Ansprechpartner eingetragen" in self.browser.get("support")
        number = self.report()
        page = self.browser.get(f"tickets/{number}")
        assert "Betreibern vorbehalten" in page
        assert f"tickets/{number}/confirm" not in page
        self.browser.get(f"tickets/{number}/confirm")
        assert self.browser.status == HTTPStatus.FORBIDDEN
        channel = self.make_request("POST", f"{TICKETS}/{number}/confirm", {}, access_token=self.login("boss", "pass"))
        assert channel.code == HTTPStatus.FORBIDDEN
        assert self.tickets()[0]["confirmed_ts"] is None


class AccessibilityTestCase(PortalTestCase):
    portal = {
        "support": SUPPORT,
        "links": {"imprint": "https://amt.example/impressum?a=1&b=2", "privacy": "https://amt.example/datenschutz"},
    }

    def test_the_statement_and_the_links_are_there_for_everybody(self) -> None:
        page = self.browser.get("accessibility")
        assert self.browser.status == HTTPStatus.OK
        assert "BITV 2.0" in page
        assert "mailto:desk@a.example" in page
        assert "schlichtungsstelle-bgg.de" in page
        assert NASTY not in page
        for foot in (page, self.browser.get("login"), self.browser.log_in()):
            assert 'href="/_synapse/client/bum/portal/accessibility"' in foot
            assert 'href="https://amt.example/impressum?a=1&amp;b=2"' in foot
            assert 'href="https://amt.example/datenschutz"' in foot

    def test_it_needs_no_api(self) -> None:
        self.homeserver_api.scripted["GET "] = HttpAnswer(500, "text/plain", "", b"")
        self.browser.get("accessibility")
        assert self.browser.status == HTTPStatus.OK
