"""One connection to clamd: an IDSESSION with one command in flight.

Only the side of Twisted: what is sent and what replies mean stands in `clamd_protocol.py`, when and why in `clamd.py`.
"""

import errno
import os
import socket
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from synapse_bum.antivirus.engines import clamd_protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.tcp import Connection

    from synapse_bum.antivirus.engines.clamd_canary import Ticket


class BrokenSessionError(Exception):
    """The session can't be used any more.

    Attributes:
        detail: for the operator.
        handed_over: whether clamd had got the file, so that the file may be the cause.
    """

    def __init__(self, detail: str, *, handed_over: bool) -> None:
        super().__init__(detail)
        self.detail = detail
        self.handed_over = handed_over


@implementer(IPushProducer)
class ClamdSession(Protocol):
    """One connection, one command at a time.

    Attributes:
        commands: how many were sent; clamd counts them too, from 1.
        idle_since: by the reactor's clock, in seconds; set by whoever keeps idle sessions.
        usable: whether another command can be sent.
        sending: whether a stream was begun and not ended.
        ticket: of the scan in flight, where canaries have to vouch for it.
        on_lost: called once when the connection is gone.
    """

    transport: "Connection"

    def __init__(self) -> None:
        self.commands = 0
        self.idle_since = 0.0
        self.usable = False
        self.sending = False
        self.ticket: Ticket | None = None
        self.on_lost: Callable[[], None] | None = None
        self._reader = clamd_protocol.ReplyReader()
        self._reply: Deferred[bytes] | None = None
        self._room: Deferred[None] | None = None
        self._paused = False

    def connectionMade(self) -> None:
        """Called by Twisted."""
        self.usable = True

    def dataReceived(self, data: bytes) -> None:
        """Called by Twisted with pieces of any size."""
        self._reader.feed(data)
        try:
            reply = self._reader.next_reply()
        except clamd_protocol.ReplyTooLongError:
            self._break("a reply longer than any of clamd's")
            return
        if reply is None:
            return
        waiting, self._reply = self._reply, None
        if waiting is None or self._reader.pending:
            # Nobody asked for this: whatever follows on this connection could be taken for another file's verdict.
            self._reply = waiting
            self._break("more replies than commands")
            return
        waiting.callback(reply)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Called by Twisted, whoever closed the connection."""
        on_lost, self.on_lost = self.on_lost, None
        if on_lost is not None:
            on_lost()
        self._break("clamd closed the connection" if reason.check(ConnectionDone) else "the connection broke")

    def _break(self, detail: str) -> None:
        self.abort()
        waiting, self._reply = self._reply, None
        if waiting is not None:
            waiting.errback(BrokenSessionError(detail, handed_over=True))

    def abort(self) -> None:
        """Close at once; nothing is expected any more."""
        self.usable = False
        self.transport.abortConnection()
        self.resumeProducing()

    def next_reply(self) -> "Deferred[bytes]":
        """Wait for the reply to the command that was just sent."""
        self._reply = Deferred(self._cancelled)
        return self._reply

    def _cancelled(self, _: "Deferred[bytes]") -> None:
        self._reply = None
        self.abort()

    @property
    def replied(self) -> bool:
        """Whether the reply to the last command came already."""
        return self._reply is None

    def pass_descriptor(self, fd: int) -> None:
        """Ask for a scan of what is behind `fd`.

        One message past Twisted's buffer, which is empty here and stays so: Twisted would attach the descriptor to the
        first byte of the command, where clamd refuses it. Nine bytes go whole or not at all.

        Raises:
            OSError: the connection is gone or the kernel has no room; the descriptor has not been sent.
        """
        socket.send_fds(self._socket(), [self._started(clamd_protocol.SCAN_DESCRIPTOR)], [fd])
        self.commands += 1

    def send_canary(self) -> None:
        """Ask whether clamd is able to scan, past Twisted's buffer as `pass_descriptor`.

        Raises:
            OSError: as there.
        """
        self._socket().send(self._started(clamd_protocol.CANARY))
        self.commands += 1

    def ask_version(self) -> None:
        """Ask who answers; the session stays usable."""
        self.transport.write(self._started(clamd_protocol.VERSION))
        self.commands += 1

    def _started(self, command: bytes) -> bytes:
        return clamd_protocol.START_SESSION + command if self.commands == 0 else command

    def _socket(self) -> socket.socket:
        if not self.usable:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        connection: socket.socket = self.transport.getHandle()
        return connection

    def start_stream(self) -> None:
        """Ask for a scan of the chunks that follow."""
        if self.commands == 0:
            # Small writes follow each other and clamd answers only the last: Nagle would wait 40 ms for its ACK.
            self.transport.setTcpNoDelay(True)
            self.transport.registerProducer(self, streaming=True)
            self.transport.write(clamd_protocol.START_SESSION)
        self.transport.write(clamd_protocol.SCAN_STREAM)
        self.commands += 1
        self.sending = True

    def end_stream(self) -> None:
        """Say that the file is complete."""
        self.transport.write(clamd_protocol.STREAM_END)
        self.sending = False

    def room(self) -> "Deferred[None] | None":
        """What to wait for before more is written; None when there is room now."""
        if self._paused and self.usable and not self.replied:
            self._room = Deferred()
            return self._room
        return None

    def pauseProducing(self) -> None:
        """Called by Twisted when its buffer is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Called by Twisted when its buffer is empty."""
        self._paused = False
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """Called by Twisted when the connection is gone."""
        self.resumeProducing()
