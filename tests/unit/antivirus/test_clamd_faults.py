"""Whatever a clamd does, the answer is a failure that says so, and the next file is scanned."""

import os
import tempfile
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

import pytest
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from synapse_bum.antivirus.engines.clamd import ClamdEngine
from synapse_bum.antivirus.engines.engine import Clean, EngineError, Failed, FailureReason, Infected, ScanResult
from synapse_bum.antivirus.scanning.probes import EICAR, sized_archive
from synapse_bum.testing.clamd import EICAR_SIGNATURE
from synapse_bum.testing.fake_clamd import STREAM_LIMIT, TIMED_OUT, Answer, FakeClamd
from synapse_bum.testing.scans import clamd_engine, scan_bytes

if TYPE_CHECKING:
    from twisted.internet.address import IPv4Address

FOUND = Infected(EICAR_SIGNATURE)


class _Faults(TestCase):
    """The same promises over a unix socket and over TCP."""

    tcp: bool
    canary: int
    """Connections beside those for scans."""

    def setUp(self) -> None:
        everything = ExitStack()
        self.addCleanup(everything.close)
        self.clamd = everything.enter_context(FakeClamd(tcp=self.tcp))
        # Over a unix socket only canaries are streams; a test that is about them says so.
        self.clamd.scripted = frozenset({"INSTREAM" if self.tcp else "FILDES"})

    def an_engine(self, timeout_s: float = 10.0, max_connections: int = 4) -> ClamdEngine:
        engine = clamd_engine(self.clamd.address, timeout_s=timeout_s, max_connections=max_connections)
        self.addCleanup(lambda: ensureDeferred(engine.close()))
        return engine

    async def assert_fails(self, answer: Answer, *reasons: FailureReason, content: bytes = EICAR) -> None:
        """One scan fails as it should; the next one, of the same engine, has its verdict."""
        engine = self.an_engine(timeout_s=1.0)
        for warm_up in (False, True):
            if warm_up:
                assert await scan_bytes(engine, b"before") == Clean()
            self.clamd.script(answer)
            result = await scan_bytes(engine, content)
            assert isinstance(result, Failed), result
            assert result.reason in reasons, result
            assert await scan_bytes(engine, EICAR) == FOUND

    async def test_verdicts(self) -> None:
        engine = self.an_engine()
        assert await scan_bytes(engine, b"nothing") == Clean()
        assert await scan_bytes(engine, EICAR) == FOUND
        assert await scan_bytes(engine, b"") == Clean()
        assert self.clamd.connections <= 1 + self.canary

    async def test_a_reply_in_one_byte_pieces(self) -> None:
        self.clamd.script(Answer(piece_size=1), Answer(piece_size=1))
        engine = self.an_engine()
        assert await scan_bytes(engine, EICAR) == FOUND
        assert await scan_bytes(engine, b"nothing") == Clean()

    async def test_an_error(self) -> None:
        await self.assert_fails(Answer(verdict="Can't allocate memory ERROR"), FailureReason.ENGINE_ERROR)

    async def test_garbage(self) -> None:
        for garbage in (b"\xff\xfe\0", b"\0", b"OK\0", b"HTTP/1.1 200 OK\0", b"1: stream OK\0"):
            await self.assert_fails(Answer(raw=garbage), FailureReason.NOT_UNDERSTOOD)

    async def test_a_reply_for_another_file(self) -> None:
        await self.assert_fails(Answer(verdict="OK", request_id=77), FailureReason.NOT_UNDERSTOOD)

    async def test_two_replies_for_one_file(self) -> None:
        subject = "stream" if self.tcp else "fd[11]"
        reply = f"1: {subject}: OK\0002: {subject}: OK\0".encode()
        engine = self.an_engine(timeout_s=1.0)
        self.clamd.script(Answer(raw=reply))
        result = await scan_bytes(engine, EICAR)
        assert isinstance(result, Failed), result
        assert await scan_bytes(engine, EICAR) == FOUND

    async def test_half_a_reply(self) -> None:
        for length in (1, 5, 9):
            await self.assert_fails(Answer(verdict="OK", cut_after=length), FailureReason.LOST)

    async def test_a_reply_without_end(self) -> None:
        await self.assert_fails(Answer(raw=b"x" * 40_000), FailureReason.LOST)

    async def test_a_connection_that_ends_without_a_reply(self) -> None:
        await self.assert_fails(Answer(hang_up_after=0), FailureReason.LOST)

    async def test_no_reply_at_all(self) -> None:
        await self.assert_fails(Answer(silent=True), FailureReason.TIMEOUT)

    async def test_clamd_gives_up_waiting(self) -> None:
        await self.assert_fails(TIMED_OUT, FailureReason.LOST)

    async def test_a_full_queue(self) -> None:
        await self.assert_fails(Answer(stall_after=0), FailureReason.TIMEOUT)

    async def test_a_connection_that_is_closed_at_once(self) -> None:
        self.clamd.hang_up_on_connect = True
        engine = self.an_engine(timeout_s=1.0)
        result = await scan_bytes(engine, EICAR)
        assert isinstance(result, Failed)
        assert result.reason in {FailureReason.UNREACHABLE, FailureReason.LOST}
        self.clamd.hang_up_on_connect = False
        assert await scan_bytes(engine, EICAR) == FOUND

    async def test_nobody_listens(self) -> None:
        engine = self.an_engine()
        self.clamd.refuse()
        result = await scan_bytes(engine, EICAR)
        assert isinstance(result, Failed)
        assert result.reason is FailureReason.UNREACHABLE
        self.clamd.start()
        assert await scan_bytes(engine, EICAR) == FOUND

    async def test_an_idle_session_that_clamd_dropped_costs_nothing(self) -> None:
        engine = self.an_engine()
        assert await scan_bytes(engine, b"before") == Clean()
        self.clamd.drop_connections()
        result = await scan_bytes(engine, EICAR)
        assert result == FOUND or (isinstance(result, Failed) and result.reason is FailureReason.LOST)
        assert await scan_bytes(engine, EICAR) == FOUND

    async def test_a_dropped_session_is_noticed_before_the_next_scan(self) -> None:
        engine = self.an_engine()
        assert await scan_bytes(engine, b"before") == Clean()
        self.clamd.drop_connections()
        await deferLater(reactor, 0.05, lambda: None)
        assert await scan_bytes(engine, EICAR) == FOUND

    async def test_scans_beyond_max_connections_wait_their_turn(self) -> None:
        engine = self.an_engine(max_connections=3)
        contents = [EICAR if number % 5 == 0 else b"clean %d" % number for number in range(60)]
        self.clamd.judge = lambda _: Answer(delay=0.005)
        results = await gatherResults([ensureDeferred(scan_bytes(engine, content)) for content in contents])
        assert results == [FOUND if content == EICAR else Clean() for content in contents]
        assert self.clamd.connections <= 3 + self.canary

    async def test_a_scan_that_gets_no_connection_in_time_is_busy(self) -> None:
        engine = self.an_engine(max_connections=1, timeout_s=0.3)
        self.clamd.judge = lambda _: Answer(silent=True)
        started = time.monotonic()
        results: list[ScanResult] = await gatherResults([ensureDeferred(scan_bytes(engine, EICAR)) for _ in range(5)])
        assert time.monotonic() - started < 30
        reasons = [result.reason for result in results if isinstance(result, Failed)]
        assert len(reasons) == 5
        assert set(reasons) <= {FailureReason.TIMEOUT, FailureReason.BUSY}

    async def test_the_version(self) -> None:
        version = await self.an_engine().version()
        assert version.engine_version == "ClamAV 1.4.6"
        assert version.signature_version == "27821"

    async def test_a_version_that_is_none(self) -> None:
        engine = self.an_engine(timeout_s=0.5)
        for answer in (Answer(line="PONG"), Answer(raw=b"\xff\0"), Answer(hang_up_after=0), Answer(silent=True)):
            self.clamd.replies["VERSION"] = answer
            with pytest.raises(EngineError):
                await engine.version()

    async def test_closing_is_final(self) -> None:
        engine = self.an_engine()
        await scan_bytes(engine, b"x")
        self.clamd.script(Answer(silent=True))
        in_flight = ensureDeferred(scan_bytes(engine, EICAR))
        await deferLater(reactor, 0.1, lambda: None)
        await engine.close()
        for result in (await in_flight, await scan_bytes(engine, EICAR)):
            assert isinstance(result, Failed), result


