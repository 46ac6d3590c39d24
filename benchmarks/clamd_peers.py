"""Other ways to have a clamd scan files: what our own path is compared with.

All block, and use threads for more than one file at a time. Each opens the file itself, as our gate does, and insists
on "OK": a scan that failed fast must not look like a fast scan.
"""

import itertools
import os
import resource
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from benchmarks.measuring import Batch
from synapse_bum.testing.clamd import RealClamd

_REPLY_SECONDS: Final = 60
_START_SESSION: Final = b"zIDSESSION\0"
_SCAN: Final = b"zFILDES\0\0"

ScanOne: TypeAlias = Callable[[Path], None]


class UnexpectedReplyError(Exception):
    """A peer did not say "clean"."""


class Peer(Protocol):
    """One way to have files scanned."""

    name: str

    def scan(self, paths: Sequence[Path], concurrency: int) -> Batch:
        """Scan all files, `concurrency` at a time.

        Raises:
            UnexpectedReplyError: one was not clean.
        """


class RawConnections:
    """FILDES, each file on a connection of its own."""

    name = "raw FILDES, connection a file"

    def __init__(self, clamd: RealClamd) -> None:
        self._path = str(clamd.socket_path)

    def scan(self, paths: Sequence[Path], concurrency: int) -> Batch:
        """See `Peer`."""
        return _scan_in_threads([self._scan_one] * concurrency, paths)

    def _scan_one(self, path: Path) -> None:
        with _opened(path) as fd, _connected(self._path) as connection:
            socket.send_fds(connection, [_SCAN], [fd])
            _expect_ok(_read_reply(connection))


class RawSessions:
    """FILDES in IDSESSIONs: one a thread, open before the clock starts."""

    name = "raw FILDES, IDSESSION a thread"

    def __init__(self, clamd: RealClamd) -> None:
        self._path = str(clamd.socket_path)

    def scan(self, paths: Sequence[Path], concurrency: int) -> Batch:
        """See `Peer`."""
        with ExitStack() as sessions:
            connections = [sessions.enter_context(_session(self._path)) for _ in range(concurrency)]
            return _scan_in_threads([_scan_in_session(connection) for connection in connections], paths)


class RawWindow:
    """FILDES in one IDSESSION with several commands in flight, without threads."""

    name = "raw FILDES, one IDSESSION with a window"

    def __init__(self, clamd: RealClamd) -> None:
        self._path = str(clamd.socket_path)

    def scan(self, paths: Sequence[Path], concurrency: int) -> Batch:
        """See `Peer`."""
        sent_at: dict[int, float] = {}
        seconds_each: list[float] = []
        buffer = b""
        numbered = enumerate(paths, start=1)
        with _session(self._path) as connection:

            def send(number: int, path: Path) -> None:
                sent_at[number] = time.perf_counter()
                with _opened(path) as fd:
                    socket.send_fds(connection, [_SCAN], [fd])

            began, cpu_began = time.perf_counter(), _cpu_seconds()
            for number, path in itertools.islice(numbered, concurrency):
                send(number, path)
            while len(seconds_each) < len(paths):
                received = connection.recv(4096)
                if not received:
                    raise UnexpectedReplyError("clamd closed the session")
                *replies, buffer = (buffer + received).split(b"\0")
                for reply in replies:
                    _expect_ok(reply)
                    seconds_each.append(time.perf_counter() - sent_at[int(reply.split(b":", 1)[0])])
                    for number, path in itertools.islice(numbered, 1):
                        send(number, path)
            return Batch(seconds_each, time.perf_counter() - began, _cpu_seconds() - cpu_began)


class ClamdPackage:
    """The Python package `clamd`: INSTREAM, each file on a connection of its own."""

    name = "`clamd` package, instream"

    @staticmethod
    def missing() -> str | None:
        """Why this peer can't take part, as a sentence; None when it can."""
        return None if find_spec("clamd") else "The Python package `clamd` is not installed, so it takes no part."

    def __init__(self, clamd: RealClamd) -> None:
        self._path = str(clamd.socket_path)
        self._package = import_module("clamd")

    def scan(self, paths: Sequence[Path], concurrency: int) -> Batch:
        """See `Peer`."""
        return _scan_in_threads([self._scan_one] * concurrency, paths)

    def _scan_one(self, path: Path) -> None:
        with path.open("rb") as file:
            reply = self._package.ClamdUnixSocket(self._path, timeout=_REPLY_SECONDS).instream(file)
        if reply != {"stream": ("OK", None)}:
            raise UnexpectedReplyError(repr(reply))


class Clamdscan:
    """ClamAV's own client, a process for each file, as content scanners for Matrix call it."""

    name = "`clamdscan --fdpass`"

    @staticmethod
    def missing() -> str | None:
        """Why this peer can't take part, as a sentence; None when it can."""
        if shutil.which("clamdscan"):
            return None
        return "`clamdscan` is not installed, so it takes no part: on Debian and Ubuntu, `apt-get install clamdscan`."

    def __init__(self, clamd: RealClamd) -> None:
        self._configuration = clamd.directory / "clamd.conf"

    def scan(self, paths: Sequence[Path], concurrency: int) -> Batch:
        """See `Peer`."""
        return _scan_in_threads([self._scan_one] * concurrency, paths)

    def _scan_one(self, path: Path) -> None:
        command = ["clamdscan", "--fdpass", "--no-summary", f"--config-file={self._configuration}", str(path)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=_REPLY_SECONDS)
        if done.returncode != 0:
            raise UnexpectedReplyError(repr(done.stdout + done.stderr))


def _scan_in_threads(workers: Sequence[ScanOne], paths: Sequence[Path]) -> Batch:
    remaining = iter(paths)
    seconds_each: list[float] = []

    def work(scan_one: ScanOne) -> None:
        # `next` on a list's iterator is one step for the interpreter, so threads may share it.
        for path in remaining:
            began = time.perf_counter()
            scan_one(path)
            seconds_each.append(time.perf_counter() - began)

    began, cpu_began = time.perf_counter(), _cpu_seconds()
    if len(workers) == 1:
        work(workers[0])
    else:
        with ThreadPoolExecutor(len(workers)) as threads:
            list(threads.map(work, workers))
    return Batch(seconds_each, time.perf_counter() - began, _cpu_seconds() - cpu_began)


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _connected(path: str) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        # The kernel's time limit, because that of `settimeout` costs one more system call for each read.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _REPLY_SECONDS, 0))
        connection.connect(path)
        yield connection


@contextmanager
def _session(path: str) -> Iterator[socket.socket]:
    with _connected(path) as connection:
        connection.sendall(_START_SESSION)
        yield connection


def _scan_in_session(connection: socket.socket) -> ScanOne:
    def scan_one(path: Path) -> None:
        with _opened(path) as fd:
            socket.send_fds(connection, [_SCAN], [fd])
            _expect_ok(_read_reply(connection))

    return scan_one


def _read_reply(connection: socket.socket) -> bytes:
    reply = b""
    while not reply.endswith(b"\0"):
        received = connection.recv(4096)
        if not received:
            raise UnexpectedReplyError(f"clamd closed the connection after {reply!r}")
        reply += received
    return reply[:-1]


def _expect_ok(reply: bytes) -> None:
    if not reply.endswith(b"]: OK"):
        raise UnexpectedReplyError(repr(reply))
