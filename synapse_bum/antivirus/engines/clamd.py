"""A clamd at one address, asked through Twisted: FILDES over a unix socket, INSTREAM over TCP.

Connections are IDSESSIONs that are reused, with one command in flight on each: a reply can then belong to no other
file, and with eight connections this is as fast as eight commands in flight on one (clamd 1.4.6). What replies mean
stands in `clamd_protocol.py`; this file only moves bytes, keeps deadlines and never raises for what clamd or the
network does.
"""

import errno
import fcntl
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import DeferredLock, DeferredSemaphore
from twisted.internet.defer import TimeoutError as DeadlineError
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from synapse_bum.antivirus.engines import clamd_protocol
from synapse_bum.antivirus.engines.clamd_canary import Canaries
from synapse_bum.antivirus.engines.clamd_protocol import Transport
from synapse_bum.antivirus.engines.clamd_session import BrokenSessionError, ClamdSession
from synapse_bum.antivirus.engines.engine import Clean, EngineError, EngineVersion, Failed, FailureReason, ScanResult

if TYPE_CHECKING:
    from twisted.internet.base import ReactorBase

CHUNK_BYTES = 256 * 1024
"""Length of one INSTREAM chunk."""

IDLE_LIMIT_S = 5.0
"""How long an unused session is kept; clamd drops it after its ReadTimeout (default 120 s), ours must be shorter."""

QUESTION_TIMEOUT_S = 30.0
"""Time limit of VERSION, unless that of a scan is shorter. Without concurrent reload clamd is silent while it loads."""


def _tcp_endpoint(host: str) -> Callable[..., IStreamClientEndpoint]:
    """HostnameEndpoint takes 0.3 s to say that nobody listens; an address needs none of what it does."""
    if isIPAddress(host):
        return TCP4ClientEndpoint
    return TCP6ClientEndpoint if isIPv6Address(host) else HostnameEndpoint


