"""What an OpenID provider says to a browser and to its one client, without I/O: requests in, replies out.

Authorization code flow with PKCE, a password form in place of consent, and tokens for Back-Channel Logout (RFC 6749,
RFC 7636, OpenID Connect Core 1.0, Discovery 1.0, Back-Channel Logout 1.0). Each rule that a client can break is
insisted on, so that a homeserver which gets in has kept them. Several threads may use one: every change is a
single operation on a dictionary.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

import attr

from synapse_bum.testing.token_signing import ALGORITHM, SigningKey, base64url

Claims: TypeAlias = Mapping[str, Any]
Fields: TypeAlias = Mapping[str, str]
"""Of a query or a form."""

TOKEN_SECONDS: Final = 300
"""How long tokens are good."""

CODE_SECONDS: Final = 60
"""How long a code is good."""

_LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_FORM: Final = (
    '<!DOCTYPE html><title>Sign in</title><form method="post">'
    '<input name="username"><input name="password" type="password"><button>Sign in</button></form>'
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Reply:
    """What is answered.

    Attributes:
        status: of HTTP.
        text: the body.
        content_type: of the body.
        location: where a redirect leads.
    """

    status: HTTPStatus
    text: str = ""
    content_type: str = "text/html; charset=utf-8"
    location: str | None = None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Client:
    """The application that people sign in to.

    Attributes:
        client_id: letters, digits and hyphens.
        secret: letters, digits, hyphens and underscores.
        redirect_uri: where the browser goes with a code, and nowhere else.
    """

    client_id: str
    secret: str
    redirect_uri: str

    @property
    def authorization(self) -> str:
        """The header with which it proves who it is (RFC 6749 2.3.1)."""
        return "Basic " + base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode("ascii")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Grant:
    """Somebody has signed in and the client may ask who it is.

    Attributes:
        claims: of the person.
        session_id: of the session at the provider.
        nonce: of the client, if it sent one.
        challenge: of PKCE.
        until: seconds since the epoch.
    """

    claims: Claims
    session_id: str
    nonce: str | None
    challenge: str
    until: float


class OpenIdExchange:
    """An OpenID provider for one client.

    Attributes:
        password: the one that everybody here has.
    """

    def __init__(self, issuer: str, client: Client, clock: Callable[[], float] = time.time) -> None:
        """Knows nobody yet.

        Args:
            issuer: URL of the provider, without a slash at its end.
            client: its client.
            clock: seconds since the epoch.
        """
        self.password = secrets.token_urlsafe()
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._key = SigningKey()
        self._people: dict[str, Claims] = {}
        self._grants: dict[str, _Grant] = {}
        self._access_tokens: dict[str, Claims] = {}
        self._sessions: dict[str, str] = {}

    def know(self, claims: Claims) -> None:
        """Let somebody have an account, or know him otherwise than before.

        Args:
            claims: `sub` says who it is, `preferred_username` is what he types.
        """
        self._people[claims["sub"]] = dict(claims)

    def discovery(self) -> Reply:
        """What clients need to know (OpenID Connect Discovery 1.0, section 3)."""
        return _json(
            {
                "issuer": self._issuer,
                "authorization_endpoint": f"{self._issuer}/authorize",
                "token_endpoint": f"{self._issuer}/token",
                "userinfo_endpoint": f"{self._issuer}/userinfo",
                "jwks_uri": f"{self._issuer}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": ["openid", "profile", "email"],
                "backchannel_logout_supported": True,
                "backchannel_logout_session_supported": True,
            }
        )

    def key_set(self) -> Reply:
        """The keys that tokens are signed with."""
        return _json(self._key.key_set)

    def authorize(self, query: Fields, form: Fields | None) -> Reply:
        """A browser asks to be signed in (RFC 6749 4.1.1, RFC 7636 4.3).

        Args:
            query: what the client wants.
            form: what the person has typed; None before.

        Returns:
            The form, or the way back to the client.
        """
        if query.get("client_id") != self._client.client_id or query.get("redirect_uri") != self._client.redirect_uri:
            # RFC 6749 4.1.2.1: nobody is ever sent to an address that is not known.
            return Reply(HTTPStatus.BAD_REQUEST, "Unknown client or redirect_uri")
        if query.get("response_type") != "code" or "openid" not in query.get("scope", "").split():
            return self._back(query, error="invalid_request", error_description="response_type and scope")
        challenge = query.get("code_challenge")
        if challenge is None or query.get("code_challenge_method") != "S256":
            return self._back(query, error="invalid_request", error_description="PKCE with S256 is needed")
        if form is None:
            return Reply(HTTPStatus.OK, _FORM)
        person = self._person(form)
        if person is None:
            return Reply(HTTPStatus.FORBIDDEN, "There is nobody with this name and password")
        session_id, code = secrets.token_urlsafe(), secrets.token_urlsafe()
        self._sessions[session_id] = person["sub"]
        self._grants[code] = _Grant(person, session_id, query.get("nonce"), challenge, self._clock() + CODE_SECONDS)
        return self._back(query, code=code)

    def token(self, authorization: str | None, form: Fields) -> Reply:
        """The client asks who has signed in (RFC 6749 4.1.3, RFC 7636 4.5)."""
        if not secrets.compare_digest((authorization or "").encode(), self._client.authorization.encode()):
            return _json({"error": "invalid_client"}, HTTPStatus.UNAUTHORIZED)
        if form.get("grant_type") != "authorization_code":
            return _json({"error": "unsupported_grant_type"}, HTTPStatus.BAD_REQUEST)
        grant = self._grants.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            grant is None
            or self._clock() > grant.until
            or form.get("redirect_uri") != self._client.redirect_uri
            or base64url(verifier) != grant.challenge
        ):
            return _json({"error": "invalid_grant"}, HTTPStatus.BAD_REQUEST)
        access_token = secrets.token_urlsafe()
        self._access_tokens[access_token] = grant.claims
        said = {**grant.claims, "sid": grant.session_id} | ({"nonce": grant.nonce} if grant.nonce is not None else {})
        return _json(
            {
                "access_token": access_token,
                "token_type": "Bearer",
                "expires_in": TOKEN_SECONDS,
                "id_token": self._key.sign(self._dated(said)),
            }
        )

    def userinfo(self, authorization: str | None) -> Reply:
        """The client asks what is known of somebody (OpenID Connect Core 1.0, section 5.3)."""
        scheme, _, token = (authorization or "").partition(" ")
        claims = self._access_tokens.get(token) if scheme == "Bearer" else None
        return _json({"error": "invalid_token"}, HTTPStatus.UNAUTHORIZED) if claims is None else _json(claims)

    def end_sessions(self, subject: str) -> list[str]:
        """End all sessions of somebody.

        Returns:
            A logout token for each (OpenID Connect Back-Channel Logout 1.0, section 2.4).
        """
        ended = [session_id for session_id, whose in list(self._sessions.items()) if whose == subject]
        for session_id in ended:
            self._sessions.pop(session_id, None)
        return [self._logout_token(subject, session_id) for session_id in ended]

    def _logout_token(self, subject: str, session_id: str) -> str:
        claims = {"sub": subject, "sid": session_id, "jti": secrets.token_urlsafe(), "events": {_LOGOUT_EVENT: {}}}
        return self._key.sign(self._dated(claims), typ="logout+jwt")

    def _person(self, form: Fields) -> Claims | None:
        if not secrets.compare_digest(form.get("password", "").encode(), self.password.encode()):
            return None
        name = form.get("username")
        return next((claims for claims in list(self._people.values()) if claims["preferred_username"] == name), None)

    def _dated(self, claims: Claims) -> dict[str, Any]:
        """Says who speaks, to whom, and until when it holds."""
        now = int(self._clock())
        return {**claims, "iss": self._issuer, "aud": self._client.client_id, "iat": now, "exp": now + TOKEN_SECONDS}

    def _back(self, query: Fields, **said: str) -> Reply:
        """Send the browser back to the client."""
        state = {"state": query["state"]} if "state" in query else {}
        location = f"{self._client.redirect_uri}?{urlencode({**said, **state})}"
        return Reply(HTTPStatus.SEE_OTHER, location=location)


def _json(value: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Reply:
    return Reply(status, json.dumps(value), "application/json")
