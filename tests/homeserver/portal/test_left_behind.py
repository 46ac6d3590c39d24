"""What a session leaves behind goes: its token, its device, and what was noted of it."""

from http import HTTPStatus
from typing import Any
from unittest.mock import patch

from synapse_bum.homeserver.http_exchange import HttpAnswer, HttpRequest
from synapse_bum.portal.forms.kept_drafts import KEPT_OF_ONE
from synapse_bum.portal.portal_site import PortalSite
from synapse_bum.portal.sessions.cookies import SESSION
from synapse_bum.testing.portal_case import Browser, PortalTestCase

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LOGOUT = "POST /_matrix/client/v3/logout"
FLOWS = b'{"flows": [{"type": "m.login.password"}, {"type": "m.login.sso"}]}'
UNLIMITED = {"per_second": 1e6, "burst_count": 10**6}
PATH = "users/%40alice%3Atest/edit"


class LeftBehindTestCase(PortalTestCase):
    server = {"rc_login": {"address": UNLIMITED, "account": UNLIMITED, "failed_attempts": UNLIMITED}}

    def rows(self, table: str) -> list[Any]:
        pool = self.hs.get_datastores().main.db_pool
        return list(self.get_success(pool.simple_select_list(f"synapse_bum_portal_{table}", None, ("*",))))

    def let_pass(self, seconds: float) -> None:
        """Lets time pass, with everything that is done meanwhile."""
        self.wait(seconds)
        self.pump(0.05)

    def token(self) -> str:
        """The access token that the portal used last."""
        used = [asked.headers.get("Authorization", "") for asked in self.homeserver_api.asked]
        return [value for value in used if value][-1].removeprefix("Bearer ")

    def is_good(self, token: str) -> bool:
        status = self.make_request("GET", "/_matrix/client/v3/account/whoami", access_token=token).code
        assert status in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)
        return status == HTTPStatus.OK

    def devices(self) -> int:
        return len(self.get_success(self.hs.get_datastores().main.get_devices_by_user(self.boss)))


class TokenTestCase(LeftBehindTestCase):
    def test_a_session_that_nobody_uses_any_more_ends_at_the_homeserver_too(self) -> None:
        self.browser.log_in()
        token = self.token()
        self.let_pass(59 * MINUTE)
        self.let_pass(2 * MINUTE)
        assert not self.is_good(token)
        assert (self.devices(), self.rows("grants")) == (0, [])

    def test_one_that_is_used_lives_until_its_last_hour(self) -> None:
        self.browser.log_in()
        token = self.token()
        for _ in range(8 * 3 - 1):
            self.let_pass(20 * MINUTE)
            self.browser.get("users")
            assert self.browser.status == HTTPStatus.OK
        self.let_pass(20 * MINUTE)
        self.let_pass(HOUR)
        assert not self.is_good(token)
        assert (self.devices(), self.rows("grants")) == (0, [])

    def test_a_homeserver_that_is_away_is_asked_again(self) -> None:
        self.browser.log_in()
        token = self.token()
        for broken in (OSError("no route"), HttpAnswer(502, "text/html", "", b"<h1>"), None):
            self.homeserver_api.scripted[LOGOUT] = broken
            self.let_pass(HOUR)
            self.let_pass(11)
            assert len(self.rows("grants")) == 1
        del self.homeserver_api.scripted[LOGOUT]
        assert self.is_good(token)
        self.let_pass(HOUR)
        assert not self.is_good(token)
        assert self.rows("grants") == []

    def test_one_that_can_not_be_ended_keeps_no_other_from_it_and_is_given_up_after_a_week(self) -> None:
        self.browser.log_in()
        stubborn = self.token()
        Browser(self).log_in()
        tokens = {stubborn, self.token()}

        def answer(request: HttpRequest) -> HttpAnswer:
            if request.headers["Authorization"] == f"Bearer {stubborn}":
                return HttpAnswer(500, "application/json", "", b"{}")
            ended.append(request.headers["Authorization"].removeprefix("Bearer "))
            return HttpAnswer(200, "application/json", "", b"{}")

        ended: list[str] = []
        self.homeserver_api.scripted[LOGOUT] = answer
        self.let_pass(HOUR)
        self.let_pass(HOUR)
        assert set(ended) == tokens - {stubborn}
        assert len(self.rows("grants")) == 1
        self.let_pass(6 * DAY)
        assert len(self.rows("grants")) == 1
        self.let_pass(DAY)
        assert self.rows("grants") == []

    def test_without_its_key_a_token_waits_for_the_key(self) -> None:
        self.browser.log_in()
        token = self.token()
        pool = self.hs.get_datastores().main.db_pool
        genuine = self.rows("grants")[0][1]
        table = "synapse_bum_portal_grants"
        self.get_success(pool.simple_update(table, {}, {"sealed": "of another key"}, desc="test"))
        self.let_pass(HOUR)
        self.get_success(pool.simple_update(table, {}, {"sealed": genuine}, desc="test"))
        assert self.is_good(token)
        self.let_pass(HOUR)
        assert not self.is_good(token)

    def test_a_token_that_the_homeserver_knows_no_more_is_ended(self) -> None:
        self.browser.log_in()
        self.get_success(self.hs.get_auth_handler().delete_access_tokens_for_user(self.boss))
        self.let_pass(HOUR)
        assert self.rows("grants") == []

    def test_after_a_logout_that_the_homeserver_missed_the_token_ends_later(self) -> None:
        start = self.browser.log_in()
        token = self.token()
        self.homeserver_api.scripted[LOGOUT] = OSError("no route")
        self.browser.post("logout", {"_form": self.browser.token(start)})
        del self.homeserver_api.scripted[LOGOUT]
        assert self.is_good(token)
        self.let_pass(HOUR)
        assert not self.is_good(token)
        assert (self.devices(), self.rows("grants")) == (0, [])

    def test_a_login_that_can_not_be_noted_is_ended_at_once(self) -> None:
        sent: list[str] = []
        answer = HttpAnswer(200, "application/json", "", b"{}")

        def log_out(request: HttpRequest) -> HttpAnswer:
            sent.append(request.headers["Authorization"])
            return answer

        self.homeserver_api.scripted[LOGOUT] = log_out
        with (
            patch("synapse_bum.portal.sessions.session_tokens._change", side_effect=OSError),
            self.assertLogs(level="ERROR"),
        ):
            self.browser.log_in()
        assert self.browser.status == HTTPStatus.INTERNAL_SERVER_ERROR
        assert SESSION not in self.browser.cookies
        assert len(sent) == 1

    def test_no_token_is_in_the_browser_or_in_the_table_in_the_clear(self) -> None:
        self.browser.log_in()
        token = self.token()
        (row,) = self.rows("grants")
        assert token not in str(row)
        (site,) = [found for path, found in self.hs._module_web_resources.items() if path.endswith("/portal")]
        assert isinstance(site, PortalSite)
        sealer = self.get_success(site._keeper.sealer())
        opened = sealer.open("session", self.browser.cookies[SESSION], self.now_ms(), 10**9)
        assert opened is not None
        assert token not in str(opened)


