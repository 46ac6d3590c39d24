"""The ICAP engine against a server that works: what is sent, what the answer means, and what is asked beforehand."""

import os
from unittest.mock import patch

import pytest

from synapse_bum.antivirus.engines import icap
from synapse_bum.antivirus.engines.engine import Clean, EngineError, EngineVersion, FailureReason, Infected
from synapse_bum.antivirus.engines.icap import PIECE_BYTES
from synapse_bum.antivirus.engines.icap_verdict import NOT_ASKED_FOR
from synapse_bum.testing.icap_case import SHORT_TIMEOUT_S, SMALL, IcapEngineTestCase
from synapse_bum.testing.icap_server import (
    ISTAG,
    NO_CONTENT,
    SERVICE,
    Conversation,
    Moment,
    echo,
    infected,
    options,
    reply,
    response,
    silence,
)
from synapse_bum.testing.malware import filler

LARGE = filler(3 * PIECE_BYTES + 17)
STATUS_503 = b"ICAP/1.0 503 Overloaded\r\n\r\n"


class Verdicts(IcapEngineTestCase):
    async def test_204_is_clean_and_an_infection_is_named(self) -> None:
        for content in (b"", b"x", SMALL, filler(1024), LARGE):
            self.server.respmod = reply(NO_CONTENT)
            assert await self.scan(content) == Clean()
            self.server.respmod = reply(infected("Eicar"))
            assert await self.scan(content) == Infected("Eicar")

    async def test_the_server_gets_the_file_byte_for_byte(self) -> None:
        received: list[bytes] = []

        def keep(conversation: Conversation) -> None:
            received.append(b"".join(conversation.body()))
            conversation.send(NO_CONTENT)

        self.server.respmod = keep
        contents = [filler(size) for size in (0, 1, 2, 1023, 1024, 1025, PIECE_BYTES, PIECE_BYTES + 1, len(LARGE))]
        for offered in ("Preview: 1024", "Preview: 0", "X-Preview: none"):
            self.server.options = options(offered)
            engine = self.an_engine()
            for content in contents:
                assert await self.scan(content, engine) == Clean()
            assert received == contents
            received.clear()

    async def test_the_preview_is_as_long_as_the_server_wants_but_never_the_whole_file(self) -> None:
        for size in (68, 1024, 1025, len(LARGE)):
            await self.scan(filler(size))
        previews = [len(request.preview or b"") for request in self.server.scans()]
        assert previews == [67, 1023, 1024, 1024]

    async def test_only_what_is_before_the_given_size_is_sent(self) -> None:
        assert await self.engine.scan(self.a_file(LARGE), 5000) == Clean()
        assert self.server.scans()[0].body_bytes == 5000

    async def test_the_position_of_the_descriptor_does_not_matter_and_stays(self) -> None:
        fd = self.a_file(SMALL)
        for position in (0, 13, len(SMALL)):
            os.lseek(fd, position, os.SEEK_SET)
            assert await self.engine.scan(fd, len(SMALL)) == Clean()
            assert os.lseek(fd, 0, os.SEEK_CUR) == position
        assert {request.body_bytes for request in self.server.scans()} == {len(SMALL)}

    async def test_nothing_about_the_user_or_the_file_is_sent_but_its_length(self) -> None:
        await self.scan()
        (request,) = self.server.scans()
        assert set(request.headers) == {"host", "allow", "preview", "encapsulated"}
        assert b"Content-Length: 700\r\n" in request.http_heads

    async def test_an_echo_that_is_proven_is_clean(self) -> None:
        self.server.respmod = echo
        for content in (SMALL, LARGE):
            assert await self.scan(content) == Clean()

    async def test_an_echo_with_one_wrong_bit_is_not(self) -> None:
        changed = LARGE[:-1] + bytes([LARGE[-1] ^ 1])
        self.server.respmod = reply(response("HTTP/1.1 200 OK", changed))
        await self.assert_fails(FailureReason.NOT_UNDERSTOOD, LARGE)

    async def test_204_to_the_preview_is_no_verdict_on_the_file(self) -> None:
        self.server.respmod = reply(NO_CONTENT, after=Moment.PREVIEW)
        for content in (b"x", SMALL, LARGE):
            assert await self.scan(content) == NOT_ASKED_FOR

    async def test_204_in_the_middle_is_no_verdict_on_the_file(self) -> None:
        self.server.respmod = reply(NO_CONTENT, after=Moment.HALF)
        assert await self.scan(filler(40 * PIECE_BYTES)) == NOT_ASKED_FOR

    async def test_an_infection_is_known_before_the_whole_file_is_sent(self) -> None:
        for moment in (Moment.HEAD, Moment.PREVIEW, Moment.HALF):
            self.server.respmod = reply(infected("Eicar"), after=moment)
            assert await self.scan(LARGE) == Infected("Eicar")

    async def test_a_reply_in_one_byte_pieces_is_understood(self) -> None:
        for data, result in ((NO_CONTENT, Clean()), (infected("Eicar"), Infected("Eicar"))):
            self.server.respmod = reply(data, piece_bytes=1)
            assert await self.scan() == result