class UnixFaults(_Faults):
    tcp = False
    canary = 1

    async def test_a_socket_file_that_is_replaced(self) -> None:
        engine = self.an_engine()
        assert await scan_bytes(engine, b"before") == Clean()
        self.clamd.stop()
        self.clamd.start()
        await deferLater(reactor, 0.05, lambda: None)
        assert await scan_bytes(engine, EICAR) == FOUND

    async def test_ok_of_a_clamd_that_can_not_scan_is_not_clean(self) -> None:
        engine = self.an_engine(timeout_s=1.0)
        ok = Answer(verdict="OK")
        for dead in (
            Answer(raw=b"", close=True),
            Answer(silent=True),
            Answer(verdict="OK", request_id=9),
            Answer(raw=b""),
        ):
            self.clamd.judge = lambda _: ok
            assert await scan_bytes(engine, b"before") == Clean()
            self.clamd.judge = lambda request, dead=dead: ok if request.command == "FILDES" else dead  # type: ignore[misc]
            result = await scan_bytes(engine, EICAR)
            assert isinstance(result, Failed), result
            assert result.reason is FailureReason.UNFIT

    async def test_many_scans_share_their_canaries(self) -> None:
        engine = self.an_engine(max_connections=8)
        results = await gatherResults([ensureDeferred(scan_bytes(engine, b"clean %d" % n)) for n in range(200)])
        assert results == [Clean()] * 200
        canaries = [request for request in self.clamd.requests if request.command == "INSTREAM"]
        assert 0 < len(canaries) < 200

    async def test_a_descriptor_that_clamd_could_not_read_is_no_clean_file(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(EICAR)
            file.flush()
            fd = os.open(file.name, os.O_WRONLY)
            self.addCleanup(os.close, fd)
            result = await self.an_engine().scan(fd, len(EICAR))
        assert isinstance(result, Failed)
        assert result.reason is FailureReason.UNREADABLE

    async def test_the_position_of_the_descriptor_does_not_matter(self) -> None:
        engine = self.an_engine()
        fd = sized_archive(4096)
        self.addCleanup(os.close, fd)
        os.lseek(fd, 4096, os.SEEK_SET)
        assert await engine.scan(fd, 4096) == FOUND


class _HastyClamd(Protocol):
    """Says OK as soon as the first bytes of a file arrive."""

    hasty = True

    def dataReceived(self, data: bytes) -> None:
        if self.hasty and len(data) > 1000:
            self.hasty = False
            assert self.transport is not None
            self.transport.write(b"1: stream: OK\0")


class TcpFaults(_Faults):
    tcp = True
    canary = 0

    async def test_a_stream_above_clamds_limit(self) -> None:
        await self.assert_fails(STREAM_LIMIT, FailureReason.TOO_LARGE)

    async def test_ok_before_the_whole_file_was_sent_is_not_clean(self) -> None:
        port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(Factory.forProtocol(_HastyClamd))
        self.addCleanup(port.stopListening)
        address = cast("IPv4Address", port.getHost())
        engine = clamd_engine(f"tcp:{address.host}:{address.port}", timeout_s=5.0)
        result = await scan_bytes(engine, bytes(20_000_000))
        assert isinstance(result, Failed), result
        assert result.reason is FailureReason.NOT_UNDERSTOOD
        await deferLater(reactor, 0.05, lambda: None)

    async def test_clamd_stops_reading_in_the_middle(self) -> None:
        await self.assert_fails(Answer(stall_after=300_000), FailureReason.TIMEOUT, content=bytes(20_000_000))

    async def test_clamd_hangs_up_in_the_middle(self) -> None:
        await self.assert_fails(Answer(hang_up_after=300_000), FailureReason.LOST, content=bytes(20_000_000))

    async def test_a_file_that_shrinks_while_it_is_sent(self) -> None:
        engine = self.an_engine()
        fd = sized_archive(1_000_000)
        self.addCleanup(os.close, fd)
        os.ftruncate(fd, 500_000)
        result = await engine.scan(fd, 1_000_000)
        assert isinstance(result, Failed)
        assert result.reason is FailureReason.UNREADABLE

    async def test_the_whole_file_arrives_in_chunks_of_a_bounded_length(self) -> None:
        engine = self.an_engine()
        fd = sized_archive(3_000_001)
        self.addCleanup(os.close, fd)
        assert await engine.scan(fd, 3_000_001) == FOUND
        (request,) = [request for request in self.clamd.requests if request.command == "INSTREAM"]
        assert request.size == 3_000_001
        assert max(request.chunk_sizes) <= 1 << 20
        assert min(request.chunk_sizes[:-1]) >= 64 * 1024
        assert self.clamd.connections == 1


del _Faults
