"""ICAP's wire format without I/O (RFC 3507): bytes in, events out; requests as bytes.

Two rules. Everything that decides how bytes are read or written stands in this file; what a reply means for the file
stands in `icap_verdict.py`. A reader returns an event, raises `IcapProtocolError`, or returns None for "need more":
there is no fourth way.

Every length that the server chooses is bounded, except that of a body: its bytes are handed on as they come and never
kept. Lines end with CRLF and nothing else, so that no two readers can disagree about where a message ends.
"""

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

import attr

MAX_HEAD_BYTES = 64 * 1024
"""Longest head that is read: of a reply, of the HTTP message in it, or of its trailer."""

MAX_CHUNK_LINE_BYTES = 4096
"""Longest line with the size of a chunk, extensions included."""

DEFAULT_PORT = 1344
"""RFC 3507 section 4.2."""

LAST_CHUNK = b"0\r\n\r\n"
"""Ends a body, and also a preview after which more would follow (RFC 3507 section 4.5)."""

_REPLY_START = b"ICAP/1.0 "
_STATUS_LINE = re.compile(rb"ICAP/1\.0 (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?")
_HTTP_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)")
_FOLDED = re.compile(rb"[\t ]+([\t\x20-\x7e\x80-\xff]*)")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_SECTION = re.compile(r"([a-z]+-[a-z]+)[\t ]*=[\t ]*(\d{1,9})")
_ADDRESS = re.compile(
    r"icap://(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[0-9A-Za-z._-]+))(?::(?P<port>\d{1,5}))?"
    r"/(?P<service>[0-9A-Za-z._~/-]+)(?:\?(?P<arguments>[0-9A-Za-z._~/&=,-]+))?"
)
_ENCAPSULATED_FORMS = frozenset(
    {("res-hdr", "res-body"), ("res-hdr", "null-body"), ("res-body",), ("null-body",), ("opt-body",)}
)
_HTTP_REQUEST = b"GET http://upload.invalid/ HTTP/1.1\r\nHost: upload.invalid\r\n\r\n"
_HTTP_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n"


class IcapProtocolError(Exception):
    """What came is no ICAP reply.

    Attributes:
        detail: one line for the operator; never holds content of the file.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@attr.s(auto_attribs=True, frozen=True, slots=True)
class IcapAddress:
    """Where an ICAP service listens.

    Attributes:
        host: name or IP address, IPv6 without brackets.
        port: 1 to 65535.
        service: path of the service, without the slash before it.
        arguments: what stands after `?`; None when nothing does.
    """

    host: str
    port: int
    service: str
    arguments: str | None = None

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URI."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(address: str) -> IcapAddress:
    """Read `icap://host[:port]/service[?arguments]`.

    Raises:
        ValueError: with a sentence that says what would be right.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ValueError("use icap://host:1344/virus_scan")
    port = int(match["port"] or DEFAULT_PORT)
    if not 1 <= port <= 65535:
        raise ValueError("the port must be between 1 and 65535")
    return IcapAddress(match["ipv6"] or match["host"], port, match["service"], match["arguments"])


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Headers:
    """Header fields in the order they came.

    Attributes:
        fields: name in lower case, and value. The lines of a folded value are joined with a line feed: c-icap's
            `X-Violations-Found` carries meaning in them.
    """

    fields: tuple[tuple[str, str], ...] = ()

    def values(self, name: str) -> tuple[str, ...]:
        """All values of the header `name` (lower case)."""
        return tuple(value for field, value in self.fields if field == name)

    def get(self, name: str) -> str | None:
        """The first value of the header `name` (lower case); None when it is not there."""
        return next(iter(self.values(name)), None)

    def tokens(self, name: str) -> frozenset[str]:
        """The comma-separated words of all headers `name`, in lower case."""
        return frozenset(word.strip().lower() for value in self.values(name) for word in value.split(","))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Encapsulated:
    """What the header `Encapsulated` announces (RFC 3507 section 4.4.1).

    Attributes:
        head_bytes: length of the encapsulated HTTP response head; 0 when there is none.
        has_body: whether a chunked body follows.
    """

    head_bytes: int
    has_body: bool


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ReplyHead:
    """Status line and headers of a reply; `100 Continue` is one of its own, with another to follow.

    Attributes:
        status: three digits.
        headers: the ICAP headers.
        encapsulated: None when the reply has no such header, and so no body.
    """

    status: int
    headers: Headers
    encapsulated: Encapsulated | None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class HttpHead:
    """Head of the HTTP response inside the reply.

    Attributes:
        status: three digits.
    """

    status: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class BodyData:
    """Some bytes of the body; how many at a time says nothing.

    Attributes:
        data: at least one byte.
    """

    data: bytes