class RowsTestCase(LeftBehindTestCase):
    def late_forms(self, count: int = 1) -> list[str]:
        """Sends forms when their sessions are over; returns the sealed drafts in the login pages."""
        windows = [Browser(self) for _ in range(count)]
        for window in windows:
            window.log_in()
        tokens = [window.token(window.get(PATH)) for window in windows]
        self.wait(31 * MINUTE)
        self.homeserver_api.scripted["GET /_matrix/client/v3/login"] = HttpAnswer(200, "application/json", "", FLOWS)
        pages = [
            window.post(PATH, {"_form": token, "display_name": "typed for long"})
            for window, token in zip(windows, tokens, strict=True)
        ]
        drafts = list(map(self.draft_in, pages))
        assert all(drafts)
        return drafts

    def draft_in(self, page: str) -> str:
        return page.partition('name="draft" value="')[2].partition('"')[0]

    def test_what_was_noted_is_forgotten(self) -> None:
        self.late_forms()
        start = self.browser.log_in()
        self.browser.submit(PATH, {"display_name": "Alice", "addresses": ""})
        self.browser.post("logout", {"_form": self.browser.token(start)})
        tables = ("drafts", "sent_forms", "ended_sessions")
        assert [bool(self.rows(table)) for table in tables] == [True, True, True]
        self.let_pass(10 * HOUR)
        assert [self.rows(table) for table in tables] == [[], [], []]

    def test_a_draft_has_one_row_however_often_a_login_page_is_shown_with_it(self) -> None:
        (draft,) = self.late_forms()
        for _ in range(5):
            draft = self.draft_in(Browser(self).post("login", {"draft": draft, "name": "x", "password": ""}))
            assert draft
        assert len(self.rows("drafts")) == 1

    def test_another_site_leaves_no_draft(self) -> None:
        (draft,) = self.late_forms()
        pool = self.hs.get_datastores().main.db_pool
        self.get_success(pool.simple_delete("synapse_bum_portal_drafts", {"user_id": self.boss}, desc="test"))
        for headers in ((), [("Origin", "https://evil.example")]):
            Browser(self).post("login", {"draft": draft, "name": "x", "password": "y"}, headers=headers)
        assert self.rows("drafts") == []
        Browser(self).post("login", {"draft": draft, "name": "x", "password": ""})
        assert len(self.rows("drafts")) == 1

    def test_of_one_user_only_the_newest_drafts_are_kept(self) -> None:
        drafts = self.late_forms(KEPT_OF_ONE + 2)
        assert len(set(drafts)) == KEPT_OF_ONE + 2
        assert len(self.rows("drafts")) == KEPT_OF_ONE
