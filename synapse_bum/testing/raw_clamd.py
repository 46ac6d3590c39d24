"""A plain blocking clamd client: sends what it is told and returns the bytes that come back. Judges nothing.

For tests of fake and real servers, and the yardstick that benchmarks compare with.
"""

import contextlib
import os
import socket
import struct
from array import array
from collections.abc import Iterator
from typing import Final, TypeAlias

import attr

REPLY_SECONDS: Final = 30.0
_READ_BYTES: Final = 64 * 1024
_LENGTH: Final = struct.Struct(">L")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class WithDescriptors:
    """Bytes to be sent in one message together with file descriptors (`SCM_RIGHTS`).

    Attributes:
        data: at least one byte.
        descriptors: one, as clamd wants it, or more, as it does not.
    """

    data: bytes
    descriptors: tuple[int, ...]


Part: TypeAlias = bytes | WithDescriptors
"""What is sent in one system call."""


def connect(address: str, timeout: float = REPLY_SECONDS) -> socket.socket:
    """Connect to `unix:/path` or `tcp:host:port`.

    Args:
        address: of a clamd.
        timeout: seconds for connecting, and for each wait on the connection.

    Raises:
        OSError: nobody listens there.
    """
    kind, _, where = address.partition(":")
    if kind == "tcp":
        host, _, port = where.rpartition(":")
        return socket.create_connection((host, int(port)), timeout)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(where)
    except OSError:
        connection.close()
        raise
    return connection


def send(connection: socket.socket, part: Part) -> None:
    """Send one part; `OSError` as sockets raise it."""
    if isinstance(part, bytes):
        connection.sendall(part)
    else:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", part.descriptors))
        sent = connection.sendmsg([part.data], [rights])
        assert sent == len(part.data), "the kernel took only part of a short message"


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the server closes. A reset counts as the end: clamd resets when it closes with bytes unread.

    Raises:
        TimeoutError: the server neither wrote nor closed in time.
    """
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(_READ_BYTES):
            received += data
    return bytes(received)


def exchange(address: str, *parts: Part, timeout: float = REPLY_SECONDS) -> bytes:
    """Connect, send all parts, and read until the server closes; one that closes early is read to its end all the same.

    Raises:
        OSError: nobody listens there, or no end within `timeout` seconds of silence (`TimeoutError`).
    """
    with connect(address, timeout) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                send(connection, part)
        return read_to_end(connection)


def scan_descriptor(address: str, descriptor: int) -> bytes:
    """FILDES on a connection of its own."""
    return exchange(address, descriptor_scan(descriptor))


def scan_stream(address: str, content: bytes, chunk_size: int = 64 * 1024) -> bytes:
    """INSTREAM on a connection of its own."""
    return exchange(address, *stream_scan(content, chunk_size))


def descriptor_scan(descriptor: int) -> WithDescriptors:
    """Make the message for one FILDES: command, the extra byte that clamd wants, and descriptor at once."""
    return WithDescriptors(b"zFILDES\0\0", (descriptor,))


def stream_scan(content: bytes, chunk_size: int = 64 * 1024) -> Iterator[bytes]:
    """Make the parts of one INSTREAM: the command, each chunk behind its length, and the empty chunk that ends it."""
    yield b"zINSTREAM\0"
    for start in range(0, len(content), chunk_size):
        chunk = content[start : start + chunk_size]
        yield _LENGTH.pack(len(chunk)) + chunk
    yield _LENGTH.pack(0)


@contextlib.contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """Hold content in a file without a name; yields its descriptor, with the position at its end."""
    descriptor = os.memfd_create("synapse_bum-test")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield descriptor
    finally:
        os.close(descriptor)
