"""Connections to one ICAP server through Twisted: bytes move here, and nobody looks into them.

A connection serves one request at a time. `IcapConnections` keeps their number in bounds, lets scans wait for their
turn in the order they came, and keeps idle connections for a short while only: each one occupies a thread of c-icap.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone, DNSLookupError
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.tcp import Connection as TcpTransport

IDLE_LIMIT_S = 10.0
"""How long an unused connection is kept."""


class ConnectionLostError(Exception):
    """The connection ended while something was still expected of it."""


class NoConnectionError(ConnectionLostError):
    """There never was a connection."""


@implementer(IPushProducer)
class IcapConnection(Protocol):
    """One connection.

    Attributes:
        paused: the transport holds as much as it wants to; write no more until it is False.
        answered: whether the server sent anything since `begin`.
    """

    transport: "TcpTransport"

    def __init__(self) -> None:
        self.paused = False
        self.answered = False
        self._lost: str | None = "not connected"
        self._receiver: Callable[[bytes], None] | None = None
        self._change: Deferred[None] | None = None
        self._idle_limit: IDelayedCall | None = None

    def begin(self, receiver: Callable[[bytes], None]) -> None:
        """Give everything that comes from now on to `receiver`."""
        self._receiver = receiver
        self.answered = False

    def write(self, data: bytes) -> None:
        """Send `data`; the caller looks at `paused` before it writes more.

        Raises:
            ConnectionLostError: the connection has ended.
        """
        if self._lost is not None:
            raise ConnectionLostError(self._lost)
        self.transport.write(data)

    async def change(self) -> None:
        """Wait until something happens here: bytes came, or more may be written.

        Raises:
            ConnectionLostError: the connection has ended or ends now.
        """
        if self._lost is None:
            self._change = Deferred()
            await self._change
        if self._lost is not None:
            raise ConnectionLostError(self._lost)

    def rest(self, clock: IReactorTime) -> None:
        """Nothing is expected for now: whatever comes ends the connection, and so does time."""
        self._receiver = None
        self._idle_limit = clock.callLater(IDLE_LIMIT_S, self.abort)

    def wake(self) -> bool:
        """Leave the rest again.

        Returns:
            Whether the connection is still there.
        """
        if self._idle_limit is not None and self._idle_limit.active():
            self._idle_limit.cancel()
        return self._lost is None

    def abort(self) -> None:
        """End the connection at once."""
        self.wake()
        self.transport.abortConnection()

    def _notify(self) -> None:
        change, self._change = self._change, None
        if change is not None:
            change.callback(None)

    def connectionMade(self) -> None:
        """Twisted: the connection is there."""
        self._lost = None
        # A request ends with a small segment that the server waits for: Nagle would hold it back.
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, streaming=True)

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes came."""
        self.answered = True
        if self._receiver is None:
            self.abort()
            return
        self._receiver(data)
        self._notify()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: the connection has ended."""
        self.wake()
        self._lost = "the server closed the connection" if reason.check(ConnectionDone) else "the connection broke"
        self._notify()

    def pauseProducing(self) -> None:
        """Twisted: the transport's buffer is full."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Twisted: the transport's buffer is empty again."""
        self.paused = False
        self._notify()

    def stopProducing(self) -> None:
        """Twisted: the connection is about to end, which `connectionLost` tells."""


class IcapConnections:
    """The connections to one server.

    Attributes:
        limit: how many requests may be under way; a lower one takes effect as the present ones end.
    """

    def __init__(self, clock: IReactorTime, endpoint: IStreamClientEndpoint, limit: int) -> None:
        """Connect nothing yet.

        Args:
            clock: for idle times.
            endpoint: where the server listens.
            limit: how many requests may be under way, at least 1.
        """
        self.limit = limit
        self._clock = clock
        self._endpoint = endpoint
        self._closed = False
        self._busy = 0
        self._waiting: deque[Deferred[None]] = deque()
        self._idle: list[IcapConnection] = []
        self._alive: set[IcapConnection] = set()

    def turn(self) -> "Deferred[None]":
        """Wait for a turn; whoever came first is first. The caller owes an `end_turn`, unless he cancels."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        self._admit()
        return waiting

    def end_turn(self) -> None:
        """Let the next one in."""
        self._busy -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._busy < self.limit:
            self._busy += 1
            self._waiting.popleft().callback(None)

    def take_idle(self) -> IcapConnection | None:
        """A connection that served a request before, or None. The server may have closed it without our knowing yet."""
        while self._idle:
            connection = self._idle.pop()
            if connection.wake():
                return connection
            self._alive.discard(connection)
        return None

    async def connect(self) -> IcapConnection:
        """Open a connection.

        Raises:
            NoConnectionError: there is none to be had.
        """
        try:
            protocol = await self._endpoint.connect(Factory.forProtocol(IcapConnection))
        except (ConnectError, DNSLookupError, OSError) as error:
            raise NoConnectionError(f"no connection: {error}") from None
        connection = cast("IcapConnection", protocol)
        if self._closed:
            connection.abort()
            raise NoConnectionError("the engine is closed")
        self._alive.add(connection)
        return connection

    def give_back(self, connection: IcapConnection, *, reusable: bool) -> None:
        """Return a connection: to be kept for the next request, or to be ended."""
        if reusable and len(self._alive) <= self.limit and not self._closed:
            connection.rest(self._clock)
            self._idle.append(connection)
        else:
            self._alive.discard(connection)
            connection.abort()

    def close(self) -> None:
        """End all connections, for good; who is using one sees it as lost."""
        self._closed = True
        for connection in self._alive:
            connection.abort()
        self._alive.clear()
        self._idle.clear()
