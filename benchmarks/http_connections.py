"""HTTP over connections that stay open, from one thread: a client that takes little of the machine that it measures."""

import contextlib
import select
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from http.client import HTTP_PORT, HTTPResponse
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

import attr
from typing_extensions import Self

from benchmarks.measuring import Batch

_TIMEOUT_SECONDS: Final = 120.0


class RequestError(Exception):
    """A server did not answer 200, or not at all; the text says what it did."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Request:
    """What is sent.

    Attributes:
        method: for example `GET`.
        path: as it is sent.
        body: as it is sent.
        media_type: of the body.
    """

    method: str
    path: str
    body: bytes = attr.ib(default=b"", repr=False)
    media_type: str = "application/json"


class Connection:
    """One connection to one server, on behalf of one user, with one request at a time."""

    def __init__(self, base_url: str, token: str) -> None:
        """Connect.

        Args:
            base_url: `http://host:port`.
            token: an access token.
        """
        address = urlsplit(base_url)
        self._socket = socket.create_connection((address.hostname, address.port or HTTP_PORT), _TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = f"Host: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"

    def send(self, request: Request) -> None:
        """Send a request; `receive` has to follow."""
        headers = f"{self._headers}Content-Type: {request.media_type}\r\nContent-Length: {len(request.body)}\r\n\r\n"
        head = f"{request.method} {request.path} HTTP/1.1\r\n{headers}".encode()
        self._socket.sendall(head + request.body)

    def receive(self) -> bytes:
        """Wait for the answer; returns its body.

        Raises:
            RequestError: it is not a 200.
        """
        answer = HTTPResponse(self._socket)
        answer.begin()
        body = answer.read()
        if answer.status != HTTPStatus.OK:
            raise RequestError(f"HTTP {answer.status}: {body[:500]!r}")
        return body

    def ask(self, request: Request) -> bytes:
        """Send a request and wait for the answer; returns its body.

        Raises:
            RequestError: it is not a 200.
        """
        self.send(request)
        return self.receive()

    def has_answer(self) -> bool:
        """Whether `receive` need not wait any more for an answer to begin."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def ask_all(
    connections: Sequence[Connection], requests: Iterable[Request], check: Callable[[bytes], None] = lambda _: None
) -> Batch:
    """Send requests, one at a time on each connection.

    Args:
        connections: as many as requests shall be under way at a time.
        requests: in this order.
        check: raises when it doesn't like the body of an answer.

    Returns:
        The times of the requests. The processor time in it is this client's own.

    Raises:
        RequestError: a server did not answer 200, or not in time.
    """
    remaining = iter(requests)
    sent_at: dict[int, float] = {}
    seconds_each: list[float] = []
    with contextlib.closing(selectors.DefaultSelector()) as selector:

        def send_next(connection: Connection) -> None:
            request = next(remaining, None)
            if request is None:
                selector.unregister(connection)
                return
            sent_at[connection.fileno()] = time.perf_counter()
            connection.send(request)

        began, cpu_began = time.perf_counter(), time.process_time()
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ, connection)
            send_next(connection)
        while selector.get_map():
            ready = selector.select(_TIMEOUT_SECONDS)
            if not ready:
                raise RequestError(f"no answer within {_TIMEOUT_SECONDS:g} s")
            for key, _ in ready:
                body = key.data.receive()
                seconds_each.append(time.perf_counter() - sent_at[key.data.fileno()])
                check(body)
                send_next(key.data)
        return Batch(seconds_each, time.perf_counter() - began, time.process_time() - cpu_began)


def slowest_answer(
    connection: Connection, request: Request, is_over: Callable[[], bool], between: Callable[[], None]
) -> float:
    """Ask for the same tiny thing over and over, until something else is over.

    Args:
        connection: for these requests.
        request: a tiny one.
        is_over: the last request comes after this has said yes, because what ends takes its time as well.
        between: is called after each request; should take a millisecond or so.

    Returns:
        How long the slowest answer took, in seconds.

    Raises:
        RequestError: an answer was not a 200.
    """
    longest_s = 0.0
    over = False
    while not over:
        over = is_over()
        began = time.perf_counter()
        connection.ask(request)
        longest_s = max(longest_s, time.perf_counter() - began)
        between()
    return longest_s
