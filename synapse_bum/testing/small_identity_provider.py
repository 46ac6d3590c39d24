"""An OpenID provider in a thread of this process, for whoever has neither Java nor Node.js: standard library only.

It listens on the loopback interface without TLS, so a homeserver has to be told `skip_verification: true`. What it says
of people is what they are known by; the protocol is in `openid_exchange.py`. Signed in to by Synapse 1.133.0 and
1.163.2.
"""

import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from typing_extensions import Self

from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.local_server import LOOPBACK, ServerError
from synapse_bum.testing.openid_exchange import Claims, Client, Fields, OpenIdExchange, Reply
from synapse_bum.testing.signed_in import Relation

_CLIENT_ID: Final = "synapse"
_CLIENT_SECRET: Final = "the-secret-of-the-client"  # noqa: S105 - it protects nothing
_CALLBACK: Final = "/_synapse/client/oidc/callback"
_LOGOUT: Final = "/_synapse/client/oidc/backchannel_logout"
_POLL_SECONDS: Final = 0.02
_IDLE_SECONDS: Final = 10.0


class SmallIdentityProvider:
    """A provider with one client, a homeserver.

    Example::

        synapse = RealSynapse(config={"sso": {"client_whitelist": [CLIENT]}})
        with SmallIdentityProvider(synapse.base_url) as provider:
            provider.know(keycloak_person("f1c2", "erika", "Erika Muster").claims)
            entry = provider.relation.entry("keycloak", {"preset": "keycloak"}, skip_verification=True)
            synapse.config["oidc_providers"] = [entry]
            with synapse:
                ...

    Attributes:
        issuer: its URL.
        relation: what the homeserver needs to know of it.
    """

    def __init__(self, homeserver_url: str) -> None:
        """Take a port; nothing is answered before `start()` or entering the context.

        Args:
            homeserver_url: base URL of the process that people sign in to.
        """
        self._homeserver = HttpClient(homeserver_url)
        self._server = ThreadingHTTPServer((LOOPBACK, 0), partial(_Handler, self._answer))
        # A homeserver that keeps a connection open must not hold up the end.
        self._server.daemon_threads = True
        self._thread: threading.Thread | None = None
        self.issuer = f"http://{LOOPBACK}:{self._server.server_port}"
        self.relation = Relation(self.issuer, _CLIENT_ID, _CLIENT_SECRET)
        client = Client(_CLIENT_ID, _CLIENT_SECRET, f"{homeserver_url}{_CALLBACK}")
        self._exchange = OpenIdExchange(self.issuer, client)

    @property
    def password(self) -> str:
        """What everybody types into the form, beside the name."""
        return self._exchange.password

    def know(self, claims: Claims) -> None:
        """Let somebody have an account, or know him otherwise than before; his next login shows it.

        Args:
            claims: `sub` says who it is, `preferred_username` is what he types.
        """
        self._exchange.know(claims)

    def log_out(self, subject: str) -> int:
        """End all sessions of somebody and tell the homeserver (OpenID Connect Back-Channel Logout 1.0).

        Returns:
            How many there were.

        Raises:
            ServerError: the homeserver did not take it.
        """
        tokens = self._exchange.end_sessions(subject)
        for token in tokens:
            form = urlencode({"logout_token": token}).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._homeserver.request("POST", _LOGOUT, body=form, headers=headers)
            if answer.status != HTTPStatus.OK:
                raise ServerError(f"the logout was answered with HTTP {answer.status}: {answer.body[:500]!r}")
        return len(tokens)

    def start(self) -> None:
        """Answer from now on."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="identity-provider", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Answer no more, and give the port back."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, method: str, target: str, authorization: str | None, form: Fields | None) -> Reply:
        parts = urlsplit(target)
        match method, parts.path:
            case "GET", "/.well-known/openid-configuration":
                return self._exchange.discovery()
            case "GET", "/jwks":
                return self._exchange.key_set()
            case "GET" | "POST", "/authorize":
                return self._exchange.authorize(dict(parse_qsl(parts.query)), form)
            case "POST", "/token":
                return self._exchange.token(authorization, form or {})
            case "GET", "/userinfo":
                return self._exchange.userinfo(authorization)
            case _:
                return Reply(HTTPStatus.NOT_FOUND, "There is nothing here")


class _Handler(BaseHTTPRequestHandler):
    """Moves requests and replies; one object for each connection, which ends after one reply."""

    timeout = _IDLE_SECONDS

    def __init__(
        self,
        answer: Callable[[str, str, str | None, Fields | None], Reply],
        *of_the_server: Any,  # noqa: ANN401 - connection, address and server, as the base class takes them
    ) -> None:
        self._answer = answer
        super().__init__(*of_the_server)  # which answers before it returns

    def do_GET(self) -> None:
        """Called by the base class."""
        self._send(None)

    def do_POST(self) -> None:
        """Called by the base class."""
        length = int(self.headers.get("Content-Length", "0"))
        self._send(dict(parse_qsl(self.rfile.read(length).decode("utf-8", "replace"))))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Nobody reads it: who signs in looks at the homeserver's log."""

    def _send(self, form: Fields | None) -> None:
        reply = self._answer(self.command, self.path, self.headers.get("Authorization"), form)
        body = reply.text.encode()
        self.send_response(reply.status)
        if reply.location is not None:
            self.send_header("Location", reply.location)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
