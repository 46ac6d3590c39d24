"""Login where a Matrix Authentication Service has the accounts: who began it gets in, and stays in while it may."""

import tempfile
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.addresses import PORTAL
from synapse_bum.portal.forms.form import Field, Form, Kind
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.sessions.cookies import OIDC_ATTEMPT, SESSION
from synapse_bum.portal.visit import Visit
from synapse_bum.testing.fake_mas import CLIENT_ID, ISSUER, METADATA, METADATA_PATH, SECRET, FakeMas
from synapse_bum.testing.portal_case import HOST, Browser, PortalTestCase

SECRET_FILE = Path(tempfile.mkdtemp()) / "secret"
SECRET_FILE.write_text(f"{SECRET}\n", encoding="utf-8")
KEY_FILE = SECRET_FILE.with_name("keys")
KEY_FILE.write_bytes(Fernet.generate_key())
MINUTE = 60.0
ENDPOINT = "POST https://mas.example/oauth2/"
FORM = Form("confirm", (Field("reason", Kind.LONG_TEXT, required=True, hint=True),))


async def show_note(visit: Visit) -> Reply:
    return visit.show("form.html", form=visit.blank(FORM), paragraphs=(), button="Senden", back=None)


class OidcTestCase(PortalTestCase):
    portal = {
        "mas": {"client_id": CLIENT_ID, "client_secret_path": str(SECRET_FILE)},
        "session_key_path": str(KEY_FILE),
    }
    more_pages = (Page("notes", area=Area.APPLICATION, title="users.title", show=show_note, submit=show_note),)

    def setUp(self) -> None:
        super().setUp()
        tokens = [self.login("boss", "pass") for _ in range(4)]
        self.mas = FakeMas(tokens * 3, self.now_ms)
        self.mas.script(self.homeserver_api.scripted)

    def begin(self, path: str = "oidc") -> tuple[str, dict[str, str]]:
        """Follows the link and agrees; returns the code and what the service was asked."""
        self.browser.get(path)
        assert self.browser.status == HTTPStatus.SEE_OTHER
        self.authorization = self.browser.location
        return self.mas.authorize(self.authorization)

    def come_back(self, given: Mapping[str, str], **answer: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in {"state": given["state"], **answer}.items())
        return self.browser.get(f"oidc/return?{query}")

    def log_in(self, **answer: str) -> str:
        code, given = self.begin()
        return self.come_back(given, code=code, **answer)

    def is_refused(self) -> bool:
        return self.browser.status == HTTPStatus.FORBIDDEN and SESSION not in self.browser.cookies


