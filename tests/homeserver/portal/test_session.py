"""Who gets in, for how long, and that nobody else does."""

from http import HTTPStatus
from unittest.mock import patch

from synapse.types import UserID

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.addresses import PORTAL
from synapse_bum.portal.sessions.cookies import SESSION
from synapse_bum.testing.portal_case import HOST, Browser, PortalTestCase

MINUTE = 60.0


def json_answer(status: int, body: bytes) -> HttpAnswer:
    return HttpAnswer(status, "application/json", "", body)


class LoginTestCase(PortalTestCase):
    def test_without_a_session_every_page_is_the_login(self) -> None:
        for path in ("", "users", "users?q=a"):
            page = self.browser.get(path)
            assert self.browser.status == HTTPStatus.UNAUTHORIZED, path
            assert 'name="password"' in page
            assert "@boss:test" not in page

    def test_an_administrator_gets_to_the_page_that_he_wanted(self) -> None:
        page = self.browser.get("users?q=boss")
        draft = page.partition('name="draft" value="')[2].partition('"')[0]
        self.browser.post("login", {"name": "boss", "password": "pass", "draft": draft})
        assert (self.browser.status, self.browser.location) == (HTTPStatus.SEE_OTHER, f"{PORTAL}/users?q=boss")
        assert "@boss:test" in self.browser.follow()

    def test_the_cookie_is_for_the_portal_and_for_no_script(self) -> None:
        self.browser.post("login", {"name": "boss", "password": "pass"})
        line = self.browser.header("Set-Cookie")
        assert line.startswith("__Host-")
        assert line.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
        assert len(line) < 4096

    def test_the_session_is_a_device_that_is_called_like_the_portal(self) -> None:
        self.browser.log_in()
        (device,) = self.get_success(self.hs.get_datastores().main.get_devices_by_user(self.boss)).values()
        assert device["display_name"] == "Verwaltungsportal"

    def test_a_wrong_password_is_a_sentence_and_the_name_stays(self) -> None:
        page = self.browser.log_in(password="wrong")
        assert self.browser.status == HTTPStatus.FORBIDDEN
        assert "Die Anmeldung ist nicht gelungen." in page
        assert 'value="boss"' in page
        assert "wrong" not in page
        assert self.browser.cookies == {}

    def test_who_is_no_administrator_is_refused_kindly_and_logged_out_again(self) -> None:
        page = self.browser.log_in("alice")
        assert self.browser.status == HTTPStatus.FORBIDDEN
        assert "keine Rechte zur Administration" in page
        assert self.browser.cookies == {}
        assert self.get_success(self.hs.get_datastores().main.get_devices_by_user(self.alice)) == {}

    def test_a_login_from_another_site_is_refused(self) -> None:
        for headers in (
            (),
            [("Origin", "https://evil.example")],
            [("Origin", "null")],
            [("Origin", f"http://{HOST}")],
            [("Sec-Fetch-Site", "cross-site"), ("Origin", f"https://{HOST}")],
            [("Sec-Fetch-Site", "same-site")],
        ):
            self.browser.post("login", {"name": "boss", "password": "pass"}, headers=headers)
            assert self.browser.status == HTTPStatus.FORBIDDEN, headers
            assert self.browser.cookies == {}

    def test_too_many_attempts_say_how_long_to_wait(self) -> None:
        limited = json_answer(429, b'{"errcode": "M_LIMIT_EXCEEDED", "error": "x", "retry_after_ms": 4200}')
        self.homeserver_api.scripted["POST /_matrix/client/v3/login"] = limited
        assert "Bitte warten Sie 5 Sekunden." in self.browser.log_in()
        assert self.browser.status == HTTPStatus.TOO_MANY_REQUESTS

    def test_the_homeserver_counts_attempts_by_the_browsers_address(self) -> None:
        self.browser.log_in()
        (login,) = [asked for asked in self.homeserver_api.asked if asked.method == "POST"]
        assert login.headers["X-Forwarded-For"] == "127.0.0.1"

    def test_a_homeserver_that_is_away_is_a_sentence(self) -> None:
        for scripted in (OSError("no route"), json_answer(502, b"<html>"), None):
            self.homeserver_api.scripted["POST /_matrix/client/v3/login"] = scripted
            page = self.browser.log_in()
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
            assert "antwortet gerade nicht" in page

    def test_single_sign_on_is_offered_where_the_server_has_it(self) -> None:
        assert "Anmeldedienst" not in self.browser.get("login")
        flows = b'{"flows": [{"type": "m.login.sso", "identity_providers": [{"id": "oidc-kc", "name": "Amt"}]}]}'
        self.homeserver_api.scripted["GET /_matrix/client/v3/login"] = json_answer(200, flows)
        page = self.browser.get("login")
        assert "Weiter mit Amt" in page
        assert 'name="password"' not in page


