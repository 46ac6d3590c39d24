"""An ICAP server that misbehaves on command, for tests: TCP on the loopback interface, one thread for each connection.

What it does with a request is a `Behaviour`, a function that gets the `Conversation`. The functions below make the
usual ones; a test writes the rest itself::

    with FakeIcapServer(respmod=reply(NO_CONTENT, piece_bytes=1)) as server:
        ...  # server.address

It needs no reactor, so that every test suite can use it, and it ends its threads when it is closed.
"""

import contextlib
import functools
import io
import itertools
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import TracebackType
from typing import TypeAlias

import attr
from typing_extensions import Self

from synapse_bum.testing.local_server import LOOPBACK

SERVICE = "Fake ICAP/1.0"
ISTAG = "fake-state-1"

NO_CONTENT = b'ICAP/1.0 204 No Content\r\nServer: Fake\r\nISTag: "%b"\r\n\r\n' % ISTAG.encode()
"""What a server says of a file that it would not change."""

CONTINUE = b"ICAP/1.0 100 Continue\r\n\r\n"

_JOIN_SECONDS = 30.0


class Moment(Enum):
    """How much of a RESPMOD the server takes in before it answers."""

    HEAD = "head"
    PREVIEW = "preview"
    HALF = "half"
    BODY = "body"


@attr.s(auto_attribs=True, slots=True)
class IcapRequest:
    """One request as the server saw it.

    Attributes:
        method: `OPTIONS` or `RESPMOD`.
        uri: as in the request line.
        headers: the ICAP headers, names in lower case.
        http_heads: the encapsulated heads, one after the other.
        preview: the bytes of the preview; None when there was none.
        body_bytes: length of the body as far as it was taken in, the preview included.
        whole: whether the body was taken in to its end.
    """

    method: str
    uri: str
    headers: Mapping[str, str]
    http_heads: bytes = b""
    preview: bytes | None = None
    body_bytes: int = 0
    whole: bool = False


class _HungUpError(Exception):
    """One side has ended the connection."""


class Conversation:
    """One request and what the server does about it.

    Attributes:
        request: what came so far.
        server: whom it came to.
        connection: number of the connection, from 1.
    """

    def __init__(
        self, server: "FakeIcapServer", connection: int, accepted: socket.socket, stream: io.BufferedReader
    ) -> None:
        """Read the head of the next request.

        Raises:
            _HungUpError: the client has closed the connection.
        """
        self.server = server
        self.connection = connection
        self._socket = accepted
        self._stream = stream
        method, uri, _ = self._line().split(" ")
        headers = dict(self._headers())
        self.request = IcapRequest(method, uri, headers)
        sections = [section.strip().split("=") for section in headers.get("encapsulated", "null-body=0").split(",")]
        self._has_body = sections[-1][0] != "null-body"
        self.request.http_heads = stream.read(int(sections[-1][1]))

    def preview(self) -> None:
        """Take in the preview, if there is one."""
        if "preview" in self.request.headers:
            self.request.preview = b"".join(self._chunks())
            announced = int(self.request.headers["preview"])
            assert len(self.request.preview) == announced, "the preview is not as long as announced"

    def body(self) -> Iterator[bytes]:
        """Take in the whole body piece by piece; asks for what comes after the preview."""
        self.preview()
        if self.request.preview is not None:
            self.send(CONTINUE)
            yield self.request.preview
        if self._has_body:
            yield from self._chunks()
        self.request.whole = True

    def take_in(self, moment: Moment) -> None:
        """Take in the request up to `moment`."""
        if moment is Moment.PREVIEW:
            self.preview()
        elif moment is Moment.HALF:
            next(itertools.islice(self.body(), 1, None), None)
        elif moment is Moment.BODY:
            deque(self.body(), maxlen=0)

    def send(self, data: bytes, piece_bytes: int | None = None) -> None:
        """Send `data`, at once or in pieces of `piece_bytes` bytes, each in a packet of its own."""
        step = piece_bytes or max(len(data), 1)
        for start in range(0, len(data), step):
            self._socket.sendall(data[start : start + step])

    def drain(self) -> None:
        """Throw away what comes until the client ends the connection."""
        while self._stream.read1():
            pass
        raise _HungUpError

    def hang_up(self) -> None:
        """End the connection, whatever the client is still sending."""
        raise _HungUpError

    def reset(self) -> None:
        """End the connection as a crash does, without a farewell (RST)."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()

    def _line(self) -> str:
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise _HungUpError
        return line[:-2].decode("ascii")

    def _headers(self) -> Iterator[tuple[str, str]]:
        while line := self._line():
            name, _, value = line.partition(":")
            yield name.lower(), value.strip()

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line(), 16):
            data = self._stream.read(size)
            assert self._line() == "", "a chunk does not end where it says"
            self.request.body_bytes += size
            yield data
        assert self._line() == "", "there is a trailer"


Behaviour: TypeAlias = Callable[[Conversation], None]


def reply(
    data: bytes, *, after: Moment = Moment.BODY, piece_bytes: int | None = None, hang_up: bool = False
) -> Behaviour:
    """Make a behaviour that sends always the same.

    Args:
        data: what to send.
        after: when.
        piece_bytes: how much at a time; None for all at once.
        hang_up: end the connection afterwards.
    """

    def behave(conversation: Conversation) -> None:
        conversation.take_in(after)
        conversation.send(data, piece_bytes)
        if hang_up:
            conversation.hang_up()
        if after in {Moment.HEAD, Moment.HALF}:
            conversation.drain()

    return behave


def silence(after: Moment = Moment.BODY) -> Behaviour:
    """Make a behaviour that reads no more from then on and never answers; the connection stays open."""

    def behave(conversation: Conversation) -> None:
        conversation.take_in(after)
        conversation.server.stopping.wait()
        conversation.hang_up()

    return behave


def options(*headers: str, service: str = SERVICE) -> Behaviour:
    """Make a behaviour that answers OPTIONS with RESPMOD allowed, and with these header lines."""
    lines = ["ICAP/1.0 200 OK", "Methods: RESPMOD", f"Service: {service}", f'ISTag: "{ISTAG}"', *headers]
    return reply("\r\n".join([*lines, "Encapsulated: null-body=0", "\r\n"]).encode())


def response(http_head: str, body: bytes, *headers: str, trailer: str = "") -> bytes:
    """Build a reply of status 200.

    Args:
        http_head: lines of the encapsulated response, parted by CRLF, without the empty one.
        body: sent as one chunk.
        *headers: further ICAP header lines.
        trailer: further lines after the last chunk, each with its CRLF.
    """
    head = f"{http_head}\r\n\r\n".encode()
    lines = ["ICAP/1.0 200 OK", f'ISTag: "{ISTAG}"', *headers, f"Encapsulated: res-hdr=0, res-body={len(head)}", "\r\n"]
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return "\r\n".join(lines).encode() + head + chunk + b"0\r\n" + trailer.encode() + b"\r\n"


def infected(name: str, *headers: str) -> bytes:
    """Build a reply as c-icap's about an infected file."""
    found = f"X-Infection-Found: Type=0; Resolution=2; Threat={name};"
    return response("HTTP/1.0 403 Forbidden\r\nContent-Type: text/html", b"<html></html>", found, *headers)


