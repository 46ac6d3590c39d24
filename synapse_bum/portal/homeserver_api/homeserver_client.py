"""The APIs of the homeserver, asked with the token of the administrator who is logged in.

Synapse's admin API and our own (`BUM`) alike: the homeserver keeps the authorisation, the portal only shows. Tokens are
in no message and no log line.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

import attr

from synapse_bum.homeserver.http_exchange import HttpAnswer, HttpExchange, HttpRequest
from synapse_bum.portal.homeserver_api.outcomes import (
    ForbiddenError,
    NotFoundError,
    NotOfferedError,
    RefusedError,
    UnauthorisedError,
    UnavailableError,
)

logger = logging.getLogger(__name__)

JsonDict: TypeAlias = dict[str, Any]
Query: TypeAlias = Mapping[str, str | int | bool | None]
TokenSource: TypeAlias = Callable[[], Awaitable[str]]
"""Gives the access token that is valid now; raises `UnauthorisedError` when there is none any more."""

BUM: Final = "/_synapse/client/bum/v1"
"""Base of our own API."""

ADMIN: Final = "/_synapse/admin"
"""Base of Synapse's admin API."""

_STEPS_IN_A_PATH: Final = frozenset({".", ".."})
"""Escaping leaves them as they are, and every client and proxy resolves them: another path would be asked."""

PATIENCE_S: Final = 10.0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Origin:
    """For whom a request is made.

    Attributes:
        token: gives that of the session; None before the login.
        address: of the browser: Synapse limits logins by address. None when it is not known.
    """

    token: TokenSource | None = attr.ib(repr=False)
    address: str | None


class UnnotedChangeError(Exception):
    """A page changes something by Synapse's admin API outside of a step (`steps.py`): a mistake in our code."""


