"""A scanner behind ICAP (RFC 3507), asked through Twisted: RESPMOD with the file as the body of an HTTP response.

The wire format stands in `icap_protocol.py`, the course of a request in `icap_exchange.py`, the meaning of replies in
`icap_verdict.py`; here the file is read and sent, deadlines are kept, and nothing is raised for what the server or the
network does.

A scan waits at most `timeout_s` for its turn (`Failed(BUSY)`), and from then on takes at most `timeout_s` again, with
connect and OPTIONS included. It is tried once; only where the server had closed an idle connection without a word, the
same is asked again on a new one.
"""

import hashlib
import os
from typing import TYPE_CHECKING, cast

import attr
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from synapse_bum.antivirus.engines import icap_protocol, icap_verdict
from synapse_bum.antivirus.engines.engine import EngineError, EngineVersion, Failed, FailureReason, ScanResult
from synapse_bum.antivirus.engines.icap_connection import (
    ConnectionLostError,
    IcapConnection,
    IcapConnections,
    NoConnectionError,
)
from synapse_bum.antivirus.engines.icap_exchange import OptionsExchange, RespmodExchange, SentBack
from synapse_bum.antivirus.engines.icap_protocol import LAST_CHUNK, encode_chunk
from synapse_bum.antivirus.engines.icap_verdict import ServiceOptions

if TYPE_CHECKING:
    from twisted.internet.base import ReactorBase
    from twisted.internet.interfaces import IReactorTime

PIECE_BYTES = 256 * 1024
"""How much of the file is read and sent at a time."""

QUESTION_TIMEOUT_S = 5.0
"""Time limit of `version`."""

CONNECT_TIMEOUT_S = 4.0
"""Time limit for a connection; the shorter one, so that a host that is not there counts as absent and not as hung."""


@attr.s(auto_attribs=True, slots=True)
class _Progress:
    """How far a scan got.

    Attributes:
        asked: the request for the scan has been sent, so what goes wrong now may be the file's doing.
    """

    asked: bool = False


class _File:
    """The caller's file, by a descriptor of our own: he closes his after a time-out, when a thread may still read."""

    def __init__(self, reactor: "ReactorBase", read_pool: ThreadPool, fd: int, size: int) -> None:
        self.size = size
        self._reactor = reactor
        self._read_pool = read_pool
        self._fd = os.dup(fd)
        self._reading = False
        self._closed = False

    async def read(self, offset: int) -> bytes:
        """Read the next piece in a thread.

        Raises:
            OSError: it can't be read, or has become shorter.
        """
        length = min(PIECE_BYTES, self.size - offset)
        self._reading = True
        in_thread = deferToThreadPool(self._reactor, self._read_pool, _read_piece, self._fd, length, offset)
        # Of its own, because cancelling `in_thread` would hide when the thread is done.
        result: Deferred[bytes] = Deferred()
        in_thread.addBoth(self._end_reading).addCallbacks(result.callback, result.errback)
        return await result

    async def sha256(self) -> bytes:
        """Digest of the whole file. Raises as `read` does."""
        digest = hashlib.sha256()
        for offset in range(0, self.size, PIECE_BYTES):
            digest.update(await self.read(offset))
        return digest.digest()

    def _end_reading(self, outcome: bytes) -> bytes:
        self._reading = False
        if self._closed:
            os.close(self._fd)
        return outcome

    def close(self) -> None:
        """Let the descriptor go as soon as nobody reads it."""
        self._closed = True
        if not self._reading:
            os.close(self._fd)


