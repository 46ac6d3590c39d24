"""An ICAP server that misbehaves on command, for tests: TCP on the loopback interface, one thread for each connection.

What it does with a request is a `Behaviour`, a function that gets the `Conversation`. The functions below make the usual
ones; a test writes the rest itself::

    with FakeIcapServer(respmod=reply(NO_CONTENT, piece_bytes=1)) as server:
        ...  # server.address

It needs no reactor, so that every test suite can use it, and it ends its threads when it is closed.
"""

import contextlib
import hashlib
import io
import socket
import struct
import threading
import time
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

_STALL_SECONDS = 30.0


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
        body_sha256: digest of these bytes.
        whole: whether the body was taken in to its end.
    """

    method: str
    uri: str
    headers: Mapping[str, str]
    http_heads: bytes = b""
    preview: bytes | None = None
    body_bytes: int = 0
    body_sha256: str = ""
    whole: bool = False


class Conversation:
    """One request and what the server does about it.

    Attributes:
        request: what came so far.
        server: whom it came to.
    """

    def __init__(self, server: "FakeIcapServer", connection: socket.socket, stream: io.BufferedReader) -> None:
        """Read the head of the next request.

        Raises:
            EOFError: the client has closed the connection.
        """
        self.server = server
        self._socket = connection
        self._stream = stream
        self._digest = hashlib.sha256()
        method, uri, _ = self._line().split(" ")
        headers = dict(self._headers())
        self.request = IcapRequest(method, uri, headers)
        sections = [section.strip().split("=") for section in headers.get("encapsulated", "null-body=0").split(",")]
        self._has_body = sections[-1][0] != "null-body"
        self.request.http_heads = stream.read(int(sections[-1][1]))

    def _line(self) -> str:
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        return line[:-2].decode("ascii")

    def _headers(self) -> Iterator[tuple[str, str]]:
        while line := self._line():
            name, _, value = line.partition(":")
            yield name.lower(), value.strip()

    def chunks(self) -> Iterator[bytes]:
        """Take in chunks up to the next empty one, which ends a preview or the body."""
        while size := int(self._line(), 16):
            data = self._stream.read(size)
            assert self._line() == "", "a chunk does not end where it says"
            self.request.body_bytes += size
            self._digest.update(data)
            self.request.body_sha256 = self._digest.hexdigest()
            yield data
        assert self._line() == "", "there is a trailer"

    def take_in(self, moment: Moment) -> None:
        """Take in the request up to `moment`, and ask for what comes after the preview if that needs it."""
        if moment is Moment.HEAD:
            return
        if "preview" in self.request.headers:
            self.request.preview = b"".join(self.chunks())
            assert len(self.request.preview) == int(self.request.headers["preview"]), "not the preview that was announced"
            if moment is Moment.PREVIEW:
                return
            self.send(CONTINUE)
        if self._has_body:
            for _ in self.chunks():
                if moment is Moment.HALF:
                    return
        self.request.whole = True

    def send(self, data: bytes, piece_bytes: int | None = None) -> None:
        """Send `data`, at once or in pieces that arrive one by one."""
        for start in range(0, len(data), piece_bytes or max(len(data), 1)):
            self._socket.sendall(data[start : start + piece_bytes] if piece_bytes else data)
            if piece_bytes:
                time.sleep(0)

    def reset(self) -> None:
        """End the connection as a crash of the host does (RST)."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise EOFError

    def hang_up(self) -> None:
        """End the connection."""
        raise EOFError


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
        if hang_up or after is not Moment.BODY:
            conversation.hang_up()

    return behave


def options(*headers: str) -> Behaviour:
    """Make a behaviour that answers OPTIONS with RESPMOD allowed, and with these header lines."""
    lines = ["ICAP/1.0 200 OK", "Methods: RESPMOD", f"Service: {SERVICE}", f'ISTag: "{ISTAG}"', *headers]
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
    """Send the file back as it comes, from the first byte on (a service that scans nothing)."""
    if "preview" in conversation.request.headers:
        preview = b"".join(conversation.chunks())
        conversation.send(CONTINUE)
    else:
        preview = b""
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    conversation.send(b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n%b" % (len(head), head))
    for data in (preview, *()) if preview else ():
        conversation.send(b"%x\r\n%b\r\n" % (len(data), data))
    for data in conversation.chunks():
        conversation.send(b"%x\r\n%b\r\n" % (len(data), data))
    conversation.send(b"0\r\n\r\n")
    conversation.request.whole = True