class LoginTestCase(OidcTestCase):
    def test_the_login_page_leads_to_the_service_and_asks_for_no_password(self) -> None:
        page = self.browser.get("users")
        assert self.browser.status == HTTPStatus.UNAUTHORIZED
        assert f'href="{PORTAL}/oidc?next=' in page
        assert 'type="password"' not in page
        self.browser.post("login", {"name": "boss", "password": "pass"})
        assert self.browser.status == HTTPStatus.NOT_FOUND

    def test_the_service_is_asked_for_what_an_administrator_needs(self) -> None:
        _code, given = self.begin()
        assert given["redirect_uri"] == f"https://{HOST}{PORTAL}/oidc/return"
        openid, api, device, admin = given["scope"].split()
        assert (openid, api, admin) == ("openid", "urn:matrix:client:api:*", "urn:synapse:admin:*")
        assert device.startswith("urn:matrix:client:device:")
        assert min(len(given[name]) for name in ("state", "nonce", "code_challenge")) >= 43
        assert self.begin()[1]["state"] != given["state"]

    def test_an_older_synapse_knows_the_names_of_the_drafts(self) -> None:
        scripted = self.homeserver_api.scripted
        unstable = "GET /_matrix/client/unstable/org.matrix.msc2965/auth_metadata"
        scripted[unstable] = scripted[METADATA_PATH]
        scripted[METADATA_PATH] = HttpAnswer(404, "application/json", "", b'{"errcode": "M_UNRECOGNIZED", "error": ""}')
        assert "urn:matrix:org.matrix.msc2967.client:api:*" in self.begin()[1]["scope"]

    def test_who_comes_back_is_in_at_the_page_that_was_wanted(self) -> None:
        page = self.browser.get("users?q=boss")
        link = page.partition(f'href="{PORTAL}/oidc?')[2].partition('"')[0].replace("&amp;", "&")
        code, given = self.begin(f"oidc?{link}")
        self.come_back(given, code=code)
        assert (self.browser.status, self.browser.location) == (HTTPStatus.SEE_OTHER, f"{PORTAL}/users?q=boss")
        assert "@boss:test" in self.browser.follow()

    def test_no_token_is_in_the_browser_or_in_the_table_in_the_clear(self) -> None:
        token = self.mas.access_tokens[0]
        self.log_in()
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert len(self.browser.header("Set-Cookie")) < 4096
        main = self.hs.get_datastores().main
        rows = self.get_success(main.db_pool.simple_select_list("synapse_bum_portal_grants", None, ("sealed",)))
        assert len(rows) == 1
        assert token not in str(rows)
        assert str(self.mas.refresh_token) not in str(rows)

    def test_a_return_without_the_browsers_own_attempt_is_refused(self) -> None:
        code, given = self.begin()
        genuine, self.browser = self.browser, Browser(self)
        self.come_back(given, code=code)
        assert self.is_refused()
        self.browser = genuine
        self.come_back({"state": given["state"] + "x"}, code=code)
        assert self.is_refused()
        self.browser.cookies[OIDC_ATTEMPT] = "x"
        self.come_back(given, code=code)
        assert self.is_refused()
        assert self.mas.asked == []

    def test_the_code_of_another_login_is_refused(self) -> None:
        stolen, _given = self.begin()
        _code, own = self.begin()
        self.come_back(own, code=stolen)
        assert self.is_refused()
        assert self.mas.asked == ["authorization_code"]

    def test_it_can_not_be_begun_today_and_ended_tomorrow(self) -> None:
        code, given = self.begin()
        self.wait(16 * MINUTE)
        self.come_back(given, code=code)
        assert self.is_refused()

    def test_an_id_token_for_something_else_is_refused(self) -> None:
        wrong: tuple[dict[str, Any], ...] = (
            {"nonce": "x"},
            {"iss": "https://evil.example/"},
            {"aud": "another"},
            {"aud": [CLIENT_ID, "another"]},
            {"exp": -1_000},
            {"exp": "soon"},
        )
        for claims in wrong:
            self.mas.claims = claims
            assert "nicht gelungen" in self.log_in()
            assert self.is_refused(), claims

    def test_another_issuer_is_refused_before_it_gets_the_code(self) -> None:
        self.log_in(iss="https://evil.example/")
        assert self.is_refused()
        assert self.mas.asked == []
        self.log_in(iss=ISSUER.replace(":", "%3A").replace("/", "%2F"))
        assert self.browser.status == HTTPStatus.SEE_OTHER

    def test_who_is_refused_there_reads_a_sentence(self) -> None:
        _code, given = self.begin()
        assert "Der Anmeldedienst hat die Anmeldung abgelehnt." in self.come_back(given, error="access_denied")
        assert self.is_refused()
        assert OIDC_ATTEMPT not in self.browser.cookies
        _code, given = self.begin()
        page = self.come_back(given, error="%3Cscript%3E")
        assert "nicht gelungen" in page
        assert "<script" not in page

    def test_who_is_no_administrator_is_refused_kindly_and_the_tokens_end(self) -> None:
        self.mas.access_tokens.insert(0, self.login("alice", "pass"))
        page = self.log_in()
        assert "keine Rechte zur Administration" in page
        assert self.is_refused()
        assert self.mas.revoked == ["mcr_1"]

    def test_a_token_that_the_homeserver_does_not_take_lets_nobody_in(self) -> None:
        self.mas.access_tokens.insert(0, "mat_of_somewhere_else")
        assert "nicht gelungen" in self.log_in()
        assert self.is_refused()
        assert self.mas.revoked == ["mcr_1"]

    def test_a_state_works_once(self) -> None:
        code, given = self.begin()
        copied = Browser(self, cookies=dict(self.browser.cookies))
        self.come_back(given, code=code)
        assert SESSION in self.browser.cookies
        assert OIDC_ATTEMPT not in self.browser.cookies
        self.browser = copied
        self.come_back(given, code=self.mas.authorize(self.authorization)[0])
        assert self.is_refused()
        assert self.mas.asked == ["authorization_code"]

    def test_sessions_that_nobody_uses_are_ended_there(self) -> None:
        self.log_in()
        self.homeserver_api.scripted[ENDPOINT], working = OSError("no route"), self.homeserver_api.scripted[ENDPOINT]
        self.wait(61 * MINUTE)
        self.pump(0.05)
        self.homeserver_api.scripted[ENDPOINT] = working
        assert self.mas.revoked == []
        self.wait(61 * MINUTE)
        self.pump(0.05)
        assert self.mas.revoked == ["mcr_1"]

    def test_a_service_that_is_away_or_unusable_is_a_sentence(self) -> None:
        code, given = self.begin()
        scripted = self.homeserver_api.scripted
        token = scripted[ENDPOINT]
        for broken in (OSError("no route"), HttpAnswer(502, "text/html", "", b"<h1>"), None):
            scripted[ENDPOINT] = broken
            assert "antwortet gerade nicht" in self.come_back(given, code=code)
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
            code, given = self.begin()
        scripted[ENDPOINT] = token
        for change in (
            b'{"issuer": "https://mas.example/"}',
            str(METADATA).replace("S256", "S512").replace("'", '"').encode(),
            str(METADATA).replace("https://mas.example/oauth2", "http://mas.example/oauth2").replace("'", '"').encode(),
        ):
            scripted[METADATA_PATH] = HttpAnswer(200, "application/json", "", change)
            assert "antwortet gerade nicht" in self.browser.get("oidc")
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE


