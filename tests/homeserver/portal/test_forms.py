"""Forms: only ours, only once, and nothing typed is lost."""

from collections.abc import Mapping
from http import HTTPStatus
from unittest.mock import patch

from twisted.internet.defer import Deferred

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.forms.form import Field, Form, Kind
from synapse_bum.portal.language.texts import load
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit
from synapse_bum.testing.portal_case import Browser, PortalTestCase

FORM = Form("confirm", (Field("reason", Kind.LONG_TEXT, required=True, max_length=100, hint=True), Field("typed")))
NOTES = "/_synapse/client/bum/v1/example/notes"
XSS = '"><script>alert(1)</script>'

SENT: list[tuple[str, Mapping[str, str]]] = []


async def show_note(visit: Visit) -> Reply:
    return visit.show("form.html", form=visit.blank(FORM), paragraphs=(), button="Senden", back=None)


async def send_note(visit: Visit) -> Reply:
    filled = FORM.read(visit.form)
    if filled.complaints:
        return visit.show("form.html", form=filled, paragraphs=(), button="Senden", back=None)
    await visit.server.post(NOTES, dict(filled.values))
    SENT.append((visit.me, filled.values))
    return visit.go(visit.url("users", {"q": "a"}), "users.title")


async def describe_room(visit: Visit) -> Question:
    return Question({"room": visit.path["room_id"]}, visit.url("users"), facts=(XSS,), typed=visit.path["room_id"])


async def carry_out(visit: Visit, reason: str) -> Reply:
    SENT.append((visit.me, {"reason": reason}))
    return visit.go(visit.url("users"))


PAGES = (
    Page("notes", area=Area.APPLICATION, title="users.title", show=show_note, submit=send_note, menu=1),
    Page("secret", area=Area.APPLICATION, title="users.title", show=show_note, submit=send_note, operators=True),
)


class NotesTestCase(PortalTestCase):
    """With pages that exist for the tests only."""

    more_pages = PAGES

    def setUp(self) -> None:
        super().setUp()
        SENT.clear()
        self.homeserver_api.scripted[f"POST {NOTES}"] = HttpAnswer(200, "application/json", "", b"{}")
        self.browser.log_in()


class FormTestCase(NotesTestCase):
    def test_a_form_is_carried_out_and_the_next_page_says_so_once(self) -> None:
        page = self.browser.submit("notes", {"reason": "  because\r\nof it "})
        assert [(self.boss, {"reason": "because\nof it", "typed": ""})] == SENT
        assert '<div class="notice success" role="status"><p>Nutzer</p></div>' in page
        assert 'class="notice' not in self.browser.get("users")

    def test_complaints_stand_at_the_fields_and_what_was_typed_stays(self) -> None:
        page = self.browser.submit("notes", {"reason": "", "typed": XSS})
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "<title>Fehler: Nutzer" in page
        assert 'aria-describedby="reason-hint reason-complaint" aria-invalid="true"' in page
        assert '<a href="#reason">Begründung: Bitte füllen Sie dieses Feld aus.</a>' in page
        assert 'value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in page
        assert "<script" not in page
        assert SENT == []
        assert "höchstens 100 Zeichen" in self.browser.submit("notes", {"reason": "x" * 101})

    def test_a_form_without_or_with_a_foreign_token_is_refused(self) -> None:
        other = Browser(self)
        other.log_in()
        foreign = other.token(other.get("notes"))
        genuine = self.browser.token(self.browser.get("notes"))
        for token in ("", "x", foreign, f"x{genuine}", genuine[:-1], genuine.partition(".")[0], "." + genuine):
            self.browser.post("notes", {"_form": token, "reason": "x"})
            assert self.browser.status == HTTPStatus.FORBIDDEN, token
        for headers in ((), [("Origin", "https://evil.example")], [("Origin", "null")], [("Sec-Fetch-Site", "none")]):
            self.browser.post("notes", {"_form": genuine, "reason": "x"}, headers=headers)
            assert self.browser.status == HTTPStatus.FORBIDDEN, headers
        assert SENT == []

    def test_a_form_is_carried_out_once_however_often_it_comes(self) -> None:
        fields = {"_form": self.browser.token(self.browser.get("notes")), "reason": "x"}
        for _ in range(3):
            self.browser.post("notes", fields)
            assert self.browser.location.endswith("/users?q=a")
        assert "nur einmal ausgeführt" in self.browser.follow()
        assert len(SENT) == 1

    def test_a_second_click_waits_for_the_first(self) -> None:
        fields = {"_form": self.browser.token(self.browser.get("notes")), "reason": "x"}
        waiting: Deferred[None] = Deferred()

        async def slow(visit: Visit) -> Reply:
            del visit
            await waiting
            return Reply.to("/first", done=True)

        object.__setattr__(PAGES[0], "submit", slow)
        self.addCleanup(object.__setattr__, PAGES[0], "submit", send_note)
        first, second = Browser(self, cookies=dict(self.browser.cookies)), self.browser
        first.begin_post("notes", fields)
        second.begin_post("notes", fields)
        self.pump(0.1)
        assert not first.channel.is_finished()
        assert not second.channel.is_finished()
        waiting.callback(None)
        self.pump(0.2)
        assert first.location == second.location == "/first"

    def test_after_a_failure_the_same_form_may_come_again(self) -> None:
        fields = {"_form": self.browser.token(self.browser.get("notes")), "reason": "x"}
        working = self.homeserver_api.scripted.pop(f"POST {NOTES}")
        self.homeserver_api.scripted[f"POST {NOTES}"] = OSError("no route")
        page = self.browser.post("notes", fields)
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "nicht bekannt, ob Ihre Änderung" in page
        self.homeserver_api.scripted[f"POST {NOTES}"] = working
        self.browser.post("notes", fields)
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert len(SENT) == 1


