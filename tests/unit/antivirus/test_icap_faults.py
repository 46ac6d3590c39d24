"""The ICAP engine against a server or file that misbehaves: each fault has its failure; none is clean or hangs."""

import itertools
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from synapse_bum.antivirus.engines import icap
from synapse_bum.antivirus.engines.engine import Clean, Failed, FailureReason
from synapse_bum.antivirus.engines.icap import PIECE_BYTES
from synapse_bum.testing.icap_case import CLOCK, SHORT_TIMEOUT_S, SMALL, IcapEngineTestCase, pause
from synapse_bum.testing.icap_server import (
    CONTINUE,
    NO_CONTENT,
    Conversation,
    Moment,
    infected,
    options,
    reply,
    response,
    silence,
)
from synapse_bum.testing.malware import filler

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = filler(3 * PIECE_BYTES + 17)


class WrongReplies(IcapEngineTestCase):
    async def test_every_status_of_failure_has_its_reason(self) -> None:
        for status, reason in (
            (400, FailureReason.ENGINE_ERROR),
            (403, FailureReason.ENGINE_ERROR),
            (404, FailureReason.ENGINE_ERROR),
            (408, FailureReason.ENGINE_ERROR),
            (413, FailureReason.TOO_LARGE),
            (500, FailureReason.ENGINE_ERROR),
            (503, FailureReason.BUSY),
            (505, FailureReason.ENGINE_ERROR),
            (206, FailureReason.NOT_UNDERSTOOD),
            (302, FailureReason.NOT_UNDERSTOOD),
        ):
            for moment in (Moment.PREVIEW, Moment.HALF, Moment.BODY):
                self.server.respmod = reply(b"ICAP/1.0 %d Because\r\n\r\n" % status, after=moment)
                await self.assert_fails(reason, LARGE)

    async def test_what_is_no_reply_is_not_understood(self) -> None:
        for data in (
            b"garbage\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"ICAP/1.0 200 OK\r\n\r\n",
            b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=7\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0\r\n\r\n",
            b"ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\nxyz\r\n",
            b"ICAP/1.0 200 OK\r\nX: " + b"a" * 70000,
            CONTINUE + NO_CONTENT,
            NO_CONTENT + NO_CONTENT,
        ):
            self.server.respmod = reply(data)
            await self.assert_fails(FailureReason.NOT_UNDERSTOOD)

    async def test_100_continue_without_a_preview_is_not_understood(self) -> None:
        self.server.options = options()
        self.server.respmod = reply(CONTINUE + NO_CONTENT)
        await self.assert_fails(FailureReason.NOT_UNDERSTOOD)

    async def test_a_connection_closed_early_is_lost_at_every_point(self) -> None:
        for moment in Moment:
            self.server.respmod = reply(b"", after=moment, hang_up=True)
            await self.assert_fails(FailureReason.LOST, LARGE)
        whole = response("HTTP/1.1 200 OK", SMALL)
        for length in (1, 8, 20, len(whole) - len(SMALL), len(whole) - 7, len(whole) - 1):
            self.server.respmod = reply(whole[:length], hang_up=True)
            await self.assert_fails(FailureReason.LOST)

    async def test_a_connection_that_is_reset_is_lost(self) -> None:
        self.server.respmod = lambda conversation: conversation.reset()
        await self.assert_fails(FailureReason.LOST, LARGE)

    async def test_a_server_that_never_answers_runs_into_the_time_limit_at_every_point(self) -> None:
        engine = self.an_engine(timeout_s=SHORT_TIMEOUT_S)
        assert await self.scan(engine=engine) == Clean()
        for moment in Moment:
            self.server.respmod = silence(moment)
            began = CLOCK.seconds()
            await self.assert_fails(FailureReason.TIMEOUT, LARGE, engine)
            assert CLOCK.seconds() - began < SHORT_TIMEOUT_S + 20.0

    async def test_a_reply_that_never_ends_runs_into_the_time_limit(self) -> None:
        def trickle(conversation: Conversation) -> None:
            conversation.preview()
            conversation.send(b"ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n")
            while not conversation.server.stopping.wait(0.01):
                conversation.send(b"1\r\nx\r\n")

        self.server.respmod = trickle
        await self.assert_fails(FailureReason.TIMEOUT, engine=self.an_engine(timeout_s=SHORT_TIMEOUT_S))


class Files(IcapEngineTestCase):
    async def test_a_file_that_can_not_be_read_is_unreadable(self) -> None:
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        closed = os.dup(read_end)
        os.close(closed)
        for fd in (read_end, closed):
            result = await self.engine.scan(fd, 10)
            assert isinstance(result, Failed)
            assert result.reason is FailureReason.UNREADABLE

    async def test_a_file_that_became_shorter_is_unreadable_and_never_clean(self) -> None:
        for there, said in ((0, 10), (10, 11), (2 * PIECE_BYTES, 2 * PIECE_BYTES + 1)):
            result = await self.engine.scan(self.a_file(bytes(there)), said)
            assert isinstance(result, Failed)
            assert result.reason is FailureReason.UNREADABLE
        assert [request for request in self.server.scans() if request.whole] == []

    async def test_a_server_that_reads_slowly_slows_the_reading_of_the_file_down(self) -> None:
        pieces = itertools.count()
        read_piece: Callable[[int, int, int], bytes] = icap._read_piece

        def count_and_read(fd: int, length: int, offset: int) -> bytes:
            next(pieces)
            return read_piece(fd, length, offset)

        self.server.respmod = silence(Moment.HALF)
        size = 400 * PIECE_BYTES
        fd = os.memfd_create("sparse")
        self.addCleanup(os.close, fd)
        os.truncate(fd, size)
        with patch.object(icap, "_read_piece", count_and_read):
            await self.an_engine(timeout_s=2 * SHORT_TIMEOUT_S).scan(fd, size)
        assert next(pieces) < 100

    async def test_a_descriptor_is_kept_open_while_a_thread_reads_and_not_longer(self) -> None:
        await self.engine.version()
        open_before = _open_descriptors()
        reading, release = threading.Event(), threading.Event()
        self.addCleanup(release.set)

        def hang(fd: int, _length: int, _offset: int) -> bytes:
            reading.set()
            release.wait(20)
            return os.fstat(fd).st_size.to_bytes(8, "big")

        fd = os.memfd_create("scanned")
        engine = self.an_engine(timeout_s=SHORT_TIMEOUT_S)
        with patch.object(icap, "_read_piece", hang):
            result = await engine.scan(fd, 700)
        assert isinstance(result, Failed)
        assert reading.is_set()
        os.close(fd)
        assert "memfd:scanned" in " ".join(_open_descriptors())
        release.set()
        await pause(0.1)
        await engine.close()
        await pause(0.05)
        assert _open_descriptors() == open_before

    async def test_no_descriptor_is_left_behind(self) -> None:
        fd = self.a_file(LARGE)
        await self.engine.version()
        open_before = len(_open_descriptors())
        for behaviour in (reply(NO_CONTENT), reply(infected("Eicar")), reply(b"x"), reply(b"", hang_up=True)):
            self.server.respmod = behaviour
            await self.engine.scan(fd, len(LARGE))
        await self.engine.close()
        await pause(0.05)
        assert len(_open_descriptors()) <= open_before


def _open_descriptors() -> list[str]:
    """What this process has open; sockets without their numbers."""
    names = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            names.append(entry.readlink().name.partition("[")[0])
        except FileNotFoundError:
            continue
    return sorted(names)
