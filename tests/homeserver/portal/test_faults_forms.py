"""Every page that takes a form: only ours, only once, never by a link, and nothing typed is lost."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import pytest

from synapse_bum.portal.page import Page
from synapse_bum.portal.sessions.cookies import SESSION
from synapse_bum.testing.portal_case import Browser
from synapse_bum.testing.portal_tour import CHANGES_NOTHING, PortalTourCase, answer, fields, place

pytestmark = pytest.mark.any_synapse


MINUTE: Final = 60.0
NOT_FOUND: Final = answer({"errcode": "M_NOT_FOUND", "error": "There is no such object"}, 404)
REVOKED: Final = answer({"errcode": "M_UNKNOWN_TOKEN", "error": "Access token has been revoked"}, 401)
NO_ADMIN: Final = answer({"errcode": "M_FORBIDDEN", "error": "You are not a server admin"}, 403)
KEEPS_ITS_OWN: Final = {"users/import/run"}
"""What it is sent is a preview, which is read and shown as a table."""
ONLY_PASSWORDS: Final = {"users/import/passwords", "users/import/results"}
"""There is nothing in their forms that may be kept."""


class FormsCase(PortalTourCase):
    """Goes through the pages that take a form."""

    def prepare(self, *reactor_clock_and_homeserver: object) -> None:
        super().prepare(*reactor_clock_and_homeserver)
        self.forms = [page for page in self.pages if page.submit is not None]

    def changes(self) -> list[str]:
        """What was changed since this was asked last."""
        found = [f"{request.method} {request.url}" for request in self.sample.changes]
        self.sample.changes.clear()
        return found

    def send(self, page: Page, token: str | None, more: Mapping[str, str] | None = None) -> str:
        given = {} if token is None else {"_form": token}
        return self.browser.post(place(page), {**given, **fields(page), **(more or {})})


class ForgeryTestCase(FormsCase):
    def test_without_a_token_of_this_session_nothing_is_even_asked(self) -> None:
        other = Browser(self)
        self.homeserver_api.scripted.clear()
        other.log_in()
        foreign = other.token(other.get("users/import"))
        old = self.form_token()
        self.browser.post("logout", {"_form": self.form_token()})
        self.begin()
        genuine = self.form_token()
        wrong = (None, "", foreign, old, genuine[:-1], f"x{genuine}", genuine.partition(".")[0], genuine * 2, "é.\0")
        for page in self.forms:
            for token in wrong:
                self.sample.asked.clear()
                self.send(page, token)
                assert self.browser.status == HTTPStatus.FORBIDDEN, (page.path, token)
                assert self.sample.asked == [], (page.path, token)

    def test_a_genuine_token_from_another_site_changes_nothing(self) -> None:
        for page in self.forms:
            for headers in (
                [("Origin", "https://evil.example")],
                [("Origin", "https://admin.example.evil.example")],
                [("Origin", "null")],
                [("Sec-Fetch-Site", "cross-site")],
                [],
            ):
                token = self.form_token()
                self.sample.asked.clear()
                self.browser.post(place(page), {"_form": token, **fields(page)}, headers=headers)
                assert self.browser.status == HTTPStatus.FORBIDDEN, (page.path, headers)
                assert self.sample.asked == [], page.path

    def test_looking_changes_nothing(self) -> None:
        """Neither opening a page nor an address with everything in it that a form would hold."""
        for page in self.pages:
            self.browser.get(place(page))
            if page.submit is not None:
                query = "&".join(f"{name}={value}" for name, value in {**fields(page), "_form": "x"}.items())
                address = place(page)
                self.browser.get(
                    f"{address}{'&' if '?' in address else '?'}{query}".replace("\n", "%0A").replace(" ", "+")
                )
            assert self.changes() == [], page.path

    def test_pages_that_take_no_form_take_none(self) -> None:
        token = self.form_token()
        for page in self.pages:
            if page.submit is None:
                self.browser.post(place(page), {"_form": token})
                assert self.browser.status == HTTPStatus.METHOD_NOT_ALLOWED, page.path


class TwiceTestCase(FormsCase):
    def test_two_clicks_and_the_way_back_carry_out_once(self) -> None:
        for page in self.forms:
            token = self.form_token()
            self.send(page, token)
            assert self.browser.status in (HTTPStatus.OK, HTTPStatus.SEE_OTHER), page.path
            assert bool(self.changes()) is (page.path not in CHANGES_NOTHING), page.path
            for _ in range(2):
                self.send(page, token)
                assert self.changes() == [], page.path

    def test_the_page_of_a_step_whose_object_is_gone_says_so(self) -> None:
        """Back in the browser after a deletion, or an old bookmark."""
        for page in self.forms:
            if "{" not in page.path or page.path == "signatures/{signature}/release":
                continue
            self.sample.alter = lambda _key, _found: NOT_FOUND
            self.browser.get(place(page))
            shown = self.browser.status
            self.send(page, self.form_token())
            assert self.changes() == [] or page.path in DIRECT, page.path
            for status in (shown, self.browser.status):
                assert status in (HTTPStatus.OK, HTTPStatus.SEE_OTHER, HTTPStatus.NOT_FOUND), page.path


DIRECT: Final = {
    "held/{server_name}/{media_id}/release",
    "rooms/{room_id}/delete",
    "tickets/{ticket_id}/answer",
    "tickets/{ticket_id}/confirm",
}
"""Steps for which the API itself says that there is nothing: it is asked to do them, and refuses."""


class EndOfSessionTestCase(FormsCase):
    def expect_input_kept(self, page: Page, body: str) -> None:
        """Logs in on the page that came in place of the answer: the form is there again, and was not sent."""
        assert self.browser.status == HTTPStatus.UNAUTHORIZED, page.path
        assert "Ihre Eingaben sind nicht verloren." in body, page.path
        assert self.changes() == [], page.path
        draft = body.partition('name="draft" value="')[2].partition('"')[0]
        self.homeserver_api.scripted.clear()
        self.homeserver_api.scripted["GET /_synapse/"] = self.sample
        again = self.browser.post("login", {"name": "boss", "password": "pass", "draft": draft})
        assert self.browser.status == HTTPStatus.OK, (page.path, self.browser.status)
        assert 'name="_form"' in again, page.path
        assert "hunter2" not in again, page.path
        assert self.changes() == [], page.path
        for name, value in fields(page).items():
            if "password" not in name and page.path not in KEEPS_ITS_OWN:
                assert f'value="{value}"' in again or value in again, (page.path, name)

    def test_input_stays_when_nobody_sent_anything_for_too_long(self) -> None:
        for page in self.forms:
            token = self.form_token()
            self.wait(31 * MINUTE)
            self.sample.changes.clear()
            body = self.send(page, token, {"new_password": "hunter2", "new_password_again": "hunter2"})
            if page.path not in ONLY_PASSWORDS:
                self.expect_input_kept(page, body)
            self.begin()

    def test_input_stays_when_the_token_was_revoked(self) -> None:
        for page in self.forms:
            if page.path in CHANGES_NOTHING:
                continue
            token = self.form_token()
            self.sample.alter = lambda key, found: REVOKED if _is_change(key) else found
            self.sample.changes.clear()
            body = self.send(page, token, {"new_password": "hunter2", "new_password_again": "hunter2"})
            self.sample.changes.clear()
            self.sample.alter = lambda _key, found: found
            if page.path != "users/import/run":
                self.expect_input_kept(page, body)
            self.begin()

    def test_who_loses_the_right_in_a_form_is_out(self) -> None:
        for page in self.forms:
            if page.path in CHANGES_NOTHING:
                continue
            token = self.form_token()
            self.sample.alter = lambda _key, _found: NO_ADMIN
            body = self.send(page, token)
            assert self.browser.status == HTTPStatus.FORBIDDEN, page.path
            assert "keine Rechte zur Administration" in body, page.path
            assert SESSION not in self.browser.cookies, page.path
            self.begin()


def _is_change(key: str) -> bool:
    return not key.startswith("GET")
