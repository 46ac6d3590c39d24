"""The step about the portal: an administrator's browser, as far as HTTP goes."""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import attr

from synapse_bum.cli.demo.promise import require
from synapse_bum.cli.demo.stage import PORTAL_HOST, Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.testing.http_client import HttpClient, Response

# What a browser would know of the portal; the portal's own names would take Synapse along.
_PORTAL: Final = "/_synapse/client/bum/portal/"
_COOKIE: Final = "__Host-bum-portal"
_SESSION: Final = re.compile(rf"{_COOKIE}=([^;,]+); [^,]*Secure; HttpOnly")
_TOKEN: Final = re.compile(r'name="_form" value="([^"]+)"')
_PASSWORD: Final = "nothing but the demo knows this"  # noqa: S105 - of accounts that live for a minute


@attr.s(auto_attribs=True)
class _Browser:
    """Sends what a browser behind a proxy with TLS sends, and keeps the session's cookie."""

    client: HttpClient
    host: str = PORTAL_HOST
    session: str = ""

    def get(self, path: str = "") -> Response:
        return self._send("GET", path, None)

    def post(self, path: str, fields: Mapping[str, str]) -> Response:
        return self._send("POST", path, urlencode(fields).encode())

    def _send(self, method: str, path: str, body: bytes | None) -> Response:
        headers = {"Host": self.host, "Origin": f"https://{self.host}", "Cookie": f"{_COOKIE}={self.session}"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = self.client.request(method, _PORTAL + path, body=body, headers=headers)
        found = _SESSION.search(answer.headers.get("set-cookie", ""))
        if found is not None:
            self.session = found[1]
        return answer

    def log_in(self, name: str) -> Response:
        return self.post("login", {"name": name, "password": _PASSWORD})


def _title(answer: Response) -> str:
    """The heading of a page."""
    found = re.search(r"<h1>(.*?)</h1>", answer.body.decode())
    return "" if found is None else unescape(found[1])


def _require(answer: Response, status: int, what: str) -> None:
    require(answer.status == status, f"{what} was answered with HTTP {answer.status}, not with {status}.")


def _administers(stage: Stage) -> Iterator[str]:
    stage.synapse.register("ada", admin=True, password=_PASSWORD)
    stage.synapse.register("norbert", password=_PASSWORD)
    client = HttpClient(stage.synapse.base_url)
    stranger = _Browser(client, "messenger.example").get()
    _require(stranger, HTTPStatus.NOT_FOUND, "The portal on another host name")
    require(b"<html" not in stranger.body.lower(), "On another host name there is a page.")
    yield f"On `messenger.example` there is no portal: HTTP {stranger.status}."
    browser = _Browser(client)
    page = browser.get()
    _require(page, HTTPStatus.UNAUTHORIZED, "A browser without a session")
    require("<script" not in page.body.decode(), "The page has a script.")
    yield f'On `{PORTAL_HOST}` there is one, in German: "{_title(page)}". It has no script.'
    refused = _Browser(client).log_in("norbert")
    _require(refused, HTTPStatus.FORBIDDEN, "The login of an ordinary user")
    yield f'Norbert, an ordinary user with the right password, reads "{_title(refused)}".'
    _require(browser.log_in("ada"), HTTPStatus.SEE_OTHER, "The login of an administrator")
    require(browser.session != "", "The login brought no cookie that only the browser can read.")
    accounts = browser.get("users")
    _require(accounts, HTTPStatus.OK, "The list of accounts")
    known = unescape(accounts.body.decode())
    require(stage.alice.user_id in known and stage.admin.user_id in known, "The list does not show all accounts.")
    yield f'Ada, an administrator, logs in and sees "{_title(accounts)}" with all accounts, Alice among them.'
    token = _TOKEN.search(known)
    require(token is not None, "The page has no form for the logout.")
    copied = browser.session
    _require(browser.post("logout", {"_form": token[1] if token else ""}), HTTPStatus.SEE_OTHER, "The logout")
    late = _Browser(client, session=copied).get("users")
    _require(late, HTTPStatus.UNAUTHORIZED, "A copy of the cookie after the logout")
    yield f"She logs out. Whoever had copied her cookie before gets HTTP {late.status}."


STEPS: Final = (
    Step(
        "An administrator uses the portal",
        "only administrators get in, only on the portal's own host, and only as long as they are logged in",
        _administers,
    ),
)
