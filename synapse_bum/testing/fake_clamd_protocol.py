"""The fake clamd's side of one connection: what it understands, what it answers, and how it misbehaves.

What clamd 1.4.6 was observed to do, on unix and TCP sockets, and what is done here:

* One command per connection, then clamd closes. Inside `IDSESSION` each command has a number, counted from 1, and its
  reply begins with it: `2: fd[11]: OK`. Replies come in any order. A reply ends like its command: NUL for `z`, newline
  for `n`.
* `fd[11]: OK`, `stream: OK`, `fd[11]: <name> FOUND`, and for an empty file `OK`. The number in brackets is clamd's own.
* FILDES wants one more byte after the command, of any value. The descriptor counts if it has arrived with that byte or
  earlier, in a read after which the whole command is there; one that arrives before is `PROTOCOL ERROR: ancillary data
  sent without FILDES. ERROR`, two in one message are `No file descriptor received. ERROR`. Both end the connection.
* `INSTREAM size limit exceeded. ERROR` (no `stream: `) ends the connection, a session and its pending scans included.
* `UNKNOWN COMMAND`; in a session `1: Command invalid inside IDSESSION. ERROR`, for RELOAD too. Both end the connection.
* `COMMAND READ TIMED OUT` ends in a newline and has no number, whatever the command was: `TIMED_OUT`.
* A client that closes its sending half in a session loses the replies that are pending.
* clamd has no reply for a full queue: beyond MaxQueue it reads no more, and even PING waits. `Answer(stall_after=0)`
  does so.
"""

import array
import contextlib
import hashlib
import os
import socket
import stat
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import attr

from synapse_bum.testing.clamd import EICAR_SIGNATURE
from synapse_bum.testing.malware import EICAR

_READ_BYTES: Final = 64 * 1024
_MAX_DESCRIPTORS: Final = 8
_SUBJECTS: Final = {"FILDES": "fd[11]", "INSTREAM": "stream"}
_TERMINATORS: Final = {ord("z"): b"\0", ord("n"): b"\n"}
_NOT_IN_SESSIONS: Final = frozenset({"IDSESSION", "RELOAD"})
_CHUNK_LENGTH: Final = struct.Struct(">L")
_BETWEEN_PIECES: Final = 0.001


@attr.s(auto_attribs=True, frozen=True, slots=True, kw_only=True)
class Answer:
    """What the fake does with one command. By default it answers as clamd would.

    Attributes:
        verdict: what follows `fd[11]: ` or `stream: `, for example `OK` or `Can't write to file ERROR`; None: what
            clamd would say of the content with nothing but `eicar.ndb`.
        line: the whole reply without number and terminator, in place of the verdict.
        raw: exactly these bytes, in place of the whole reply.
        request_id: the number before the reply of a session, in place of the right one.
        delay: seconds until the reply; other commands of the session are served meanwhile.
        piece_size: send the reply in pieces of so many bytes, a moment apart.
        cut_after: send so many bytes of the reply, then close.
        hang_up_after: close after so many bytes of content, without a reply; 0: right after the command.
        stall_after: read no more from this connection after so many bytes of content, and keep it open.
        silent: take in the content and never reply; the connection stays open.
        hold: keep the reply of a session back, and send it in one write behind the next that is not held. Held replies
            come out in reverse order.
        close: close after the reply, in a session too.
    """

    verdict: str | None = None
    line: str | None = None
    raw: bytes | None = None
    request_id: int | None = None
    delay: float = 0.0
    piece_size: int | None = None
    cut_after: int | None = None
    hang_up_after: int | None = None
    stall_after: int | None = None
    silent: bool = False
    hold: bool = False
    close: bool = False


STREAM_LIMIT: Final = Answer(line="INSTREAM size limit exceeded. ERROR", close=True)
"""What clamd says when a stream is longer than its StreamMaxLength."""

TIMED_OUT: Final = Answer(raw=b"COMMAND READ TIMED OUT\n", close=True)
"""What clamd says when a client was quiet for too long; in a session also while scans are running."""


@attr.s(auto_attribs=True, frozen=True, slots=True, kw_only=True)
class Request:
    """One command as the fake received it.

    Attributes:
        connection: number of the connection, from 1.
        command: without prefix and terminator, for example `FILDES`.
        request_id: the number in the session; None outside one.
        complete: whether all of the content arrived; False where the fake or the client broke off.
        sha256: hex digest of the content that arrived; None for a command without content.
        size: number of its bytes.
        chunk_sizes: lengths of the chunks of an INSTREAM, in bytes.
    """

    connection: int
    command: str
    request_id: int | None = None
    complete: bool = True
    sha256: str | None = None
    size: int = 0
    chunk_sizes: tuple[int, ...] = ()