class Options(IcapEngineTestCase):
    async def test_version_is_what_the_server_says_of_itself(self) -> None:
        assert await self.engine.version() == EngineVersion(SERVICE, ISTAG, None)

    async def test_options_are_asked_once_and_again_when_they_expire(self) -> None:
        for _ in range(3):
            await self.scan()
        assert len(self.server.requests) - len(self.server.scans()) == 1
        self.server.options = options("Options-TTL: 0")
        await self.engine.version()
        for _ in range(3):
            await self.scan()
        assert len(self.server.requests) - len(self.server.scans()) == 1 + 1 + 3

    async def test_options_are_asked_again_when_the_service_has_changed(self) -> None:
        await self.scan()
        self.server.respmod = reply(NO_CONTENT.replace(ISTAG.encode(), b"other"))
        await self.scan()
        await self.scan()
        assert [request.method for request in self.server.requests].count("OPTIONS") == 2

    async def test_a_service_that_can_not_scan_is_an_engine_error_and_gets_no_file(self) -> None:
        for data, reason in (
            (b"ICAP/1.0 404 Service not found\r\n\r\n", FailureReason.ENGINE_ERROR),
            (b"ICAP/1.0 200 OK\r\nMethods: REQMOD\r\n\r\n", FailureReason.ENGINE_ERROR),
            (b"ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nPreview: x\r\n\r\n", FailureReason.NOT_UNDERSTOOD),
            (STATUS_503, FailureReason.BUSY),
            (b"garbage", FailureReason.NOT_UNDERSTOOD),
        ):
            self.server.options = reply(data)
            await self.assert_fails(reason)
            with pytest.raises(EngineError) as caught:
                await self.engine.version()
            assert caught.value.reason is reason
        assert self.server.scans() == []

    async def test_a_service_that_recovers_is_used_at_once(self) -> None:
        self.server.options = reply(STATUS_503)
        await self.assert_fails(FailureReason.BUSY)
        self.server.options = options("Preview: 5")
        assert await self.scan() == Clean()

    async def test_nothing_of_the_file_was_sent_when_options_get_no_answer(self) -> None:
        engine = self.an_engine(timeout_s=SHORT_TIMEOUT_S)
        for behaviour in (silence(), reply(b"", hang_up=True), reply(b"ICAP/1.0 2", hang_up=True)):
            self.server.options = behaviour
            await self.assert_fails(FailureReason.UNREACHABLE, engine=engine)

    async def test_version_tells_a_hung_server_from_an_absent_and_a_lost_one(self) -> None:
        for prepare, reason in (
            (silence(), FailureReason.TIMEOUT),
            (reply(b"", hang_up=True), FailureReason.LOST),
            (None, FailureReason.UNREACHABLE),
        ):
            if prepare is None:
                self.server.refuse()
            else:
                self.server.options = prepare
            with patch.object(icap, "QUESTION_TIMEOUT_S", SHORT_TIMEOUT_S), pytest.raises(EngineError) as caught:
                await self.engine.version()
            assert caught.value.reason is reason

    async def test_c_icap_is_told_to_scan_everything_and_others_what_the_address_says(self) -> None:
        for name, arguments, query in (
            ("C-ICAP/0.5.10 server", "", "allow204=on&force=on&sizelimit=off&mode=simple"),
            ("C-ICAP/0.5.10 server", "?mode=mixed", "mode=mixed"),
            ("Other/1", "", ""),
            ("Other/1", "?a=b", "a=b"),
        ):
            self.server.options = options("Preview: 9", service=name)
            await self.scan(engine=self.an_engine(arguments=arguments))
            assert self.server.scans()[-1].uri.partition("?")[2] == query