class SessionTestCase(PortalTestCase):
    def alive(self, browser: Browser | None = None) -> bool:
        (browser or self.browser).get("users")
        return (browser or self.browser).status == HTTPStatus.OK

    def test_it_ends_when_nobody_uses_it(self) -> None:
        self.browser.log_in()
        for _ in range(5):
            self.wait(25 * MINUTE)
            assert self.alive()
        self.wait(31 * MINUTE)
        page = self.browser.get("users")
        assert self.browser.status == HTTPStatus.UNAUTHORIZED
        assert "Ihre Sitzung ist abgelaufen." in page

    def test_it_ends_in_any_case(self) -> None:
        self.browser.log_in()
        for _ in range(8 * 3 - 1):
            self.wait(20 * MINUTE)
            assert self.alive()
        self.wait(20 * MINUTE)
        assert not self.alive()

    def test_a_page_that_loads_itself_keeps_nothing_alive(self) -> None:
        self.browser.log_in()
        for _ in range(2):
            self.wait(14 * MINUTE)
            self.browser.get("users?auto=1")
            assert self.browser.status == HTTPStatus.OK
        self.wait(3 * MINUTE)
        assert not self.alive()

    def test_a_session_that_ran_out_leaves_no_device_behind_when_its_browser_logs_in_again(self) -> None:
        self.browser.log_in()
        self.wait(31 * MINUTE)
        self.browser.log_in()
        assert self.browser.status == HTTPStatus.OK
        assert len(self.get_success(self.hs.get_datastores().main.get_devices_by_user(self.boss))) == 1

    def test_after_logout_neither_cookie_nor_token_opens_anything(self) -> None:
        start = self.browser.log_in()
        thief = Browser(self, cookies=dict(self.browser.cookies))
        assert self.alive(thief)
        token = self.homeserver_api.asked[-1].headers["Authorization"].removeprefix("Bearer ")
        self.browser.post("logout", {"_form": self.browser.token(start)})
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert SESSION not in self.browser.cookies
        assert "Sie sind abgemeldet." in self.browser.follow()
        assert not self.alive(thief)
        assert self.make_request("GET", "/_matrix/client/v3/account/whoami", access_token=token).code == 401

    def test_a_cookie_is_dead_after_logout_even_if_the_homeserver_was_away(self) -> None:
        start = self.browser.log_in()
        thief = Browser(self, cookies=dict(self.browser.cookies))
        self.homeserver_api.scripted["POST /_matrix/client/v3/logout"] = OSError("no route")
        self.browser.post("logout", {"_form": self.browser.token(start)})
        assert not self.alive(thief)

    def test_nobody_is_logged_out_by_another_site(self) -> None:
        start = self.browser.log_in()
        self.browser.post("logout", {})
        assert self.browser.status == HTTPStatus.FORBIDDEN
        token = {"_form": self.browser.token(start)}
        self.browser.post("logout", token, headers=[("Origin", "https://evil.example")])
        assert self.browser.status == HTTPStatus.FORBIDDEN
        assert self.alive()

    def test_forged_cookies_open_nothing(self) -> None:
        self.browser.log_in()
        genuine = self.browser.cookies[SESSION]
        middle = len(genuine) // 2
        flipped = "A" if genuine[middle] != "A" else "B"
        for forged in ("", "x", genuine[:-1], genuine[:middle] + flipped + genuine[middle + 1 :]):
            assert not self.alive(Browser(self, cookies={SESSION: forged})), forged

    def test_a_record_for_something_else_is_no_session(self) -> None:
        page = self.browser.get("users")
        draft = page.partition('name="draft" value="')[2].partition('"')[0]
        assert not self.alive(Browser(self, cookies={SESSION: draft}))

    def test_a_revoked_token_ends_the_session(self) -> None:
        self.browser.log_in()
        self.get_success(self.hs.get_auth_handler().delete_access_tokens_for_user(self.boss))
        page = self.browser.get("users")
        assert self.browser.status == HTTPStatus.UNAUTHORIZED
        assert "Ihre Sitzung ist abgelaufen." in page
        assert SESSION not in self.browser.cookies

    def test_who_loses_the_right_is_refused_kindly(self) -> None:
        self.browser.log_in()
        thief = Browser(self, cookies=dict(self.browser.cookies))
        self.get_success(self.hs.get_datastores().main.set_server_admin(UserID.from_string(self.boss), admin=False))
        page = self.browser.get("users")
        assert self.browser.status == HTTPStatus.FORBIDDEN
        assert "keine Rechte zur Administration" in page
        assert not self.alive(thief)

    def test_no_database_means_no_entry(self) -> None:
        self.browser.log_in()
        with (
            patch("synapse_bum.portal.sessions.records.Records.is_ended", side_effect=OSError),
            self.assertLogs(level="ERROR"),
        ):
            page = self.browser.get("users")
        assert self.browser.status == HTTPStatus.INTERNAL_SERVER_ERROR
        assert "@alice:test" not in page


class LimitsTestCase(PortalTestCase):
    portal = {"session_lifetime": "5m", "session_absolute": "10m"}

    def test_both_limits_can_be_set(self) -> None:
        self.browser.log_in()
        self.wait(6 * MINUTE)
        self.browser.get("users")
        assert self.browser.status == HTTPStatus.UNAUTHORIZED