_NO_DESCRIPTOR: Final = Answer(line="No file descriptor received. ERROR", close=True)
_STRAY_DESCRIPTOR: Final = Answer(
    raw=b"PROTOCOL ERROR: ancillary data sent without FILDES. ERROR\0Error processing command. ERROR\0", close=True
)


Judge: TypeAlias = Callable[[Request], Answer]
"""Decides on a scan whose content is complete."""


class Playbook:
    """What a fake shall say, and what it was asked. Safe to use from any thread.

    Attributes:
        replies: how commands other than scans are answered, by name; may be changed at any time.
        judge: called for each scan that the script does not cover, with its content complete; returns the answer.
        scripted: the commands that take answers from the script; others are answered as clamd would.
        stream_max_length: longest INSTREAM in bytes; None: any.
    """

    def __init__(self) -> None:
        """Begin without a script: scans are answered as clamd would."""
        self.scripted = frozenset({"FILDES", "INSTREAM"})
        self.judge: Judge = lambda _request: Answer()
        self.stream_max_length: int | None = None
        self.replies: dict[str, Answer] = {
            "PING": Answer(line="PONG"),
            "VERSION": Answer(line="ClamAV 1.4.6/27821/Sun Nov 22 08:26:57 2026"),
            "STATS": Answer(line="POOLS: 1\n\nSTATE: VALID PRIMARY\nQUEUE: 0 items\n\nEND"),
            "RELOAD": Answer(line="RELOADING"),
        }
        self._changed = threading.Condition()
        self._script: deque[Answer] = deque()
        self._requests: list[Request] = []

    def script(self, *answers: Answer) -> None:
        """Add answers for the scans to come, one each, in the order of their commands on all connections."""
        with self._changed:
            self._script.extend(answers)

    def next_scripted(self, command: str) -> Answer | None:
        """Take the next answer from the script."""
        with self._changed:
            return self._script.popleft() if self._script and command in self.scripted else None

    def record(self, request: Request) -> None:
        """Note a command."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    @property
    def requests(self) -> list[Request]:
        """All commands so far, in the order in which their content was complete."""
        with self._changed:
            return list(self._requests)

    def wait_for_requests(self, count: int, timeout: float = 30.0) -> list[Request]:
        """Wait until `count` commands have arrived since the beginning, and return all.

        Raises:
            TimeoutError: they have not within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._requests) >= count, timeout):
                raise TimeoutError(f"{len(self._requests)} instead of {count} commands after {timeout:g} s")
            return list(self._requests)


class _OverError(Exception):
    """The conversation ends here: the client left, or the playbook says so."""


