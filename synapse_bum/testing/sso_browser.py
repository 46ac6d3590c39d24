"""A browser without a screen: follows a login with an identity provider from the homeserver there and back.

It knows redirects, cookies and HTML forms, and nothing of OpenID Connect: whatever the providers want, they have to get
through what a browser does. Blocking, standard library only; the last step is the Matrix client's
(Matrix client-server API, "Client login via SSO").
"""

import http.client
import ssl
from collections.abc import Mapping
from html.parser import HTMLParser
from http import HTTPStatus
from http.cookies import SimpleCookie
from typing import Final
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import attr

from synapse_bum.testing.http_client import HttpClient, MatrixClient, Response

CLIENT: Final = "https://client.example/"
"""Where the homeserver sends the browser in the end. Nobody is there: the login token is in the address.

It has to be in the homeserver's `sso.client_whitelist`, or the homeserver asks the person first.
"""

_SECONDS: Final = 60.0
_MOST_REDIRECTS: Final = 20


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Page:
    """What came for an address.

    Attributes:
        url: which was asked for.
        status: of HTTP.
        location: absolute address of a redirect, or None.
        text: the body.
    """

    url: str
    status: int
    location: str | None
    text: str


class LoginRefusedError(Exception):
    """Somebody on the way does not let the person in; the text shows who and how.

    Attributes:
        page: the last one.
    """

    def __init__(self, who: str, page: Page) -> None:
        super().__init__(f"{who} answered {page.status} at {page.url.partition('?')[0]}: {page.text[:2000]}")
        self.page = page


class SsoBrowser:
    """One person's browser, with cookies that live as long as it."""

    def __init__(self, tls: ssl.SSLContext, homeserver_url: str) -> None:
        """Nothing is sent yet.

        Args:
            tls: for the identity providers.
            homeserver_url: base URL of the process where logins begin and to which providers send the browser back.
        """
        self._tls = tls
        self._homeserver_url = homeserver_url
        self._cookies: dict[str, dict[str, str]] = {}

    def copy(self) -> "SsoBrowser":
        """Another browser with the same cookies, as of somebody who has stolen them."""
        other = SsoBrowser(self._tls, self._homeserver_url)
        other._cookies = {host: dict(cookies) for host, cookies in self._cookies.items()}
        return other

    def log_in(self, idp_id: str, name: str, password: str, *, second_step: str | None = None) -> MatrixClient:
        """Log in, all the way.

        Args:
            idp_id: as in `oidc_providers`.
            name: at the identity provider.
            password: there.
            second_step: base URL of the process that gets the login token, when it is another one.

        Returns:
            A client with the new access token.

        Raises:
            LoginRefusedError: by the identity provider or the homeserver.
        """
        token = self.login_token(self.callback_url(idp_id, name, password))
        return self.spend(token, second_step)

    def callback_url(self, idp_id: str, name: str, password: str) -> str:
        """Go from the homeserver to the identity provider and sign in there.

        Returns:
            Where the provider sends the browser then, with code and state. It is not visited yet.

        Raises:
            LoginRefusedError: the homeserver does not begin, or the provider does not take name and password.
        """
        provider = idp_id if idp_id == "oidc" else f"oidc-{idp_id}"
        query = urlencode({"redirectUrl": CLIENT})
        start = f"{self._homeserver_url}/_matrix/client/v3/login/sso/redirect/{provider}?{query}"
        callback = f"{self._homeserver_url}/_synapse/client/oidc/callback"
        page = self._follow(self.open(start), callback)
        form = _password_form(page.text)
        if page.location is None and form is not None:
            values = {**form.values, "username": name, "password": password}
            page = self._follow(self.open(urljoin(page.url, form.action), values), callback)
        if page.location is None:
            homeserver = page.url.startswith(self._homeserver_url)
            raise LoginRefusedError("the homeserver" if homeserver else "the identity provider", page)
        return page.location

    def login_token(self, callback_url: str) -> str:
        """Visit the homeserver with code and state.

        Returns:
            The login token, which is good for one login.

        Raises:
            LoginRefusedError: the homeserver shows a page instead of sending the browser to the client.
        """
        page = self.open(callback_url)
        if page.location is None or not page.location.startswith(CLIENT):
            raise LoginRefusedError("the homeserver", page)
        return parse_qs(urlsplit(page.location).query)["loginToken"][0]

    def spend(self, token: str, homeserver_url: str | None = None) -> MatrixClient:
        """Turn a login token into an access token.

        Raises:
            LoginRefusedError: the homeserver does not take it.
        """
        base_url = homeserver_url or self._homeserver_url
        path = "/_matrix/client/v3/login"
        answer = HttpClient(base_url).post(path, {"type": "m.login.token", "token": token})
        if answer.status != HTTPStatus.OK:
            raise LoginRefusedError("the homeserver", _page(f"{base_url}{path}", answer))
        return MatrixClient(base_url, answer.json["user_id"], answer.json["access_token"])

    def open(self, url: str, form: Mapping[str, str] | None = None) -> Page:
        """Get one page, or post a form, with cookies; redirects are not followed.

        Raises:
            OSError: no connection, or one whose certificate is not trusted.
        """
        parts = urlsplit(url)
        connection = (
            http.client.HTTPSConnection(parts.netloc, timeout=_SECONDS, context=self._tls)
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.netloc, timeout=_SECONDS)
        )
        # To a browser 127.0.0.1 is secure without TLS, so that it sends `Secure` cookies there too. Unlike a browser's,
        # cookies are kept for each port: two servers here are two hosts elsewhere.
        cookies = self._cookies.setdefault(parts.netloc, {})
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
        body = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request("GET" if form is None else "POST", target, body, headers)
            answer = connection.getresponse()
            for line in answer.headers.get_all("Set-Cookie", []):
                _keep(cookies, line)
            location = answer.headers.get("Location")
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        return Page(url, answer.status, None if location is None else urljoin(url, location), text)

    def _follow(self, page: Page, until: str) -> Page:
        """Follow redirects; ends with a page that is none, or with the redirect to an address that begins so."""
        for _ in range(_MOST_REDIRECTS):
            if page.location is None or page.location.startswith(until):
                return page
            page = self.open(page.location)
        raise LoginRefusedError("somebody who redirects in a circle", page)


@attr.s(auto_attribs=True, slots=True)
class _Form:
    """A form of a page."""

    action: str
    values: dict[str, str] = attr.ib(factory=dict)
    asks_password: bool = False


class _Forms(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(_Form(values.get("action", "")))
        elif tag == "input" and self.found and values.get("name"):
            self.found[-1].values[values["name"]] = values.get("value", "")
            self.found[-1].asks_password |= values.get("type") == "password"


def _password_form(html: str) -> _Form | None:
    """The form of a page that asks for a password."""
    forms = _Forms()
    forms.feed(html)
    return next((form for form in forms.found if form.asks_password), None)


def _keep(cookies: dict[str, str], set_cookie: str) -> None:
    """Do what a `Set-Cookie` line says; paths are ignored, because each server here uses a name for one thing only."""
    for name, morsel in SimpleCookie(set_cookie).items():
        if not morsel.value or morsel["max-age"] == "0":
            cookies.pop(name, None)
        else:
            cookies[name] = morsel.value


def _page(url: str, answer: Response) -> Page:
    return Page(url, answer.status, answer.headers.get("location"), answer.body.decode(errors="replace"))