class IcapEngine:
    """One ICAP service.

    Attributes:
        address: as configured.
        transport: `ICAP`.
        incarnation: always 0: a restart of the server shows only in its ISTag.
    """

    incarnation = 0

    def __init__(
        self,
        reactor: "ReactorBase",
        address: str,
        *,
        timeout_s: float,
        max_connections: int,
        read_pool: ThreadPool | None = None,
    ) -> None:
        """Connect nothing before the first question.

        Args:
            reactor: Twisted's reactor.
            address: `icap://host:1344/virus_scan`. Arguments for the service (`?name=value&...`) are sent as they are;
                without any, c-icap is given those that make it scan everything.
            timeout_s: for one scan, from the moment it has its turn; the wait for a turn has the same limit again.
            max_connections: scans in flight at most; fewer where the server says so.
            read_pool: threads that read files; the reactor's own when None.

        Raises:
            ValueError: the address is none.
        """
        self.address = address
        self.transport = "ICAP"
        self._where = icap_protocol.parse_address(address)
        self._reactor = reactor
        self._clock = cast("IReactorTime", reactor)
        self._timeout_s = timeout_s
        self._max_connections = max_connections
        self._read_pool = reactor.getThreadPool() if read_pool is None else read_pool
        endpoint = HostnameEndpoint(reactor, self._where.host, self._where.port, timeout=CONNECT_TIMEOUT_S)
        self._connections = IcapConnections(self._clock, endpoint, max_connections)
        self._options: ServiceOptions | None = None
        self._options_until = 0.0

    async def scan(self, fd: int, size: int) -> ScanResult:
        """See `Engine.scan`."""
        try:
            await self._connections.turn().addTimeout(self._timeout_s, self._clock)
        except DeferredTimeoutError:
            return self._failed(FailureReason.BUSY, f"no free connection within {self._timeout_s:g} s")
        try:
            result = await self._scan_in_turn(fd, size)
        finally:
            self._connections.end_turn()
        if isinstance(result, Failed):
            # The service may have changed: ask it anew before the next scan.
            self._options = None
        return result

    def _failed(self, reason: FailureReason, detail: str) -> Failed:
        return Failed(reason, f"{self.address}: {detail}")

    async def _scan_in_turn(self, fd: int, size: int) -> ScanResult:
        progress = _Progress()
        try:
            file = _File(self._reactor, self._read_pool, fd, size)
        except OSError as error:
            return self._failed(FailureReason.UNREADABLE, f"the file could not be read: {error.strerror}")
        try:
            attempt = Deferred.fromCoroutine(self._attempt(file, progress))
            result = await attempt.addTimeout(self._timeout_s, self._clock)
        except DeferredTimeoutError:
            reason = FailureReason.TIMEOUT if progress.asked else FailureReason.UNREACHABLE
            return self._failed(reason, f"no reply within {self._timeout_s:g} s")
        except ConnectionLostError as error:
            return self._failed(FailureReason.LOST if progress.asked else FailureReason.UNREACHABLE, str(error))
        except EngineError as error:
            return self._failed(error.reason, error.detail)
        except OSError as error:
            return self._failed(FailureReason.UNREADABLE, f"the file could not be read: {error.strerror}")
        finally:
            file.close()
        return self._failed(result.reason, result.detail) if isinstance(result, Failed) else result

    async def _attempt(self, file: _File, progress: _Progress) -> ScanResult:
        options = await self._current_options()
        connection = self._connections.take_idle()
        if connection is not None:
            try:
                return await self._scan_on(connection, options, file, progress)
            except ConnectionLostError:
                if connection.answered:
                    raise
        return await self._scan_on(await self._connections.connect(), options, file, progress)

    async def _scan_on(
        self, connection: IcapConnection, options: ServiceOptions, file: _File, progress: _Progress
    ) -> ScanResult:
        preview = icap_verdict.preview_length(file.size, options)
        head = icap_protocol.respmod_head(icap_verdict.scan_address(self._where, options), file.size, preview)
        exchange = RespmodExchange(file.size, preview)
        try:
            piece = await file.read(0)
            connection.begin(exchange.receive)
            progress.asked = True
            connection.write(head)
            await _send_body(connection, exchange, file, piece, preview)
            while (outcome := exchange.outcome) is None:
                await connection.change()
        finally:
            self._connections.give_back(connection, reusable=exchange.connection_is_reusable)
        if exchange.istag != options.istag:
            self._options = None
        if isinstance(outcome, SentBack):
            same_bytes = outcome.sha256 == await file.sha256()
            return icap_verdict.verdict(outcome.reply, file_taken=True, same_bytes=same_bytes)
        return outcome

    async def _current_options(self) -> ServiceOptions:
        if self._options is None or self._clock.seconds() >= self._options_until:
            self._options = await self._ask_options()
        return self._options

    async def _ask_options(self) -> ServiceOptions:
        connection = await self._connections.connect()
        exchange = OptionsExchange()
        try:
            connection.begin(exchange.receive)
            connection.write(icap_protocol.options_request(self._where))
            while (outcome := exchange.outcome) is None:
                await connection.change()
        finally:
            self._connections.give_back(connection, reusable=exchange.connection_is_reusable)
        if isinstance(outcome, EngineError):
            raise outcome
        self._options_until = self._clock.seconds() + outcome.lifetime_s
        self._connections.limit = min(self._max_connections, outcome.max_connections or self._max_connections)
        return outcome

    async def version(self) -> EngineVersion:
        """See `Engine.version`. Uses a connection of its own, so that it also gets through where all others hang."""
        try:
            asking = Deferred.fromCoroutine(self._ask_options())
            self._options = await asking.addTimeout(QUESTION_TIMEOUT_S, self._clock)
        except DeferredTimeoutError:
            raise EngineError(FailureReason.TIMEOUT, f"{self.address}: no reply to OPTIONS") from None
        except NoConnectionError as error:
            raise EngineError(FailureReason.UNREACHABLE, f"{self.address}: {error}") from None
        except ConnectionLostError as error:
            raise EngineError(FailureReason.LOST, f"{self.address}: {error}") from None
        except EngineError as error:
            raise EngineError(error.reason, f"{self.address}: {error.detail}") from None
        return self._options.version

    async def close(self) -> None:
        """See `Engine.close`. Whoever asks for a scan afterwards gets `Failed(UNREACHABLE)`."""
        self._connections.close()


async def _send_body(
    connection: IcapConnection, exchange: RespmodExchange, file: _File, piece: bytes, preview: int | None
) -> None:
    """Send the file; stop where the server has answered before it is all sent."""
    offset = len(piece)
    if preview is not None:
        connection.write((encode_chunk(piece[:preview]) if preview else b"") + LAST_CHUNK)
        while not exchange.may_continue and exchange.outcome is None:
            await connection.change()
        piece = piece[preview:]
    while exchange.outcome is None:
        is_last = offset == file.size
        if piece:
            connection.write(encode_chunk(piece) + (LAST_CHUNK if is_last else b""))
        while connection.paused and exchange.outcome is None:
            await connection.change()
        if is_last:
            exchange.whole_file_sent = True
            return
        piece = await file.read(offset)
        offset += len(piece)


def _read_piece(fd: int, length: int, offset: int) -> bytes:
    piece = b""
    while len(piece) < length:
        more = os.pread(fd, length - len(piece), offset + len(piece))
        if not more:
            raise OSError(0, "it became shorter while it was scanned")
        piece += more
    return piece