class DraftTestCase(NotesTestCase):
    def expire(self) -> str:
        """Sends a form after the session has ended; returns the login page."""
        token = self.browser.token(self.browser.get("notes"))
        self.wait(31 * 60)
        page = self.browser.post("notes", {"_form": token, "reason": "typed for long", "my_password": "hunter2"})
        assert self.browser.status == HTTPStatus.UNAUTHORIZED
        assert SENT == []
        return page

    def draft_of(self, page: str) -> str:
        return page.partition('name="draft" value="')[2].partition('"')[0]

    def test_what_was_typed_is_there_after_the_login_but_not_sent(self) -> None:
        page = self.expire()
        assert "Ihre Eingaben sind nicht verloren." in page
        assert "typed for long" not in page
        fields = {"name": "boss", "password": "pass", "draft": self.draft_of(page)}
        page = self.browser.post("login", fields)
        assert self.browser.status == HTTPStatus.OK
        assert "typed for long" in page
        assert 'action="/_synapse/client/bum/portal/notes"' in page
        assert "hunter2" not in page
        assert SENT == []
        self.browser.post("notes", {"_form": self.browser.token(page), "reason": "typed for long"})
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert len(SENT) == 1

    def test_nobody_else_sees_what_was_typed(self) -> None:
        self.register_user("carol", "pass", admin=True)
        fields = {"name": "carol", "password": "pass", "draft": self.draft_of(self.expire())}
        page = self.browser.post("login", fields)
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert "typed for long" not in page + self.browser.follow()

    def test_a_token_that_is_revoked_in_the_middle_loses_nothing_either(self) -> None:
        token = self.browser.token(self.browser.get("notes"))
        gone = HttpAnswer(401, "application/json", "", b'{"errcode": "M_UNKNOWN_TOKEN", "error": ""}')
        self.homeserver_api.scripted[f"POST {NOTES}"] = gone
        page = self.browser.post("notes", {"_form": token, "reason": "typed for long"})
        assert self.browser.status == HTTPStatus.UNAUTHORIZED
        page = self.browser.post("login", {"name": "boss", "password": "pass", "draft": self.draft_of(page)})
        assert "typed for long" in page


class ConfirmationTestCase(PortalTestCase):
    more_pages = (
        confirmation(
            "rooms/{room_id}/example",
            texts="example",
            area=Area.APPLICATION,
            describe=describe_room,
            carry_out=carry_out,
            reason=True,
        ),
    )
    PATH = "rooms/%21a%3Atest/example"

    def setUp(self) -> None:
        texts = {
            "example.title": "{room} wirklich?",
            "example.explain": ["Alles geht verloren."],
            "example.button": "Ja",
        }
        with patch("synapse_bum.portal.frame.load", lambda language: {**load(language), **texts}):
            super().setUp()
        SENT.clear()
        self.browser.log_in()

    def test_the_page_says_what_will_happen_and_changes_nothing(self) -> None:
        page = self.browser.get(self.PATH)
        assert "<h1>!a:test wirklich?</h1>" in page
        assert "Alles geht verloren." in page
        assert "<code>!a:test</code>" in page
        assert "<script" not in page
        assert 'href="/_synapse/client/bum/portal/users">Abbrechen' in page
        assert SENT == []

    def test_it_happens_only_with_reason_and_the_right_text(self) -> None:
        for fields in ({}, {"reason": "x"}, {"typed": "!a:test"}, {"reason": "x", "typed": "!A:test"}):
            self.browser.submit(self.PATH, fields)
            assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY, fields
        assert SENT == []
        self.browser.submit(self.PATH, {"reason": "x", "typed": "!a:test"})
        assert self.browser.status == HTTPStatus.OK
        assert [(self.boss, {"reason": "x"})] == SENT


class OperatorTestCase(NotesTestCase):
    portal = {"operator_users": ["@carol:test"]}

    def test_pages_of_operators_are_refused_kindly(self) -> None:
        page = self.browser.get("secret")
        assert self.browser.status == HTTPStatus.FORBIDDEN
        assert "Den Betreibern vorbehalten" in page
        token = self.browser.token(page)
        self.browser.post("secret", {"_form": token, "reason": "x"})
        assert self.browser.status == HTTPStatus.FORBIDDEN
        assert SENT == []
