"""clamd's protocol without I/O: bytes in, replies out, and what each reply means.

Two rules. Everything that decides what a reply of clamd means stands in this file. Nothing here knows about sockets,
time or Synapse. A reply that the grammar below does not cover is `Failed(NOT_UNDERSTOOD)`.

Sources: clamd(8), section COMMANDS; everything else observed on clamd 1.4.6. We speak the `z` form (NUL terminated)
inside an IDSESSION, where each reply starts with the number of the command: `7: fd[12]: OK`.
"""

import calendar
import re
import time
from enum import Enum

import attr

from synapse_bum.antivirus.engines.engine import (
    Clean,
    EngineVersion,
    Failed,
    FailureReason,
    Infected,
    NotFullyScanned,
    ScanResult,
)

START_SESSION = b"zIDSESSION\0"
VERSION = b"zVERSION\0"
SCAN_DESCRIPTOR = b"zFILDES\0\0"
"""The command and one byte more: clamd wants the descriptor in the same message, and not with the command alone."""
SCAN_STREAM = b"zINSTREAM\0"
STREAM_END = b"\0\0\0\0"

CANARY = SCAN_STREAM + b"\0\0\0\1-" + STREAM_END
"""A scan that only a clamd with a writable temporary directory answers with OK.

Without one (directory gone, disk or inodes full) clamd 1.4.6 still says OK to every descriptor, viruses included, but
ends the connection of a stream, which it has to write to disk first. One byte passes even a `StreamMaxLength` of 100
bytes."""

MAX_REPLY_BYTES = 16 * 1024
"""Longest reply that is read. Signature names are far shorter; a longer line is no reply of clamd."""

LIMITS_PREFIX = "Heuristics.Limits."


class ReplyTooLongError(Exception):
    """More than `MAX_REPLY_BYTES` came without the end of a reply."""


class ReplyReader:
    """Cuts what arrives on a connection into NUL terminated replies."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what the connection delivered, in pieces of any size."""
        self._buffer += data

    def next_reply(self) -> bytes | None:
        """Take the next whole reply, without its terminator.

        Returns:
            The reply, or None when more bytes are needed.

        Raises:
            ReplyTooLongError: what came can't be a reply.
        """
        end = self._buffer.find(b"\0")
        if end > MAX_REPLY_BYTES or (end < 0 and len(self._buffer) > MAX_REPLY_BYTES):
            raise ReplyTooLongError
        if end < 0:
            return None
        reply = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return reply

    @property
    def pending(self) -> bool:
        """Whether bytes wait that belong to no whole reply yet, or to one that nobody took."""
        return bool(self._buffer)


class Transport(Enum):
    """How the file reaches clamd, and what the subject of the reply must then look like."""

    FILDES = rb"fd\[\d{1,10}\]"
    INSTREAM = rb"stream"


_SESSION_REPLY = re.compile(rb"(?P<id>[1-9]\d{0,9}): (?P<text>.+)", re.DOTALL)
# With ExtendedDetectionInfo clamd appends "(md5:size)" to the name.
_FOUND = re.compile(rb"(?P<name>[\x21-\x7e]+?)(\([0-9a-f]{32}:\d{1,20}\))? FOUND")
_TOO_LARGE = b"INSTREAM size limit exceeded. ERROR"
_VERSION = re.compile(
    r"(?P<engine>ClamAV [\x21-\x2e\x30-\x7e]{1,64})(/(?P<signatures>\d{1,10})/(?P<date>[A-Za-z0-9: ]{1,40}))?"
)


def scan_result(reply: bytes, transport: Transport, expected_id: int) -> ScanResult:
    """Say what one reply inside an IDSESSION means for the scan that was asked for.

    Args:
        reply: one reply as `ReplyReader` gives it.
        transport: how the file was sent.
        expected_id: number of the command in its session, counted from 1.

    Returns:
        The verdict; `Failed` for everything that is not exactly a verdict about this very command.
    """
    session_reply = _SESSION_REPLY.fullmatch(reply)
    if session_reply is None:
        # Before a session is set up clamd reports errors without a number.
        return _failure(reply)
    if int(session_reply["id"]) != expected_id:
        return Failed(
            FailureReason.NOT_UNDERSTOOD, f"reply for command {int(session_reply['id'])}, expected {expected_id}"
        )
    text = session_reply["text"]
    subject = re.match(transport.value + rb": ", text)
    if subject is None:
        return _failure(text)
    outcome = text[subject.end() :]
    if outcome == b"OK":
        return Clean()
    found = _FOUND.fullmatch(outcome)
    if found is not None:
        return found_signature(found["name"].decode("ascii"))
    return _failure(text)