class TokenTestCase(OidcTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.first, self.second = self.mas.access_tokens[:2]
        self.log_in()
        self.browser.follow()

    def bearers(self) -> list[str]:
        """The access tokens that were used since this was asked last."""
        used = [request.headers.get("Authorization", "") for request in self.homeserver_api.asked]
        self.homeserver_api.asked.clear()
        return [value.removeprefix("Bearer ") for value in used if value.startswith("Bearer ")]

    def test_a_token_is_renewed_before_it_ends(self) -> None:
        assert set(self.bearers()) == {self.first}
        self.wait(3.5 * MINUTE)
        self.browser.get("users")
        assert set(self.bearers()) == {self.first}
        self.wait(MINUTE)
        assert "@boss:test" in self.browser.get("users")
        assert set(self.bearers()) == {self.second}
        assert self.mas.asked == ["authorization_code", "refresh_token"]

    def test_two_pages_at_once_renew_once(self) -> None:
        self.wait(6 * MINUTE)
        other = Browser(self, cookies=dict(self.browser.cookies))
        other.begin_get("users")
        self.browser.begin_get("users")
        self.pump(0.02)
        assert (other.status, self.browser.status) == (HTTPStatus.OK, HTTPStatus.OK)
        assert self.mas.asked == ["authorization_code", "refresh_token"]

    def test_when_it_was_ended_there_the_session_is_over(self) -> None:
        self.mas.refresh_token = None
        self.wait(6 * MINUTE)
        page = self.browser.get("users")
        assert self.browser.status == HTTPStatus.UNAUTHORIZED
        assert "Ihre Sitzung ist abgelaufen." in page
        assert SESSION not in self.browser.cookies

    def test_a_service_that_is_away_ends_no_session(self) -> None:
        scripted = self.homeserver_api.scripted
        working = scripted[ENDPOINT]
        scripted[ENDPOINT] = OSError("no route")
        self.wait(4.5 * MINUTE)
        assert "@boss:test" in self.browser.get("users")
        self.wait(MINUTE)
        self.browser.get("users")
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        scripted[ENDPOINT] = working
        assert "@boss:test" in self.browser.get("users")

    def test_logout_ends_the_login_at_the_service(self) -> None:
        cookies = dict(self.browser.cookies)
        token = self.browser.token(self.browser.get("users"))
        self.browser.post("logout", {"_form": token})
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert self.mas.revoked == ["mcr_1"]
        copied = Browser(self, cookies=cookies)
        copied.get("users")
        assert copied.status == HTTPStatus.UNAUTHORIZED

    def test_logout_works_when_the_service_is_away(self) -> None:
        self.homeserver_api.scripted[ENDPOINT] = OSError("no route")
        token = self.browser.token(self.browser.get("users"))
        self.browser.post("logout", {"_form": token})
        assert self.browser.status == HTTPStatus.SEE_OTHER
        self.browser.get("users")
        assert self.browser.status == HTTPStatus.UNAUTHORIZED

    def test_what_was_typed_is_there_after_the_login(self) -> None:
        token = self.browser.token(self.browser.get("notes"))
        self.wait(31 * MINUTE)
        page = self.browser.post("notes", {"_form": token, "reason": "typed for long " + "x" * 20_000})
        assert self.browser.status == HTTPStatus.UNAUTHORIZED
        link = page.partition(f'href="{PORTAL}/oidc?')[2].partition('"')[0].replace("&amp;", "&")
        assert len(link) < 2_000
        code, given = self.begin(f"oidc?{link}")
        page = self.come_back(given, code=code)
        assert self.browser.status == HTTPStatus.OK
        assert "typed for long" in page
        assert f'action="{PORTAL}/notes"' in page
        assert self.mas.revoked == ["mcr_1"]
