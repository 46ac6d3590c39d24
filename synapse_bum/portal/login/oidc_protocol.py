"""OpenID Connect as the portal speaks it with the Matrix Authentication Service. Pure.

The authorization code flow (OpenID Connect Core 1.0, section 3.1) with PKCE (RFC 7636, S256 only), refresh (RFC 6749,
section 6), and the issuer in the answer (RFC 9207). What the scopes open: Matrix specification, "OAuth 2.0 API", and
`synapse/api/auth/mas.py`.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import attr

from synapse_bum.portal.config import crosses_a_network_in_the_clear

METADATA: Final = (
    ("/_matrix/client/v1/auth_metadata", "urn:matrix:client:"),
    # Before 1.138 Synapse knew path and scopes by the names of their drafts (MSC2965, MSC2967).
    ("/_matrix/client/unstable/org.matrix.msc2965/auth_metadata", "urn:matrix:org.matrix.msc2967.client:"),
)
"""Where a homeserver says who logs its users in, and what the scopes begin with when it says it there."""

_ADMIN_SCOPE: Final = "urn:synapse:admin:*"
_ENDPOINT: Final = re.compile(r"https?://[\x21\x22\x24-\x7e]+", re.ASCII)
_DEFAULT_LIFETIME_S: Final = 300
_SKEW_MS: Final = 300_000


class ProtocolError(Exception):
    """The other side says something that can't be believed; the message never holds a token."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Provider:
    """Who logs users in.

    Attributes:
        issuer: its name.
        authorization_endpoint: where browsers are led.
        token_endpoint: where codes become tokens.
        revocation_endpoint: where they end.
        scope_prefix: what the scopes of Matrix begin with.
        names_itself: whether it always says its name when it leads a browser back.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    scope_prefix: str
    names_itself: bool


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Attempt:
    """A login that one browser has begun; sealed into its cookie.

    Attributes:
        state: ties the way back to the way there.
        nonce: ties the ID token to it.
        verifier: proves that whoever brings the code has begun the login.
        device_id: of the device that will be made.
        redirect_uri: where the browser comes back to.
        location: sealed draft of what the browser wanted; empty for nothing.
    """

    state: str = attr.ib(repr=False)
    nonce: str = attr.ib(repr=False)
    verifier: str = attr.ib(repr=False)
    device_id: str
    redirect_uri: str
    location: str = attr.ib(repr=False)

    @classmethod
    def begin(cls, redirect_uri: str, location: str) -> "Attempt":
        """Makes one with new secrets of 256 bits."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, f"BUM{secrets.token_hex(6).upper()}", redirect_uri, location)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Grant:
    """What a login or a refresh gives.

    Attributes:
        access_token: for the homeserver.
        refresh_token: for the next grant; None where there is none.
        renew_ms: from when on it should be renewed, ms since the epoch.
        ends_ms: from when on the access token is worth nothing.
    """

    access_token: str = attr.ib(repr=False)
    refresh_token: str | None = attr.ib(repr=False)
    renew_ms: int
    ends_ms: int


def read_provider(metadata: Mapping[str, Any], scope_prefix: str) -> Provider:
    """Reads the metadata of a provider (RFC 8414, section 2).

    Raises:
        ProtocolError: it lacks something, offers no PKCE, or would have tokens sent over a network in the clear.
    """
    if "S256" not in _list(metadata, "code_challenge_methods_supported"):
        raise ProtocolError("it does not offer PKCE with S256")
    return Provider(
        issuer=_text(metadata, "issuer"),
        authorization_endpoint=_endpoint(metadata, "authorization_endpoint"),
        token_endpoint=_endpoint(metadata, "token_endpoint"),
        revocation_endpoint=_endpoint(metadata, "revocation_endpoint"),
        scope_prefix=scope_prefix,
        names_itself=metadata.get("authorization_response_iss_parameter_supported") is True,
    )


