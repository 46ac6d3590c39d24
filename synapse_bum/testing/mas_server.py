"""A Matrix Authentication Service for a real homeserver and a real browser: `FakeMas` behind HTTP.

Synapse asks it for its metadata and about each token (`synapse/api/auth/mas.py`), browsers agree on its page, and it
tells Synapse of new users and devices, as the real one does. Run with Synapse 1.163.2.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from typing_extensions import Self

from synapse_bum.homeserver.http_exchange import HttpAnswer, HttpRequest
from synapse_bum.testing.fake_mas import METADATA, FakeMas
from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.local_server import LOOPBACK

SERVER_SECRET: Final = "s3cret-of-Synapse-and-the-service"  # noqa: S105 - of an example
_DEVICE: Final = "urn:matrix:client:device:"
_PAGE: Final = '<!DOCTYPE html><html lang="de"><title>Zustimmen</title><a href="{}">Zustimmen</a></html>'


class MasServer:
    """The service on a port of this machine; everybody who agrees is `boss`.

    Attributes:
        fake: what it answers.
        base_url: `http://127.0.0.1:port`.
    """

    def __init__(self, fake: FakeMas) -> None:
        """Takes a port; entering the context begins to answer."""
        self.fake = fake
        self._homeserver: HttpClient | None = None
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self.base_url = f"http://{LOOPBACK}:{self._server.server_port}"
        self._scopes: dict[str, str] = {}

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self, homeserver_url: str) -> None:
        """Makes the account of `boss` on a homeserver; to be called before the first login."""
        self._homeserver = HttpClient(homeserver_url, SERVER_SECRET)
        self.tell("provision_user", {})

    def tell(self, what: str, body: Mapping[str, Any]) -> None:
        """Tells the homeserver something of `boss`."""
        assert self._homeserver is not None
        answer = self._homeserver.request("POST", f"/_synapse/mas/{what}", json_body={"localpart": "boss", **body})
        assert answer.status in (HTTPStatus.OK, HTTPStatus.CREATED), answer

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Answers one request."""
        path = target.partition("?")[0]
        if path == "/.well-known/openid-configuration":
            own = {
                "token_endpoint": f"{self.base_url}/oauth2/token",
                "revocation_endpoint": f"{self.base_url}/oauth2/revoke",
                "account_management_uri": "https://mas.example/account",
            }
            return HttpAnswer(HTTPStatus.OK, "application/json", "", json.dumps({**METADATA, **own}).encode())
        if path == "/authorize":
            code, given = self.fake.authorize(f"https://mas.example{target}")
            back = f"{given['redirect_uri']}?{urlencode({'code': code, 'state': given['state']})}"
            return HttpAnswer(HTTPStatus.OK, "text/html", "", _PAGE.format(back.replace("&", "&amp;")).encode())
        if path == "/oauth2/introspect":
            return self._introspected(headers, body)
        return self._granted(HttpRequest(method, f"https://mas.example{target}", headers, body))

    def _granted(self, request: HttpRequest) -> HttpAnswer:
        fields = parse_qs((request.body or b"").decode())
        begun = self.fake.codes.get(fields.get("code", [""])[0])
        answer = self.fake.answer(request)
        if answer.status == HTTPStatus.OK and answer.body:
            before = next(iter(self._scopes.values()), "")
            scope = before if begun is None else begun["scope"]
            if begun is not None:
                (device,) = [part.removeprefix(_DEVICE) for part in scope.split() if part.startswith(_DEVICE)]
                self.tell("upsert_device", {"device_id": device})
            self._scopes = {json.loads(answer.body)["access_token"]: scope}
        elif request.url.endswith("/revoke"):
            self._scopes = {}
        return answer

    def _introspected(self, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        assert headers["Authorization"] == f"Bearer {SERVER_SECRET}"
        scope = self._scopes.get(parse_qs(body.decode())["token"][0])
        found = {"active": False} if scope is None else {"active": True, "scope": scope, "username": "boss"}
        return HttpAnswer(HTTPStatus.OK, "application/json", "", json.dumps(found).encode())

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.title(): value for name, value in self.headers.items()}
                answer = service.answer(self.command, self.path, headers, body)
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type or "text/plain")
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = handle_any  # noqa: N815 - names of the standard library

            def log_message(self, *_args: object) -> None:
                """Nothing is printed."""

        return Handler
