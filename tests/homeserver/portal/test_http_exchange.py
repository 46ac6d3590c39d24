"""Requests to other servers, down to the bytes: whose tokens go where."""

from http import HTTPStatus

import pytest
from synapse.module_api import ModuleApi
from tests.unittest import HomeserverTestCase
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.testing import StringTransport

from synapse_bum.homeserver.http_exchange import HttpAnswer, HttpExchange, HttpRequest
from synapse_bum.portal.homeserver_api.homeserver_client import HomeserverClient, Origin
from synapse_bum.portal.homeserver_api.outcomes import NotFoundError, UnavailableError

TOKEN = "syt_secret"
ELSEWHERE = b"https://elsewhere.example/login?a=private"


async def token() -> str:
    return TOKEN


class RedirectionTestCase(HomeserverTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.reactor.lookups["api.example"] = "192.0.2.1"
        self.exchange = HttpExchange(ModuleApi(self.hs, self.hs.get_auth_handler()))

    def answer(self, status: int, location: bytes = ELSEWHERE) -> StringTransport:
        """Accepts the first connection that was begun, and answers what is asked there."""
        _host, _port, factory, _timeout, _bind = self.reactor.tcpClients[0]
        protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 8008))
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        self.pump()
        lines = (b"HTTP/1.1 %d Somewhere" % status, b"Location: " + location, b"Content-Length: 0", b"", b"")
        protocol.dataReceived(b"\r\n".join(lines))
        self.pump()
        return transport

    def test_a_redirection_is_an_answer_and_is_not_followed(self) -> None:
        for status in (301, 302, 303, 307, 308):
            for method in ("GET", "POST"):
                self.reactor.tcpClients.clear()
                request = HttpRequest(method, "http://api.example:8008/a", {"Authorization": f"Bearer {TOKEN}"}, b"{}")
                sent: Deferred[HttpAnswer] = ensureDeferred(self.exchange.send(request, 10.0))
                self.pump()
                transport = self.answer(status, b"http://api.example:8008/b")
                answer = self.get_success(sent)
                assert (answer.status, answer.location) == (status, "http://api.example:8008/b")
                assert transport.value().count(b"HTTP/1.1") == 1
                assert len(self.reactor.tcpClients) == 1

    def test_the_log_says_where_the_address_leads_and_nothing_private(self) -> None:
        client = HomeserverClient(self.exchange, "http://api.example:8008", Origin(token, None))
        asked = ensureDeferred(client.get("/_synapse/admin/v2/users", query={"q": "somebody"}))
        self.pump()
        with self.assertLogs("synapse_bum.portal.homeserver_api.homeserver_client", "ERROR") as logged:
            self.answer(301)
            self.get_failure(asked, UnavailableError)
        (line,) = logged.output
        assert (
            "`config.admin_api_url` is http://api.example:8008, which leads on to 'https://elsewhere.example'" in line
        )
        assert not any(private in line for private in (TOKEN, "somebody", "private"))

    def test_no_value_leads_to_another_path(self) -> None:
        client = HomeserverClient(self.exchange, "http://api.example:8008", Origin(token, None))
        for value in (".", ".."):
            asked = client.for_changes().delete("/_synapse/admin/v1/rooms/{room_id}/x", room_id=value)
            error = self.get_failure(asked, NotFoundError).value
            assert error.status == HTTPStatus.NOT_FOUND
        assert not self.reactor.tcpClients


@pytest.mark.parametrize("location", ["", "/b", "//", "http://[", "https://user:pass@host.example/x", "\x1b[31m"])
def test_no_location_is_too_strange_for_the_log(location: str, caplog: pytest.LogCaptureFixture) -> None:
    class Exchange(HttpExchange):
        def __init__(self) -> None:
            """Sends nothing."""

        async def send(self, _request: HttpRequest, _seconds: float) -> HttpAnswer:
            return HttpAnswer(302, "", "", b"", location)

    asked = HomeserverClient(Exchange(), "https://a.example", Origin(None, None)).get("/x")
    with pytest.raises(UnavailableError):
        asked.send(None)
    assert "leads on to" in caplog.text
    assert "pass@" not in caplog.text
    assert "\x1b" not in caplog.text