def canary_lives(reply: bytes, expected_id: int) -> bool:
    """Whether the reply to `CANARY` says that clamd is able to scan."""
    return reply == b"%d: stream: OK" % expected_id


def found_signature(name: str) -> Infected | NotFullyScanned:
    """Tell a virus from the note that a limit of clamd was reached (`AlertExceedsMax yes`)."""
    if name.startswith(LIMITS_PREFIX):
        return NotFullyScanned(name)
    return Infected(name)


def _failure(text: bytes) -> Failed:
    detail = printable(text)
    if text == _TOO_LARGE:
        return Failed(FailureReason.TOO_LARGE, detail)
    if not text.endswith(b"ERROR"):
        return Failed(FailureReason.NOT_UNDERSTOOD, f"reply not understood: {detail}")
    return Failed(FailureReason.ENGINE_ERROR, detail)


def printable(text: bytes, limit: int = 200) -> str:
    """A scanner's words for a log line: printable ASCII, everything else escaped, cut at `limit` characters."""
    line = "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}" for byte in text[:limit])
    return line if len(text) <= limit else line + "..."


def session_version(reply: bytes, expected_id: int) -> EngineVersion | None:
    """Read the reply to VERSION inside a session; None when it is no reply to this very command."""
    prefix = b"%d: " % expected_id
    return parse_version(reply[len(prefix) :]) if reply.startswith(prefix) else None


def parse_version(reply: bytes) -> EngineVersion | None:
    """Read what clamd says of itself.

    Args:
        reply: `ClamAV 1.4.6/27800/Sat Nov 21 09:23:00 2026`, or `ClamAV 1.4.6` where no official base is loaded.

    Returns:
        Who answered; None when this is no reply to VERSION. clamd prints the date of its base in its own local time
        without naming the zone; it is read as UTC, which is exact in containers.
    """
    match = _VERSION.fullmatch(reply.decode("ascii", "replace").strip())
    if match is None:
        return None
    built_ts = None
    if match["date"] is not None:
        try:
            built_ts = calendar.timegm(time.strptime(match["date"], "%a %b %d %H:%M:%S %Y")) * 1000
        except ValueError:
            return None
    return EngineVersion(match["engine"], match["signatures"], built_ts)


def stream_chunk(data: bytes) -> bytes:
    """Frame one non-empty chunk of an INSTREAM: length as unsigned 32 bit big endian, then the bytes."""
    return len(data).to_bytes(4, "big") + data


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ClamdAddress:
    """Where a clamd listens.

    Attributes:
        path: of the unix socket; None for TCP.
        host: name or IP address, IPv6 without brackets; None for a unix socket.
        port: 1 to 65535; None for a unix socket.
    """

    path: str | None = None
    host: str | None = None
    port: int | None = None

    @property
    def transport(self) -> Transport:
        """FILDES needs a unix socket; over TCP the bytes travel by INSTREAM."""
        return Transport.FILDES if self.path is not None else Transport.INSTREAM


def parse_address(address: str) -> ClamdAddress:
    """Read `unix:/path` or `tcp:host:port`.

    Raises:
        ValueError: with a sentence that says what would be right.
    """
    scheme, _, rest = address.partition(":")
    if scheme == "unix" and rest.startswith("/"):
        # sun_path holds 108 bytes with its terminator (unix(7)).
        if len(rest.encode()) > 107 or "\0" in rest:
            raise ValueError("the path of a unix socket has at most 107 bytes")
        return ClamdAddress(path=rest)
    host, _, port = rest.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if scheme == "tcp" and host and not re.search(r"[\s/\[\]]", host) and re.fullmatch(r"\d{1,5}", port):
        if not 1 <= int(port) <= 65535:
            raise ValueError("the port must be between 1 and 65535")
        return ClamdAddress(host=host, port=int(port))
    raise ValueError("use unix:/path/to/clamd.ctl or tcp:host:port")