class HomeserverClient:
    """Asks on behalf of one browser.

    Every method takes a path whose `{names}` are filled in, escaped, from the keyword arguments::

        await server.get("/_synapse/admin/v2/users/{user_id}", user_id="@a:example.org")
        await server.get(BUM + "/audit", query={"from": 100, "limit": 50})

    Parameters of the query that are None are left out. Everything but an answer of 200 to 299 raises one of
    `synapse_bum.portal.homeserver_api.outcomes`.
    """

    def __init__(
        self, exchange: HttpExchange, base_url: str, origin: Origin, *, may_change_synapse: bool = False
    ) -> None:
        """Takes how requests are sent, where to, for whom, and whether Synapse's admin API may change something."""
        self._exchange = exchange
        self._base_url = base_url
        self._origin = origin
        self._may_change_synapse = may_change_synapse

    def for_changes(self) -> "HomeserverClient":
        """Returns a client that may change something by Synapse's admin API; for steps that are written down."""
        return HomeserverClient(self._exchange, self._base_url, self._origin, may_change_synapse=True)

    async def get(self, path: str, *, query: Query | None = None, **segments: str) -> JsonDict:
        """GET; returns the JSON object."""
        return _json(await self._ask("GET", path, segments, query, None, PATIENCE_S))

    async def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Query | None = None,
        patience_s: float = PATIENCE_S,
        **segments: str,
    ) -> JsonDict:
        """POST with a JSON object; returns the JSON object."""
        return _json(await self._ask("POST", path, segments, query, body or {}, patience_s))

    async def put(
        self, path: str, body: Mapping[str, Any], *, patience_s: float = PATIENCE_S, **segments: str
    ) -> JsonDict:
        """PUT with a JSON object; returns the JSON object."""
        return _json(await self._ask("PUT", path, segments, None, body, patience_s))

    async def make(self, path: str, body: Mapping[str, Any], **segments: str) -> bool:
        """PUT with a JSON object, of what may be there already; returns whether it was made just now (201)."""
        answer = await self._ask("PUT", path, segments, None, body, PATIENCE_S)
        return answer.status == HTTPStatus.CREATED

    async def delete(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Query | None = None,
        patience_s: float = PATIENCE_S,
        **segments: str,
    ) -> JsonDict:
        """DELETE, with a JSON object where the API wants one; returns the JSON object."""
        return _json(await self._ask("DELETE", path, segments, query, body, patience_s))

    async def download(self, path: str, *, query: Query | None = None, **segments: str) -> HttpAnswer:
        """GET of a file (at most 16 MiB): its `body`, `content_type` and `disposition`. No file of ours is a page."""
        answer = await self._ask("GET", path, segments, query, None, PATIENCE_S)
        if answer.content_type.lower().startswith("text/html"):
            raise UnavailableError("a page in place of a file")
        return answer

    async def _ask(
        self,
        method: str,
        path: str,
        segments: Mapping[str, str],
        query: Query | None,
        body: Mapping[str, Any] | None,
        patience_s: float,
    ) -> HttpAnswer:
        if method != "GET" and path.startswith(f"{ADMIN}/") and not self._may_change_synapse:
            raise UnnotedChangeError(f"{method} {path} is no part of a step that was written down: use `visit.step`")
        if not _STEPS_IN_A_PATH.isdisjoint(segments.values()):
            raise NotFoundError(HTTPStatus.NOT_FOUND, "M_NOT_FOUND", "There is no such object.")
        filled = path.format_map({name: quote(value, safe="") for name, value in segments.items()})
        given = {name: _parameter(value) for name, value in (query or {}).items() if value is not None}
        url = self._base_url + filled + (f"?{urlencode(given)}" if given else "")
        headers = {"Accept": "application/json"}
        if self._origin.token is not None:
            headers["Authorization"] = f"Bearer {await self._origin.token()}"
        if self._origin.address is not None:
            headers["X-Forwarded-For"] = self._origin.address
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = HttpRequest(method, url, headers, None if body is None else json.dumps(body).encode())
        try:
            answer = await self._exchange.send(request, patience_s)
        except Exception as e:
            logger.warning("%s %s of the homeserver failed: %s", method, path, type(e).__name__)
            raise UnavailableError(type(e).__name__) from e
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            logger.error(
                "%s %s: `config.admin_api_url` is %s, which leads on to %s (status %d); it must be where the homeserver"
                " answers itself",
                method,
                path,
                self._base_url,
                _origin_of(answer.location),
                answer.status,
            )
            raise UnavailableError(f"status {answer.status}")
        raise _outcome(answer, f"{method} {path}")


def _origin_of(location: str) -> str:
    """What of a redirection may stand in a log: the rest of the address is the administrator's business."""
    try:
        parts = urlsplit(location)
        name = parts.netloc.rpartition("@")[2]
        return repr(f"{parts.scheme}://{name}")[:200] if name else "another path"
    except ValueError:
        return "no address"


def _parameter(value: str | int | bool) -> str:  # noqa: FBT001 - a value, no switch
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(answer: HttpAnswer) -> JsonDict:
    try:
        decoded = json.loads(answer.body)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise UnavailableError("the answer is no JSON object")
    return decoded


def _outcome(answer: HttpAnswer, what: str) -> Exception:
    try:
        body = _json(answer)
    except UnavailableError:
        body = {}
    status, errcode, sentence = answer.status, str(body.get("errcode", "")), str(body.get("error", ""))
    if status == HTTPStatus.UNAUTHORIZED:
        return UnauthorisedError(errcode)
    if status == HTTPStatus.FORBIDDEN:
        return ForbiddenError(status, errcode, sentence)
    if status == HTTPStatus.NOT_FOUND and errcode == "M_NOT_FOUND":
        return NotFoundError(status, errcode, sentence)
    # A proxy that does not know a path says so without `errcode`.
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return NotOfferedError(status, errcode, sentence)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and errcode:
        wait = body.get("retry_after_ms")
        return RefusedError(status, errcode, sentence, wait if isinstance(wait, int) else None)
    logger.warning("%s of the homeserver was answered with status %d", what, status)
    return UnavailableError(f"status {status}")
