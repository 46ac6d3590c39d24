"""Answers that no server should give, down to the bytes: no more is read and nobody waits longer than was said."""

from synapse.module_api import ModuleApi
from tests.unittest import HomeserverTestCase
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from synapse_bum.homeserver.http_exchange import HttpExchange
from synapse_bum.portal.homeserver_api.homeserver_client import HomeserverClient, JsonDict, Origin
from synapse_bum.portal.homeserver_api.outcomes import UnavailableError

MIB = 2**20


class BodyTestCase(HomeserverTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.reactor.lookups["api.example"] = "192.0.2.1"
        exchange = HttpExchange(ModuleApi(self.hs, self.hs.get_auth_handler()))
        self.client = HomeserverClient(exchange, "http://api.example:8008", Origin(None, None))

    def asked(self) -> tuple["Deferred[JsonDict]", IProtocol, StringTransport]:
        """Asks for something; returns what becomes of it, and the server's end of the connection."""
        sent: Deferred[JsonDict] = ensureDeferred(self.client.get("/_synapse/admin/v2/users"))
        self.pump()
        _host, _port, factory, _timeout, _bind = self.reactor.tcpClients[0]
        protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 8008))
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        self.pump()
        return sent, protocol, transport

    def test_a_body_that_says_it_has_200_mb_is_not_read(self) -> None:
        sent, protocol, _transport = self.asked()
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 209715200\r\n\r\n{")
        self.pump()
        self.get_failure(sent, UnavailableError)

    def test_a_body_that_does_not_say_so_is_cut_off(self) -> None:
        sent, protocol, transport = self.asked()
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
        read = 0
        while not sent.called and read < 200:
            protocol.dataReceived(b" " * MIB)
            read += 1
        assert read <= 17
        assert transport.disconnecting or transport.disconnected
        self.get_failure(sent, UnavailableError)

    def test_an_answer_that_breaks_off(self) -> None:
        for came in (
            b"",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
            b"SSH-2.0-x\r\n\r\n",
        ):
            self.reactor.tcpClients.clear()
            sent, protocol, _transport = self.asked()
            protocol.dataReceived(came)
            protocol.connectionLost(Failure(ConnectionDone()))
            self.pump()
            self.get_failure(sent, UnavailableError)

    def test_an_answer_that_trickles_in_is_not_waited_for(self) -> None:
        sent, protocol, _transport = self.asked()
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(12):
            protocol.dataReceived(b" ")
            self.reactor.advance(1)
        self.get_failure(sent, UnavailableError)