@attr.s(auto_attribs=True, frozen=True, slots=True)
class EndOfReply:
    """The reply is whole.

    Attributes:
        trailer: headers after the last chunk.
    """

    trailer: Headers


Event: TypeAlias = ReplyHead | HttpHead | BodyData | EndOfReply


class ReplyReader:
    """Reads what the server sends in answer to one request."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._remaining = 0
        self._encapsulated = Encapsulated(0, has_body=False)
        self._read: Callable[[], Event | None] | None = self._read_head

    def feed(self, data: bytes) -> None:
        """Add what the connection delivered, in pieces of any size."""
        self._buffer += data

    def next_event(self) -> Event | None:
        """Take the next event.

        Returns:
            The event, or None when more bytes are needed or the reply is whole.

        Raises:
            IcapProtocolError: the bytes are no ICAP reply. The connection is of no use from here on.
        """
        return None if self._read is None else self._read()

    @property
    def pending(self) -> bool:
        """Whether bytes wait that belong to no event yet."""
        return bool(self._buffer)

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._searched = 0
        return taken

    def _take_until(self, end: bytes, limit: int, what: str) -> bytes | None:
        """Take everything before `end` and drop `end`; the search never looks at a byte twice."""
        found = self._buffer.find(end, self._searched)
        if found > limit or (found < 0 and len(self._buffer) >= limit + len(end)):
            raise IcapProtocolError(f"{what} has more than {limit} bytes")
        if found < 0:
            self._searched = max(0, len(self._buffer) - len(end) + 1)
            return None
        taken = self._take(found)
        del self._buffer[: len(end)]
        return taken

    def _read_head(self) -> Event | None:
        start = bytes(self._buffer[: len(_REPLY_START)])
        if not _REPLY_START.startswith(start):
            raise IcapProtocolError("it does not begin with ICAP/1.0")
        head = self._take_until(b"\r\n\r\n", MAX_HEAD_BYTES, "the head")
        if head is None:
            return None
        status_line, *lines = head.split(b"\r\n")
        match = _STATUS_LINE.fullmatch(status_line)
        if match is None:
            raise IcapProtocolError("its status line is none of ICAP's")
        headers = _parse_fields(lines)
        encapsulated = _parse_encapsulated(headers)
        status = int(match[1])
        if status == 100:
            if encapsulated is not None and encapsulated != Encapsulated(0, has_body=False):
                raise IcapProtocolError("100 Continue with a body")
        else:
            self._encapsulated = encapsulated or Encapsulated(0, has_body=False)
            self._read = self._read_http_head if self._encapsulated.head_bytes else self._begin_body
        return ReplyHead(status, headers, encapsulated)

    def _read_http_head(self) -> Event | None:
        length = self._encapsulated.head_bytes
        if len(self._buffer) < length:
            return None
        head = self._take(length)
        # An offset that lies cuts the head short or takes some of the body along.
        if head.find(b"\r\n\r\n") != length - 4:
            raise IcapProtocolError("the HTTP head in it does not end where Encapsulated says")
        status_line, *lines = head[:-4].split(b"\r\n")
        match = _HTTP_STATUS_LINE.fullmatch(status_line)
        if match is None:
            raise IcapProtocolError("it carries no HTTP response")
        _parse_fields(lines)
        self._read = self._begin_body
        return HttpHead(int(match[1]))

    def _begin_body(self) -> Event | None:
        if not self._encapsulated.has_body:
            self._read = None
            return EndOfReply(Headers())
        self._read = self._read_chunk_line
        return self._read_chunk_line()

    def _read_chunk_line(self) -> Event | None:
        line = self._take_until(b"\r\n", MAX_CHUNK_LINE_BYTES, "the size of a chunk")
        if line is None:
            return None
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise IcapProtocolError("the size of a chunk is no hexadecimal number")
        self._remaining = int(match[1], 16)
        self._read = self._read_chunk_data if self._remaining else self._read_trailer
        return self._read()

    def _read_chunk_data(self) -> Event | None:
        if not self._buffer:
            return None
        data = self._take(min(self._remaining, len(self._buffer)))
        self._remaining -= len(data)
        if not self._remaining:
            self._read = self._read_chunk_end
        return BodyData(data)

    def _read_chunk_end(self) -> Event | None:
        if not b"\r\n".startswith(bytes(self._buffer[:2])):
            raise IcapProtocolError("a chunk is longer than it says")
        if len(self._buffer) < 2:
            return None
        self._take(2)
        self._read = self._read_chunk_line
        return self._read_chunk_line()

    def _read_trailer(self) -> Event | None:
        if self._buffer.startswith(b"\r\n"):
            self._take(2)
            self._read = None
            return EndOfReply(Headers())
        trailer = self._take_until(b"\r\n\r\n", MAX_HEAD_BYTES, "the trailer")
        if trailer is None:
            return None
        self._read = None
        return EndOfReply(_parse_fields(trailer.split(b"\r\n")))


def _parse_fields(lines: Iterable[bytes]) -> Headers:
    fields: list[tuple[str, str]] = []
    for line in lines:
        folded = _FOLDED.fullmatch(line)
        if folded is not None and fields:
            name, value = fields[-1]
            fields[-1] = name, f"{value}\n{folded[1].decode('latin-1').strip()}"
            continue
        match = _FIELD.fullmatch(line)
        if match is None:
            raise IcapProtocolError("a header line is none")
        fields.append((match[1].decode("ascii").lower(), match[2].decode("latin-1").strip()))
    return Headers(tuple(fields))


def _parse_encapsulated(headers: Headers) -> Encapsulated | None:
    values = headers.values("encapsulated")
    if not values:
        return None
    sections = [_SECTION.fullmatch(part.strip()) for value in values for part in value.split(",")]
    names = tuple(section[1] for section in sections if section is not None)
    offsets = [int(section[2]) for section in sections if section is not None]
    if len(names) != len(sections) or names not in _ENCAPSULATED_FORMS:
        raise IcapProtocolError("Encapsulated lists something else than a response")
    if offsets[0] != 0 or (len(offsets) == 2 and not 4 < offsets[1] <= MAX_HEAD_BYTES):
        raise IcapProtocolError("the offsets in Encapsulated are impossible")
    return Encapsulated(offsets[-1], has_body=names[-1] != "null-body")


def options_request(address: IcapAddress) -> bytes:
    """Ask what the service can do (RFC 3507 section 4.10)."""
    return (
        f"OPTIONS icap://{address.authority}/{address.service} ICAP/1.0\r\n"
        f"Host: {address.authority}\r\nEncapsulated: null-body=0\r\n\r\n"
    ).encode("ascii")


def respmod_head(address: IcapAddress, size: int, preview: int | None) -> bytes:
    """Begin to ask for a scan (RFC 3507 section 4.9): everything before the body.

    The file travels as the body of an invented HTTP response that says nothing about it but its length. From the length
    c-icap sees at once whether the file is above its limit; the type is neutral, so no server skips the file for it.

    Args:
        address: whom to ask; its arguments are sent along.
        size: of the file, in bytes; without any there is no body at all.
        preview: how many bytes are sent before the server's go-ahead; None for all of them.
    """
    response = _HTTP_RESPONSE % size
    body = f"{'res-body' if size else 'null-body'}={len(_HTTP_REQUEST) + len(response)}"
    arguments = "" if address.arguments is None else f"?{address.arguments}"
    lines = [
        f"RESPMOD icap://{address.authority}/{address.service}{arguments} ICAP/1.0",
        f"Host: {address.authority}",
        "Allow: 204",
        *([] if preview is None else [f"Preview: {preview}"]),
        f"Encapsulated: req-hdr=0, res-hdr={len(_HTTP_REQUEST)}, {body}",
        "\r\n",
    ]
    return "\r\n".join(lines).encode("ascii") + _HTTP_REQUEST + response


def encode_chunk(data: bytes) -> bytes:
    """Frame one non-empty chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
