"""A Matrix Authentication Service made of answers, for `PortalTestCase` and for `mas_server.py`.

It checks what a real one checks (client, code, PKCE, each refresh token once) and gives access tokens of the test's
homeserver, which knows them by itself.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import attr

from synapse_bum.homeserver.http_exchange import HttpAnswer, HttpRequest

ISSUER: Final = "https://mas.example/"
CLIENT_ID: Final = "01HBUMPORTAL000000000000000"
SECRET: Final = "s3cret of the portal"  # noqa: S105 - of an example
METADATA_PATH: Final = "GET /_matrix/client/v1/auth_metadata"

METADATA: Final[Mapping[str, Any]] = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://mas.example/authorize",
    "token_endpoint": "https://mas.example/oauth2/token",
    "revocation_endpoint": "https://mas.example/oauth2/revoke",
    "code_challenge_methods_supported": ["plain", "S256"],
}


@attr.s(auto_attribs=True)
class FakeMas:
    """The service.

    Attributes:
        access_tokens: of the homeserver; given out in this order.
        lifetime_s: of an access token.
        clock: of the test, ms since the epoch.
        claims: in the ID token, on top of the right ones or in place of them.
        revoked: the tokens that were ended.
        asked: names of the grants that were asked for, in their order.
        codes: that may be redeemed, with what their login was begun with.
        refresh_token: the one that is good; None when there is none.
    """

    access_tokens: list[str]
    clock: Callable[[], int]
    lifetime_s: int = 300
    claims: dict[str, Any] = attr.ib(factory=dict)
    revoked: list[str] = attr.ib(factory=list)
    asked: list[str] = attr.ib(factory=list)
    codes: dict[str, dict[str, str]] = attr.ib(factory=dict)
    refresh_token: str | None = None

    def script(self, scripted: dict[str, Any]) -> None:
        """Answers what a portal in the test's own process asks, from now on."""
        scripted[METADATA_PATH] = _json(HTTPStatus.OK, METADATA)
        scripted["POST https://mas.example/oauth2/"] = self.answer

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """Answers what a client asks."""
        return self._token(request) if request.url.endswith("/token") else self._revoke(request)

    def authorize(self, location: str) -> tuple[str, dict[str, str]]:
        """Looks at what a browser was led here with, as if somebody had agreed; returns a code and the parameters."""
        parts = urlsplit(location)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == METADATA["authorization_endpoint"]
        given = {name: value for name, (value,) in parse_qs(parts.query, strict_parsing=True).items()}
        assert (given["client_id"], given["response_type"]) == (CLIENT_ID, "code")
        assert given["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = given
        return code, given

    def _token(self, request: HttpRequest) -> HttpAnswer:
        fields = _fields(request)
        self.asked.append(fields["grant_type"])
        if not _is_client(request):
            return _json(HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"})
        id_token: dict[str, str] = {}
        if fields["grant_type"] == "authorization_code":
            begun = self.codes.pop(fields["code"], None)
            if begun is None or not _fits(begun, fields):
                return _json(HTTPStatus.BAD_REQUEST, {"error": "invalid_grant"})
            id_token = {"id_token": self._id_token(begun["nonce"])}
        elif self.refresh_token is None or fields["refresh_token"] != self.refresh_token:
            return _json(HTTPStatus.BAD_REQUEST, {"error": "invalid_grant"})
        self.refresh_token = f"mcr_{len(self.asked)}"
        granted = {"access_token": self.access_tokens.pop(0), "refresh_token": self.refresh_token, **id_token}
        return _json(HTTPStatus.OK, {"token_type": "Bearer", "expires_in": self.lifetime_s, **granted})

    def _revoke(self, request: HttpRequest) -> HttpAnswer:
        if not _is_client(request):
            return _json(HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"})
        token = _fields(request)["token"]
        self.revoked.append(token)
        if token == self.refresh_token:
            self.refresh_token = None
        return HttpAnswer(HTTPStatus.OK, "", "", b"")

    def _id_token(self, nonce: str) -> str:
        right = {"iss": ISSUER, "aud": CLIENT_ID, "sub": "01H", "nonce": nonce, "exp": self.clock() // 1000 + 300}
        parts = (b'{"alg":"RS256"}', json.dumps({**right, **self.claims}).encode(), b"signature")
        return ".".join(_base64(part) for part in parts)


def _is_client(request: HttpRequest) -> bool:
    encoded = f"{CLIENT_ID}:{SECRET}".replace(" ", "+").encode()
    return request.headers["Authorization"] == f"Basic {base64.b64encode(encoded).decode()}"


def _fits(begun: Mapping[str, str], fields: Mapping[str, str]) -> bool:
    challenge = _base64(hashlib.sha256(fields["code_verifier"].encode()).digest())
    return challenge == begun["code_challenge"] and fields["redirect_uri"] == begun["redirect_uri"]


def _fields(request: HttpRequest) -> dict[str, str]:
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    return {name: value for name, (value,) in parse_qs((request.body or b"").decode()).items()}


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _json(status: HTTPStatus, body: Mapping[str, Any]) -> HttpAnswer:
    return HttpAnswer(status, "application/json", "", json.dumps(body).encode())
