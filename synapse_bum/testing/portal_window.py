"""`PortalWindow`: a browser without a screen at the portal of a real homeserver; pages are text, forms are fields."""

import re
from collections.abc import Mapping
from html import unescape
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from synapse_bum.testing.http_client import HttpClient, Response
from synapse_bum.testing.portal_server import PORTAL_PATH

_TOKEN: Final = re.compile(r'name="_form" value="([^"]+)"')


class PortalWindow:
    """Keeps cookies, and opens pages and sends forms at whatever process it is told to.

    Attributes:
        cookies: by name.
    """

    def __init__(self, host: str) -> None:
        """Without cookies.

        Args:
            host: name under which the portal is served.
        """
        self.cookies: dict[str, str] = {}
        self._host = host

    def ask(self, base_url: str, path: str, fields: Mapping[str, str] | None = None) -> Response:
        """Open a page, or send a form.

        Args:
            base_url: of a process, or of what stands before it.
            path: below the portal, or from the root.
            fields: of the form; None opens the page.
        """
        headers = {"Host": self._host, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        body = None if fields is None else urlencode(fields).encode()
        if body is not None:
            headers |= {"Origin": f"https://{self._host}", "Content-Type": "application/x-www-form-urlencoded"}
        target = path if path.startswith("/") else f"{PORTAL_PATH}{path}"
        answer = HttpClient(base_url).request("GET" if body is None else "POST", target, body=body, headers=headers)
        for line in re.split(r", (?=__)", answer.headers.get("set-cookie", "")):
            name, _equals, value = line.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if name and "Max-Age=0" not in line:
                self.cookies[name] = value
        return answer

    def log_in(self, base_url: str, name: str, password: str) -> None:
        """Log in.

        Raises:
            AssertionError: it was refused.
        """
        answer = self.ask(base_url, "login", {"name": name, "password": password})
        assert answer.status == HTTPStatus.SEE_OTHER, answer.body

    def send(self, base_url: str, path: str, **fields: str) -> str:
        """Open a page with a form, send the form, go where the answer leads, and return the page there.

        Args:
            base_url: as for `ask`.
            path: of the page.
            **fields: what was filled in.

        Raises:
            AssertionError: the form is not there, or was refused.
        """
        token = form_token(self.ask(base_url, path))
        answer = self.ask(base_url, path, {"_form": token, **fields})
        if answer.status == HTTPStatus.SEE_OTHER:
            answer = self.ask(base_url, answer.headers["location"])
        assert answer.status == HTTPStatus.OK, (answer.status, answer.body)
        return answer.body.decode()


def form_token(answer: Response) -> str:
    """The token of the last form of a page; its other one logs out.

    Raises:
        AssertionError: the page did not come.
    """
    assert answer.status == HTTPStatus.OK, (answer.status, answer.body)
    return unescape(_TOKEN.findall(answer.body.decode())[-1])
