"""The ICAP engine's connections: reused, bounded, shared in order, and never a way to lose or swap a verdict."""

from unittest.mock import patch

from twisted.internet.defer import CancelledError, gatherResults

from synapse_bum.antivirus.engines.engine import Clean, Failed, FailureReason, Infected
from synapse_bum.antivirus.engines.icap import PIECE_BYTES
from synapse_bum.testing.icap_case import SHORT_TIMEOUT_S, SMALL, IcapEngineTestCase, pause
from synapse_bum.testing.icap_server import (
    NO_CONTENT,
    Behaviour,
    Conversation,
    Moment,
    infected,
    options,
    reply,
    silence,
)
from synapse_bum.testing.malware import filler

LARGE = filler(3 * PIECE_BYTES + 17)


class Connections(IcapEngineTestCase):
    async def test_a_connection_is_used_again(self) -> None:
        for _ in range(5):
            assert await self.scan() == Clean()
        assert self.server.connections == 1

    async def test_a_server_that_says_close_gets_a_new_connection_each_time(self) -> None:
        self.server.respmod = reply(b"ICAP/1.0 204 OK\r\nConnection: close\r\n\r\n", hang_up=True)
        for _ in range(3):
            assert await self.scan() == Clean()
        assert self.server.connections == 3

    def hang_up_on_used_connections(self, farewell: bytes = b"") -> Behaviour:
        """Answer the first request of each connection, and end it with the second."""
        used: set[int] = set()

        def behave(conversation: Conversation) -> None:
            first = conversation.connection not in used
            used.add(conversation.connection)
            (reply(NO_CONTENT) if first else reply(farewell, after=Moment.PREVIEW, hang_up=True))(conversation)

        return behave

    async def test_an_idle_connection_that_the_server_had_closed_costs_no_verdict(self) -> None:
        self.server.respmod = self.hang_up_on_used_connections()
        for content in (SMALL, SMALL, LARGE, b"", SMALL):
            assert await self.scan(content) == Clean()

    async def test_a_second_try_is_made_once_and_only_on_a_used_connection(self) -> None:
        await self.scan()
        self.server.respmod = reply(b"", after=Moment.PREVIEW, hang_up=True)
        await self.assert_fails(FailureReason.LOST)
        assert len(self.server.scans()) == 3
        await self.engine.version()
        self.server.drop_connections()
        await pause(0.05)
        await self.assert_fails(FailureReason.LOST)
        assert len(self.server.scans()) == 4

    async def test_a_used_connection_that_breaks_within_its_reply_is_lost(self) -> None:
        self.server.respmod = self.hang_up_on_used_connections(b"I")
        await self.scan()
        await self.assert_fails(FailureReason.LOST)
        assert len(self.server.scans()) == 2

    async def test_what_comes_on_an_idle_connection_belongs_to_no_file(self) -> None:
        def answer_twice(conversation: Conversation) -> None:
            for _ in conversation.body():
                pass
            conversation.send(NO_CONTENT)
            conversation.server.stopping.wait(0.1)
            conversation.send(NO_CONTENT)

        self.server.respmod = answer_twice
        assert await self.scan() == Clean()
        await pause(0.2)
        self.server.respmod = reply(infected("Eicar"))
        assert await self.scan() == Infected("Eicar")
        assert self.server.connections == 2

    async def test_idle_connections_end_after_a_while(self) -> None:
        with patch("synapse_bum.antivirus.engines.icap_connection.IDLE_LIMIT_S", 0.05):
            await self.scan()
            await pause(0.3)
        assert self.server.open_connections == 0

    async def test_a_server_that_is_not_there_is_unreachable_until_it_is_back(self) -> None:
        assert await self.scan() == Clean()
        self.server.stop()
        await pause(0.05)
        await self.assert_fails(FailureReason.UNREACHABLE)
        self.server.start()
        assert await self.scan() == Clean()
        asked = [request.method for request in self.server.requests]
        assert asked == ["OPTIONS", "RESPMOD", "OPTIONS", "RESPMOD"]

    async def test_no_more_scans_are_under_way_than_configured_and_none_is_lost(self) -> None:
        await self.assert_most_under_way(4)

    async def test_no_more_scans_are_under_way_than_the_server_allows_and_none_is_lost(self) -> None:
        self.server.options = options("Preview: 9", "Max-Connections: 2")
        await self.engine.version()
        await self.assert_most_under_way(2)

    async def assert_most_under_way(self, limit: int) -> None:
        def be_slow(conversation: Conversation) -> None:
            conversation.server.stopping.wait(0.05)
            reply(NO_CONTENT)(conversation)

        self.server.respmod = be_slow
        results = await gatherResults([self.scan(LARGE) for _ in range(8)])
        assert results == [Clean()] * 8
        assert len(self.server.scans()) == 8
        assert self.server.most_under_way == limit

    async def test_scans_get_their_turn_in_the_order_they_came(self) -> None:
        engine = self.an_engine(max_connections=1)
        sizes = [700, 10, 400, 90, 1, 300]
        await gatherResults([self.scan(filler(size), engine) for size in sizes])
        assert [request.body_bytes for request in self.server.scans()] == sizes

    async def test_the_wait_for_a_turn_is_bounded_and_does_not_count_as_scan_time(self) -> None:
        engine = self.an_engine(timeout_s=SHORT_TIMEOUT_S, max_connections=1)
        await engine.version()
        self.server.respmod = silence()
        results = await gatherResults([self.scan(engine=engine) for _ in range(3)])
        reasons = [result.reason for result in results if isinstance(result, Failed)]
        assert reasons == [FailureReason.TIMEOUT, FailureReason.TIMEOUT, FailureReason.BUSY]

    async def test_closing_ends_scans_in_flight_as_lost_and_later_ones_as_unreachable(self) -> None:
        await self.engine.version()
        self.server.respmod = silence()
        scans = [self.scan() for _ in range(6)]
        await pause(0.2)
        await self.engine.close()
        results = await gatherResults(scans)
        reasons = [result.reason for result in results if isinstance(result, Failed)]
        assert reasons == [FailureReason.LOST] * 4 + [FailureReason.UNREACHABLE] * 2
        await self.assert_fails(FailureReason.UNREACHABLE)

    async def test_a_caller_who_gives_up_frees_his_turn(self) -> None:
        engine = self.an_engine(max_connections=1)
        await engine.version()
        self.server.respmod = silence()
        first, second = self.scan(engine=engine), self.scan(engine=engine)
        await pause(0.1)
        second.cancel()
        first.cancel()
        await self.assertFailure(first, CancelledError)
        await self.assertFailure(second, CancelledError)
        self.server.respmod = reply(NO_CONTENT)
        assert await self.scan(engine=engine) == Clean()
