"""The few requests of a client: Matrix client-server API v1.11. Blocking, standard library only.

Each try has one deadline for all its requests. What an error says goes into results: it holds no token and no body.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import attr

from synapse_bum.cli.probe.clock import offset_ms

_LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_LARGEST_ANSWER: Final = 4 * 2**20
_SHORTEST_S: Final = 0.1


class RequestError(Exception):
    """A request was not answered with success.

    Attributes:
        status: of the answer; None when there was none.
        errcode: Matrix's, None without one.
    """

    def __init__(self, what: str, status: int | None = None, errcode: str | None = None) -> None:
        super().__init__(what)
        self.status = status
        self.errcode = errcode


def server_of(url: str) -> SplitResult:
    """Reads the address of a server.

    Raises:
        ValueError: it is none, or tokens would go over the network in the clear.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(f"{url} is no address of a server such as https://matrix.messenger.example")
    if parts.username is not None:
        raise ValueError("the address of the server must hold no user and no password")
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise ValueError(f"{url} would show tokens to everybody on the way; use https")
    # Raises ValueError for a port that is none.
    _ = parts.port
    return parts


def now_ms() -> int:
    """The present by this clock, ms since the epoch."""
    return time.time_ns() // 1_000_000


@attr.s(auto_attribs=True, slots=True)
class Server:
    """A server, and what was learned about its clock.

    Attributes:
        address: where it is.
        deadline_s: on the monotonic clock: no request of this try lasts longer.
        clock_offset_ms: how far this clock was ahead at the last answer, None before one.
        now_ms: this clock.
    """

    address: SplitResult
    deadline_s: float
    clock_offset_ms: int | None = None
    now_ms: Callable[[], int] = now_ms

    @property
    def remaining_s(self) -> float:
        """How much time is left."""
        return self.deadline_s - time.monotonic()

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        token: str | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> dict[str, Any]:
        """Sends a request and returns the JSON object of a 200.

        Raises:
            RequestError: there was no connection, no answer in time, or another one.
        """
        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            return self._request(method, path if query is None else f"{path}?{urlencode(query)}", body, headers)
        except ssl.SSLError as error:
            raise RequestError(f"TLS: {error.reason or 'refused'}") from None
        except TimeoutError:
            raise RequestError("no answer in time") from None
        except http.client.HTTPException as error:
            raise RequestError(f"no HTTP: {type(error).__name__}") from None
        except OSError as error:
            raise RequestError(error.strerror or type(error).__name__) from None

    def _request(
        self, method: str, target: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        if self.remaining_s < _SHORTEST_S:
            raise RequestError("no answer in time")
        kind = http.client.HTTPSConnection if self.address.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.address.hostname or "", self.address.port, timeout=self.remaining_s)
        sent_ms = self.now_ms()
        try:
            connection.request(method, target, None if body is None else json.dumps(body).encode(), dict(headers))
            answer = connection.getresponse()
            content = self._content(answer)
        finally:
            connection.close()
        offset = offset_ms(answer.getheader("Date"), sent_ms, self.now_ms())
        self.clock_offset_ms = self.clock_offset_ms if offset is None else offset
        try:
            decoded = json.loads(content)
        except ValueError:
            decoded = None
        if answer.status != HTTPStatus.OK:
            errcode = decoded.get("errcode") if isinstance(decoded, dict) else None
            named = f" {errcode}" if isinstance(errcode, str) and errcode.isidentifier() else ""
            raise RequestError(f"HTTP {answer.status}{named}", answer.status, named.strip() or None)
        if not isinstance(decoded, dict):
            raise RequestError("an answer that is no JSON object", answer.status)
        return decoded

    def _content(self, answer: http.client.HTTPResponse) -> bytes:
        """Reads the body, byte by byte if need be: a server that drips must not hold us longer than the deadline."""
        content = bytearray()
        while chunk := answer.read1(65_536):
            content += chunk
            if self.remaining_s <= 0:
                raise TimeoutError
            if len(content) > _LARGEST_ANSWER:
                raise RequestError("an answer that is too long", answer.status)
        return bytes(content)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Client:
    """One account.

    Attributes:
        server: of the try.
        user_id: of the account.
        token: its access token.
    """

    server: Server
    user_id: str
    token: str = attr.ib(repr=False)

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        """GET below `/_matrix/client/v3`.

        Raises:
            RequestError: as `Server.request`.
        """
        return self.server.request("GET", f"/_matrix/client/v3/{path}", token=self.token, query=query)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST below `/_matrix/client/v3`.

        Raises:
            RequestError: as `Server.request`.
        """
        return self.server.request("POST", f"/_matrix/client/v3/{path}", body, token=self.token)

    def send(self, room_id: str, text: str, transaction_id: str) -> str:
        """Sends a notice to a room; returns the event's id.

        Raises:
            RequestError: as `Server.request`.
        """
        path = "/".join(quote(part, safe="") for part in (room_id, "send", "m.room.message", transaction_id))
        body = {"msgtype": "m.notice", "body": text}
        answer = self.server.request("PUT", f"/_matrix/client/v3/rooms/{path}", body, token=self.token)
        return str(answer.get("event_id"))

    def sync(self, room_ids: list[str], since: str | None, timeout_ms: int) -> dict[str, Any]:
        """Asks for news of some rooms.

        Raises:
            RequestError: as `Server.request`.
        """
        nothing: dict[str, list[str]] = {"types": []}
        only = {
            "room": {
                "rooms": room_ids,
                "timeline": {"limit": 20},
                "state": nothing,
                "ephemeral": nothing,
                "account_data": nothing,
            },
            "presence": nothing,
            "account_data": nothing,
        }
        query: dict[str, str | int] = {"filter": json.dumps(only), "timeout": timeout_ms, "set_presence": "offline"}
        return self.get("sync", query if since is None else {**query, "since": since})