class Conversation:
    """One connection, served by the thread that calls `run`."""

    def __init__(self, playbook: Playbook, connection: socket.socket, number: int) -> None:
        """Take a connection; whoever made it closes it after `run`."""
        self._playbook = playbook
        self._connection = connection
        self._number = number
        self._buffer = bytearray()
        self._descriptor: int | None = None
        self._in_session = False
        self._commands = 0
        self._held: list[bytes] = []
        self._late: list[threading.Thread] = []
        self._writing = threading.Lock()
        self._ended = threading.Event()

    def run(self) -> None:
        """Serve until the client or the playbook ends the conversation."""
        try:
            while not self._ended.is_set() and self._serve_command():
                pass
            for thread in self._late:
                thread.join()
        except (_OverError, OSError):
            self._ended.set()
            for thread in self._late:
                thread.join()
        finally:
            self._take(None)

    def abort(self) -> None:
        """End the conversation from any thread, as a crash would: what waits is not sent."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _serve_command(self) -> bool:
        """Answer one command; returns whether another may follow."""
        name, terminator = self._next_command()
        if self._in_session and name == "END":
            self._write(b"".join(reversed(self._held)), Answer())
            return False
        if name == "IDSESSION" and not self._in_session:
            self._in_session = True
            return True
        self._commands += 1
        request = Request(
            connection=self._number, command=name, request_id=self._commands if self._in_session else None
        )
        if name in _SUBJECTS:
            self._scan(request, terminator)
        else:
            self._playbook.record(request)
            self._reply(request, terminator, self._answer_to(name))
        return self._in_session

    def _answer_to(self, name: str) -> Answer:
        answer = self._playbook.replies.get(name)
        if self._in_session and (answer is None or name in _NOT_IN_SESSIONS):
            return Answer(line="Command invalid inside IDSESSION. ERROR", close=True)
        return answer or Answer(line="UNKNOWN COMMAND", close=True)

    def _scan(self, request: Request, terminator: bytes) -> None:
        scripted = self._playbook.next_scripted(request.command)
        content, chunk_sizes = bytearray(), list[int]()
        error, complete = None, False
        try:
            error = self._receive(request.command, scripted or Answer(), content, chunk_sizes)
            complete = error is None
        finally:
            request = attr.evolve(
                request,
                complete=complete,
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
                chunk_sizes=tuple(chunk_sizes),
            )
            self._playbook.record(request)
        answer = error or scripted or self._playbook.judge(request)
        if answer.hang_up_after is not None:
            raise _OverError
        if answer.stall_after is not None:
            self._ended.wait()
            raise _OverError
        if answer.verdict is None and answer.line is None:
            answer = attr.evolve(answer, verdict=f"{EICAR_SIGNATURE} FOUND" if EICAR in content else "OK")
        self._reply(request, terminator, answer)

    def _receive(self, command: str, plan: Answer, content: bytearray, chunk_sizes: list[int]) -> Answer | None:
        """Take in a scan's content; returns what has to be answered in place of a verdict where it is not complete."""
        break_off = plan.stall_after if plan.hang_up_after is None else plan.hang_up_after
        if command == "FILDES":
            if break_off is not None:
                return plan
            return self._receive_descriptor(content)
        while break_off is None or len(content) < break_off:
            (length,) = _CHUNK_LENGTH.unpack(self._read(_CHUNK_LENGTH.size))
            if length == 0:
                return None
            limit = self._playbook.stream_max_length
            if limit is not None and len(content) + length > limit:
                return STREAM_LIMIT
            chunk_sizes.append(length)
            content += self._read(length if break_off is None else min(length, break_off - len(content)))
        return plan

    def _receive_descriptor(self, content: bytearray) -> Answer | None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return _NO_DESCRIPTOR
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return Answer(verdict="Not a regular file ERROR")
            # As clamd does, whatever the position of the descriptor is.
            while piece := os.pread(descriptor, _READ_BYTES, len(content)):
                content += piece
        finally:
            os.close(descriptor)
        return None

    def _next_command(self) -> tuple[str, bytes]:
        """Read the next command; returns its name and how its reply has to end."""
        while (command := self._cut_command()) is None:
            if self._descriptor is not None:
                self._write(_STRAY_DESCRIPTOR.raw or b"", _STRAY_DESCRIPTOR)
                raise _OverError
            self._fill()
        return command

    def _cut_command(self) -> tuple[str, bytes] | None:
        if not self._buffer:
            return None
        terminator = _TERMINATORS.get(self._buffer[0])
        if terminator is None:
            return "", b"\n"
        end = self._buffer.find(terminator)
        name = bytes(self._buffer[1:end])
        length = end + 2 if name == b"FILDES" else end + 1
        if end < 0 or len(self._buffer) < length:
            return None
        del self._buffer[:length]
        return name.decode(errors="replace"), terminator

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _fill(self) -> None:
        """Wait for bytes, and take the descriptor that comes with them; two at once are as none."""
        data, ancillary, _flags, _address = self._connection.recvmsg(
            _READ_BYTES, socket.CMSG_SPACE(_MAX_DESCRIPTORS * array.array("i").itemsize)
        )
        descriptors = array.array("i")
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
        if len(descriptors) == 1:
            self._take(descriptors[0])
        else:
            for descriptor in descriptors:
                os.close(descriptor)
        if not data:
            raise _OverError
        self._buffer += data

    def _take(self, descriptor: int | None) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = descriptor

    def _reply(self, request: Request, terminator: bytes, answer: Answer) -> None:
        if answer.silent:
            if not self._in_session:
                self._wait_for_client_to_leave()
            return
        subject = f"{_SUBJECTS[request.command]}: " if request.command in _SUBJECTS else ""
        text = f"{subject}{answer.verdict}" if answer.line is None else answer.line
        if request.request_id is not None:
            text = f"{request.request_id if answer.request_id is None else answer.request_id}: {text}"
        reply = text.encode() + terminator if answer.raw is None else answer.raw
        if answer.hold:
            self._held.append(reply)
            return
        reply += b"".join(reversed(self._held))
        self._held.clear()
        if answer.delay:
            thread = threading.Thread(target=self._write_late, args=(reply, answer), daemon=True)
            self._late.append(thread)
            thread.start()
        else:
            self._write(reply, answer)

    def _write_late(self, reply: bytes, answer: Answer) -> None:
        if not self._ended.wait(answer.delay):
            with contextlib.suppress(OSError):
                self._write(reply, answer)

    def _write(self, reply: bytes, answer: Answer) -> None:
        reply = reply[: answer.cut_after]
        size = answer.piece_size or max(len(reply), 1)
        with self._writing:
            for start in range(0, len(reply), size):
                if start:
                    time.sleep(_BETWEEN_PIECES)
                self._connection.sendall(reply[start : start + size])
        if answer.close or answer.cut_after is not None:
            self.abort()

    def _wait_for_client_to_leave(self) -> None:
        while True:
            self._fill()
            self._buffer.clear()