def echo(conversation: Conversation) -> None:
    """Send the file back while it comes, as a service does that scans nothing."""
    pieces = conversation.body()
    first = next(pieces, b"")
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    conversation.send(b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n%b" % (len(head), head))
    for piece in itertools.chain([first], pieces):
        if piece:
            conversation.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    conversation.send(b"0\r\n\r\n")


class FakeIcapServer:
    """A server for as many connections as the client opens; a context manager that starts and stops it.

    Attributes:
        respmod: what it does with a RESPMOD; may be changed at any time.
        options: what it does with an OPTIONS; may be changed at any time.
        stopping: set when the server ends; behaviours that wait must end then.
    """

    def __init__(self, respmod: Behaviour | None = None, options_reply: Behaviour | None = None) -> None:
        """Prepare a server; `start()` or entering the context starts it.

        Args:
            respmod: 204 for every file by default.
            options_reply: a preview of 1024 bytes by default.
        """
        self.respmod = respmod or reply(NO_CONTENT)
        self.options = options_reply or options("Preview: 1024", "Allow: 204")
        self.stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._port = 0
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        self._requests: list[IcapRequest] = []
        self._connections = 0
        self._under_way = 0
        self._most_under_way = 0

    @property
    def address(self) -> str:
        """The address as modules are told it; only once it was started."""
        return f"icap://{LOOPBACK}:{self._port}/virus_scan"

    @property
    def requests(self) -> list[IcapRequest]:
        """All requests so far, in the order in which their heads came."""
        with self._changed:
            return list(self._requests)

    def scans(self) -> list[IcapRequest]:
        """All RESPMOD requests so far."""
        return [request for request in self.requests if request.method == "RESPMOD"]

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        with self._changed:
            return self._connections

    @property
    def open_connections(self) -> int:
        """How many connections neither side has ended."""
        with self._changed:
            return len(self._open)

    @property
    def most_under_way(self) -> int:
        """How many RESPMOD requests were under way at the same time, at most."""
        with self._changed:
            return self._most_under_way

    def start(self) -> None:
        """Listen, at the same address as before if there was one."""
        self.stopping.clear()
        listener = socket.create_server((LOOPBACK, self._port), backlog=128)
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._run_in_thread(lambda: self._accept_all(listener))

    def refuse(self) -> None:
        """Stop listening: new connections are refused until `start()`, existing ones go on."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which `close` would not
            self._listener.close()
            self._listener = None

    def drop_connections(self) -> None:
        """Close all connections at once, as a crash would."""
        with self._changed:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Stop listening, close all connections and wait for the threads."""
        self.refuse()
        self.stopping.set()
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            while thread.is_alive() and time.monotonic() < deadline:
                self.drop_connections()  # again, for one that was just being accepted
                thread.join(0.1)
            assert not thread.is_alive(), "a thread of the fake ICAP server hangs"
        self._threads.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _run_in_thread(self, work: Callable[[], None]) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept_all(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                self._connections += 1
                self._open.add(accepted)
                number = self._connections
            self._run_in_thread(functools.partial(self._serve, accepted, number))

    def _serve(self, accepted: socket.socket, number: int) -> None:
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with accepted.makefile("rb") as stream, contextlib.suppress(_HungUpError, OSError):
                while True:
                    self._answer(Conversation(self, number, accepted, stream))
        finally:
            with self._changed:
                self._open.discard(accepted)
            accepted.close()

    def _answer(self, conversation: Conversation) -> None:
        is_scan = conversation.request.method == "RESPMOD"
        with self._changed:
            self._requests.append(conversation.request)
            self._under_way += is_scan
            self._most_under_way = max(self._most_under_way, self._under_way)
        try:
            (self.respmod if is_scan else self.options)(conversation)
        finally:
            with self._changed:
                self._under_way -= is_scan