def authorization_url(provider: Provider, client_id: str, attempt: Attempt) -> str:
    """Returns the address that a browser is led to."""
    prefix = provider.scope_prefix
    challenge = _base64(hashlib.sha256(attempt.verifier.encode()).digest())
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": attempt.redirect_uri,
        "scope": f"openid {prefix}api:* {prefix}device:{attempt.device_id} {_ADMIN_SCOPE}",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    mark = "&" if "?" in provider.authorization_endpoint else "?"
    return f"{provider.authorization_endpoint}{mark}{urlencode(parameters)}"


def check_issuer(provider: Provider, said: str) -> None:
    """Checks who leads a browser back; an empty name stands for none.

    Raises:
        ProtocolError: it is somebody else.
    """
    if (said or provider.names_itself) and said != provider.issuer:
        raise ProtocolError("another issuer has answered")


def client_authorization(client_id: str, secret: str) -> str:
    """Returns the header `Authorization` of a client (RFC 6749, section 2.3.1: both are form-encoded first)."""
    pair = ":".join(urlencode({"": part})[1:] for part in (client_id, secret))
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def read_grant(answer: Mapping[str, Any], now_ms: int, before: Grant | None = None) -> Grant:
    """Reads the answer of a token endpoint (RFC 6749, section 5.1).

    Args:
        answer: the JSON object.
        now_ms: when it was asked, ms since the epoch.
        before: the grant that this one renews: where no new refresh token is given its own stays.

    Raises:
        ProtocolError: it is no grant.
    """
    if _text(answer, "token_type").lower() != "bearer":
        raise ProtocolError("the token is none for a header")
    lifetime_s = answer.get("expires_in", _DEFAULT_LIFETIME_S)
    if not isinstance(lifetime_s, int) or isinstance(lifetime_s, bool) or lifetime_s <= 0:
        raise ProtocolError("`expires_in` is no number of seconds")
    refresh_token = answer.get("refresh_token", None if before is None else before.refresh_token)
    if not isinstance(refresh_token, str | None):
        raise ProtocolError("`refresh_token` is no text")
    # Early enough for whatever is begun with the token to end with it.
    renew_ms, ends_ms = now_ms + lifetime_s * 800, now_ms + lifetime_s * 1000
    return Grant(_text(answer, "access_token"), refresh_token, renew_ms, ends_ms)


def check_id_token(answer: Mapping[str, Any], provider: Provider, client_id: str, nonce: str, now_ms: int) -> None:
    """Checks that an ID token is for this login (OpenID Connect Core 1.0, section 3.1.3.7).

    Its signature is not looked at: it comes from the token endpoint itself, and TLS says who that is (number 6 there).

    Raises:
        ProtocolError: it is not.
    """
    claims = _claims(_text(answer, "id_token"))
    audience = claims.get("aud")
    if claims.get("iss") != provider.issuer:
        raise ProtocolError("the ID token has another issuer")
    if audience not in (client_id, [client_id]):
        raise ProtocolError("the ID token is for somebody else")
    ends_s = claims.get("exp")
    if not isinstance(ends_s, int | float) or ends_s * 1000 <= now_ms - _SKEW_MS:
        raise ProtocolError("the ID token is over")
    if not is_same(nonce, str(claims.get("nonce", ""))):
        raise ProtocolError("the ID token is for another login")


def is_same(known: str, given: str) -> bool:
    """Compares secrets; takes the same time for every wrong one."""
    return hmac.compare_digest(known.encode(), given.encode("utf-8", "replace"))


def _claims(token: str) -> Mapping[str, Any]:
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise ProtocolError("the ID token can't be read")
    return claims


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise ProtocolError(f"`{name}` is missing")
    return value


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    value = values.get(name)
    return value if isinstance(value, list) else []


def _endpoint(metadata: Mapping[str, Any], name: str) -> str:
    address = _text(metadata, name)
    if _ENDPOINT.fullmatch(address) is None or crosses_a_network_in_the_clear(address):
        raise ProtocolError(f"`{name}` must be an address with https")
    return address


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
