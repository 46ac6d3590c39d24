"""Single sign-on: only the browser that began it gets in, and only to this portal."""

from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.addresses import PORTAL
from synapse_bum.portal.sessions.cookies import SESSION, SSO_STATE
from synapse_bum.testing.portal_case import HOST, Browser, PortalTestCase


class SsoTestCase(PortalTestCase):
    def begin(self, path: str = "sso?idp=oidc-kc") -> str:
        """Follows the link; returns the address that the identity provider leads back to."""
        self.browser.get(path)
        assert self.browser.status == HTTPStatus.SEE_OTHER
        (back,) = parse_qs(urlsplit(self.browser.location).query)["redirectUrl"]
        return back

    def come_back(self, back: str, token: str | None = None) -> str:
        if token is None:
            login = self.hs.get_auth_handler().create_login_token_for_user_id(self.boss, 120_000, None, None)
            token = self.get_success(login)
        parts = urlsplit(back)
        return self.browser.get(f"{parts.path}?{parts.query}&loginToken={token}")

    def test_the_link_leads_to_the_homeserver_and_back_to_this_portal(self) -> None:
        back = self.begin()
        assert self.browser.location.startswith(
            f"{self.hs.config.server.public_baseurl}_matrix/client/v3/login/sso/redirect/oidc-kc?redirectUrl="
        )
        assert back.startswith(f"https://{HOST}{PORTAL}/sso/return?state=")

    def test_who_comes_back_is_in(self) -> None:
        self.come_back(self.begin())
        assert (self.browser.status, self.browser.location) == (HTTPStatus.SEE_OTHER, f"{PORTAL}/")
        assert "@boss:test" in self.browser.follow()

    def test_the_page_that_was_wanted_comes_after_the_login(self) -> None:
        flows = b'{"flows": [{"type": "m.login.sso", "identity_providers": [{"id": "oidc-kc", "name": "Amt"}]}]}'
        self.homeserver_api.scripted["GET /_matrix/client/v3/login"] = HttpAnswer(200, "application/json", "", flows)
        page = self.browser.get("users?q=x")
        link = page.partition(f'href="{PORTAL}/sso?')[2].partition('"')[0].replace("&amp;", "&")
        self.come_back(self.begin(f"sso?{link}"))
        assert self.browser.location == f"{PORTAL}/users?q=x"

    def test_what_was_typed_is_there_after_the_login(self) -> None:
        self.browser.log_in()
        path = "users/%40alice%3Atest/edit"
        token = self.browser.token(self.browser.get(path))
        self.wait(31 * 60)
        flows = b'{"flows": [{"type": "m.login.sso", "identity_providers": [{"id": "oidc-kc", "name": "Amt"}]}]}'
        self.homeserver_api.scripted["GET /_matrix/client/v3/login"] = HttpAnswer(200, "application/json", "", flows)
        page = self.browser.post(path, {"_form": token, "display_name": "typed for long"})
        link = page.partition(f'href="{PORTAL}/sso?')[2].partition('"')[0].replace("&amp;", "&")
        back = self.begin(f"sso?{link}")
        assert "typed for long" in self.come_back(back)
        assert self.browser.status == HTTPStatus.OK
        # It is given back once.
        self.browser = Browser(self)
        assert "typed for long" not in self.come_back(self.begin(f"sso?{link}"))

    def test_a_return_without_the_browsers_own_state_is_refused(self) -> None:
        back = self.begin()
        login = self.get_success(
            self.hs.get_auth_handler().create_login_token_for_user_id(self.boss, 120_000, None, None)
        )
        genuine = self.browser
        self.browser = Browser(self)
        self.come_back(back, login)
        assert self.browser.status == HTTPStatus.FORBIDDEN
        assert SESSION not in self.browser.cookies
        self.browser = genuine
        self.come_back(f"{back}x", login)
        assert self.browser.status == HTTPStatus.FORBIDDEN
        self.browser.cookies[SSO_STATE] = "x"
        self.come_back(back, login)
        assert self.browser.status == HTTPStatus.FORBIDDEN

    def test_a_state_works_once(self) -> None:
        back = self.begin()
        copied = Browser(self, cookies=dict(self.browser.cookies))
        self.come_back(back)
        assert SESSION in self.browser.cookies
        assert SSO_STATE not in self.browser.cookies
        self.browser = copied
        self.come_back(back)
        assert self.browser.status == HTTPStatus.FORBIDDEN
        assert SESSION not in self.browser.cookies

    def test_a_login_by_password_ends_the_others_that_were_begun(self) -> None:
        self.begin()
        assert SSO_STATE in self.browser.cookies
        self.browser.log_in()
        assert list(self.browser.cookies) == [SESSION]

    def test_it_can_not_be_begun_today_and_ended_tomorrow(self) -> None:
        back = self.begin()
        self.wait(16 * 60)
        self.come_back(back)
        assert self.browser.status == HTTPStatus.FORBIDDEN

    def test_a_wrong_token_is_a_sentence(self) -> None:
        assert "nicht gelungen" in self.come_back(self.begin(), "nonsense")
        assert self.browser.status == HTTPStatus.FORBIDDEN

    def test_a_provider_is_a_name_and_no_path(self) -> None:
        for provider in ("..%2F..", "a%2Fb", "a%3Fb", "a%0d%0ab"):
            self.browser.get(f"sso?idp={provider}")
            assert self.browser.status == HTTPStatus.BAD_REQUEST, provider

    def test_a_page_to_go_to_can_not_be_made_up(self) -> None:
        self.come_back(self.begin("sso?next=https://evil.example/"))
        assert self.browser.location == f"{PORTAL}/"