class ClamdEngine:
    """One clamd.

    Attributes:
        address: as configured.
        transport: `FILDES` or `INSTREAM`.
        incarnation: see `Engine`.
    """

    def __init__(
        self,
        reactor: "ReactorBase",
        address: str,
        *,
        timeout_s: float,
        max_connections: int,
        read_pool: ThreadPool,
    ) -> None:
        """Prepare; nothing is asked or connected yet.

        Args:
            reactor: Twisted's reactor; nothing is connected before the first scan.
            address: `unix:/path` or `tcp:host:port`.
            timeout_s: for one scan, from the moment it has a connection slot; waiting for a slot has the same limit.
            max_connections: scans in flight at most.
            read_pool: threads that read files for INSTREAM.

        Raises:
            ValueError: the address is none.
        """
        where = clamd_protocol.parse_address(address)
        self.address = address
        self._transport = where.transport
        self.transport = where.transport.name
        self._reactor = reactor
        self._timeout_s = timeout_s
        self._read_pool = read_pool
        self._slots = DeferredSemaphore(max_connections)
        self._sessions = Factory.forProtocol(ClamdSession)
        self._idle: deque[ClamdSession] = deque()
        self._canaries = Canaries(self._fly_canary, self._clock.seconds)
        self._open: set[ClamdSession] = set()
        self._closed = False
        self._watched: ClamdSession | None = None
        self._asking = DeferredLock()
        self.incarnation = 0
        self._sweep: IDelayedCall | None = None
        self._endpoint: IStreamClientEndpoint
        if where.path is not None:
            self._endpoint = UNIXClientEndpoint(reactor, where.path, timeout=timeout_s)
        else:
            host, port = cast("str", where.host), cast("int", where.port)
            self._endpoint = _tcp_endpoint(host)(reactor, host, port, timeout=timeout_s)

    async def scan(self, fd: int, size: int) -> ScanResult:
        """See `Engine.scan`."""
        slot = self._slots.acquire()
        try:
            await (slot if slot.called else slot.addTimeout(self._timeout_s, self._clock))
        except DeadlineError:
            return Failed(FailureReason.BUSY, f"no free connection to {self.address} within {self._timeout_s:g} s")
        try:
            return await self._scan_in_slot(fd, size)
        finally:
            self._slots.release()

    @property
    def _clock(self) -> IReactorTime:
        return cast("IReactorTime", self._reactor)

    async def _scan_in_slot(self, fd: int, size: int) -> ScanResult:
        deadline = self._clock.seconds() + self._timeout_s
        while True:
            reused = bool(self._idle)
            try:
                session = self._idle.pop() if reused else await self._connect(deadline)
            except EngineError as error:
                return Failed(error.reason, error.detail)
            try:
                reply = await self._ask(session, fd, size, deadline)
            except BrokenSessionError as broken:
                session.abort()
                if broken.handed_over and not self._closed:
                    return Failed(FailureReason.LOST, f"{self.address}: {broken.detail}")
                if not reused or self._closed:
                    return Failed(FailureReason.UNREACHABLE, f"{self.address}: {broken.detail}")
                # clamd had dropped an idle session; it has seen nothing of the file, so a new connection is no second
                # try.
            except DeadlineError:
                session.abort()
                return Failed(FailureReason.TIMEOUT, f"{self.address}: no reply within {self._timeout_s:g} s")
            except OSError as error:
                session.abort()
                return Failed(FailureReason.UNREADABLE, f"the file could not be read: {error.strerror}")
            else:
                return await self._confirmed(session, self._conclude(session, reply))

    async def _confirmed(self, session: ClamdSession, result: ScanResult) -> ScanResult:
        """Doubt a clamd that says OK to a descriptor; keep the session for the next scan."""
        ticket = session.ticket
        if not isinstance(result, Failed) and session.usable:
            self._keep(session)
        if ticket is None or not isinstance(result, Clean):
            return result
        if not await self._canaries.vouch_for(ticket):
            detail = f"{self.address} says OK, but a test scan fails: is TemporaryDirectory writable, is its disk full?"
            return Failed(FailureReason.UNFIT, detail)
        return result

    async def _fly_canary(self) -> bool:
        deadline = self._clock.seconds() + self._timeout_s
        while True:
            reused = bool(self._idle)
            try:
                session = self._idle.pop() if reused else await self._connect(deadline)
            except EngineError:
                return False
            try:
                session.send_canary()
                reply = await session.next_reply().addTimeout(max(0.0, deadline - self._clock.seconds()), self._clock)
            except (BrokenSessionError, DeadlineError, OSError):
                session.abort()
                if not reused:
                    return False
                continue  # clamd may have dropped an idle session; on a new connection that is no excuse
            lived = clamd_protocol.canary_lives(reply, session.commands)
            if lived and session.usable:
                self._keep(session)
            else:
                session.abort()
            return lived

    def _conclude(self, session: ClamdSession, reply: bytes) -> ScanResult:
        result = clamd_protocol.scan_result(reply, self._transport, session.commands)
        if session.sending:
            # The rest of the file was never sent: the session is spent, and "OK" says nothing about that rest.
            session.abort()
            if isinstance(result, Clean):
                return Failed(FailureReason.NOT_UNDERSTOOD, f"{self.address}: OK before the whole file was sent")
            return result
        if isinstance(result, Failed):
            session.abort()
        return result

    def _keep(self, session: ClamdSession) -> None:
        session.idle_since = self._clock.seconds()
        self._idle.append(session)
        if self._sweep is None:
            self._sweep = self._clock.callLater(IDLE_LIMIT_S, self._drop_idle)

    def _drop_idle(self) -> None:
        self._sweep = None
        oldest_allowed = self._clock.seconds() - IDLE_LIMIT_S
        while self._idle and self._idle[0].idle_since <= oldest_allowed:
            self._idle.popleft().abort()
        if self._idle:
            wait = max(0.0, self._idle[0].idle_since - oldest_allowed)
            self._sweep = self._clock.callLater(wait, self._drop_idle)

    async def _connect(self, deadline: float) -> ClamdSession:
        if self._closed:
            raise EngineError(FailureReason.UNREACHABLE, f"the connections to {self.address} were closed")
        remaining = max(0.0, deadline - self._clock.seconds())
        try:
            connected = self._endpoint.connect(self._sessions).addTimeout(remaining, self._clock)
            session = cast("ClamdSession", await connected)
        except (DeadlineError, ConnectingCancelledError):
            raise EngineError(FailureReason.UNREACHABLE, f"no connection to {self.address} in time") from None
        except (ConnectError, DNSLookupError, OSError) as error:
            raise EngineError(FailureReason.UNREACHABLE, f"no connection to {self.address}: {error}") from None
        # Those that are gone are dropped here, where there are never many.
        self._open = {one for one in self._open if one.usable} | {session}
        return session

    async def _ask(self, session: ClamdSession, fd: int, size: int, deadline: float) -> bytes:
        if not session.usable:
            raise BrokenSessionError("clamd closed the connection", handed_over=False)
        remaining = max(0.0, deadline - self._clock.seconds())
        if self._transport is Transport.FILDES:
            if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
                # clamd says OK to a descriptor that it can't read.
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            try:
                session.pass_descriptor(fd)
            except OSError as error:
                raise BrokenSessionError(str(error.strerror or error), handed_over=False) from None
            session.ticket = self._canaries.scan_begins()
            return await session.next_reply().addTimeout(remaining, self._clock)
        session.start_stream()
        reply = session.next_reply().addTimeout(remaining, self._clock)
        try:
            await self._send_stream(session, fd, size)
        except OSError:
            reply.addErrback(lambda _: None)
            raise
        return await reply

    async def _send_stream(self, session: ClamdSession, fd: int, size: int) -> None:
        # An own descriptor: after a time-out the caller closes his while a thread may still be reading.
        own_fd = os.dup(fd)
        try:
            offset = 0
            while offset < size:
                wanted = min(CHUNK_BYTES, size - offset)
                data = await deferToThreadPool(self._reactor, self._read_pool, os.pread, own_fd, wanted, offset)
                if session.replied or not session.usable:
                    return
                if not data:
                    raise OSError(0, "it became shorter while it was scanned")
                offset += len(data)
                session.transport.write(clamd_protocol.stream_chunk(data))
                room = session.room()
                if room is not None:
                    await room
            if session.usable and not session.replied:
                session.end_stream()
        finally:
            os.close(own_fd)

    async def version(self) -> EngineVersion:
        """See `Engine.version`.

        Asked in a session that is kept: when it ends, clamd may have been restarted, and `incarnation` changes at once.
        """
        await self._asking.acquire()
        try:
            return await self._ask_version(self._clock.seconds() + min(QUESTION_TIMEOUT_S, self._timeout_s))
        finally:
            self._asking.release()

    async def _ask_version(self, deadline: float) -> EngineVersion:
        if self._watched is None:
            self._watched = await self._connect(deadline)
            self._watched.on_lost = self._watched_is_lost
        session = self._watched
        try:
            session.ask_version()
            reply = await session.next_reply().addTimeout(max(0.0, deadline - self._clock.seconds()), self._clock)
        except DeadlineError:
            raise EngineError(FailureReason.TIMEOUT, f"{self.address}: no reply to VERSION") from None
        except BrokenSessionError as broken:
            raise EngineError(FailureReason.LOST, f"{self.address}: {broken.detail}") from None
        version = clamd_protocol.session_version(reply, session.commands)
        if version is None:
            session.abort()
            detail = f"{self.address}: no version in {clamd_protocol.printable(reply)}"
            raise EngineError(FailureReason.NOT_UNDERSTOOD, detail)
        return version

    def _watched_is_lost(self) -> None:
        self._watched = None
        self.incarnation += 1

    async def close(self) -> None:
        """See `Engine.close`."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._closed = True
        self._idle.clear()
        for session in self._open:
            session.abort()
