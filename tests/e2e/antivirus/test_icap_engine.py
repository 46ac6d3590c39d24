"""The ICAP engine through a real c-icap to a real clamd, with the settings that Debian ships."""

import os
import signal
import tracemalloc
from typing import ClassVar

import pytest
from twisted.internet import reactor
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from synapse_bum.antivirus.engines.engine import (
    Clean,
    EngineError,
    Failed,
    FailureReason,
    Infected,
    NotFullyScanned,
    ScanResult,
)
from synapse_bum.antivirus.engines.icap import IcapEngine
from synapse_bum.antivirus.engines.icap_verdict import NOT_ASKED_FOR
from synapse_bum.testing import malware
from synapse_bum.testing.c_icap import RealCIcap
from synapse_bum.testing.clamd import EICAR_SIGNATURE, RealClamd
from synapse_bum.testing.malware import EICAR

assert isinstance(reactor, ReactorBase)
CLOCK = reactor

pytestmark = [pytest.mark.requires("clamd", "c-icap"), pytest.mark.any_synapse]

MB = 1024 * 1024
INFECTED = Infected(EICAR_SIGNATURE)
PNG_WITH_EICAR = malware.png() + EICAR
VIDEO_WITH_EICAR = b"\0\0\0\x18moov" + malware.filler(3000) + EICAR


class RealScannerTestCase(TestCase):
    """A clamd and a c-icap for all tests of a class, and an engine for each test."""

    timeout = 240
    clamd: ClassVar[RealClamd]
    c_icap: ClassVar[RealCIcap]

    @classmethod
    def setUpClass(cls) -> None:
        cls.clamd = RealClamd()
        cls.c_icap = RealCIcap(cls.clamd.socket_path)
        cls.addClassCleanup(cls.clamd.close)
        cls.addClassCleanup(cls.c_icap.close)
        cls.clamd.start()
        cls.c_icap.start()

    def setUp(self) -> None:
        self.engine = self.an_engine()

    def an_engine(self, suffix: str = "", service: str = "virus_scan", timeout_s: float = 30.0) -> IcapEngine:
        address = self.c_icap.address.replace("virus_scan", service) + suffix
        engine = IcapEngine(CLOCK, address, timeout_s=timeout_s, max_connections=4)
        self.addCleanup(lambda: Deferred.fromCoroutine(engine.close()))
        return engine

    def scan(self, content: bytes, engine: IcapEngine | None = None) -> "Deferred[ScanResult]":
        fd = os.memfd_create("scanned")
        self.addCleanup(os.close, fd)
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(content)
        return Deferred.fromCoroutine((engine or self.engine).scan(fd, len(content)))

    async def assert_fails(self, reason: FailureReason, content: bytes, engine: IcapEngine | None = None) -> None:
        result = await self.scan(content, engine)
        assert isinstance(result, Failed), result
        assert result.reason is reason, result


class Verdicts(RealScannerTestCase):
    async def test_eicar_is_found_in_every_kind_of_file(self) -> None:
        for content in (
            EICAR,
            malware.zipped(EICAR),
            malware.nested_zip(4),
            malware.gzipped(EICAR),
            malware.tarred(EICAR),
            malware.pdf_with_attachment(EICAR),
            # Types that c-icap's own settings pass unseen.
            PNG_WITH_EICAR,
            VIDEO_WITH_EICAR,
            b"%PDF-1.4\n" + EICAR,
        ):
            assert await self.scan(content) == INFECTED

    async def test_eicar_is_found_at_the_end_of_files_above_the_limits_of_c_icap(self) -> None:
        for size in (1 * MB, 3 * MB, 5 * MB, 6 * MB, 20 * MB):
            assert await self.scan(malware.eicar_at_end(size)) == INFECTED

    async def test_clean_files_of_every_size_are_clean(self) -> None:
        for size in (0, 1, 2, 67, 1023, 1024, 1025, 100_000, 3 * MB, 6 * MB):
            assert await self.scan(malware.filler(size)) == Clean()
        for content in (malware.png(), malware.zipped(b"clean"), malware.pdf_with_attachment(b"clean")):
            assert await self.scan(content) == Clean()

    async def test_each_of_many_concurrent_scans_gets_its_own_verdict(self) -> None:
        contents = [malware.eicar_at_end(MB, seed) if seed % 3 == 0 else malware.filler(MB, seed) for seed in range(8)]
        results = await gatherResults([self.scan(content) for content in contents])
        assert results == [INFECTED if seed % 3 == 0 else Clean() for seed in range(8)]

    async def test_a_connection_outlives_the_number_of_requests_that_c_icap_allows_on_it(self) -> None:
        # MaxKeepAliveRequests is 100.
        for _ in range(220):
            assert await self.scan(b"clean") == Clean()

    async def test_a_file_of_60_mb_is_never_in_memory(self) -> None:
        fd = os.memfd_create("large")
        self.addCleanup(os.close, fd)
        os.truncate(fd, 60 * MB)
        await self.engine.version()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        assert await self.engine.scan(fd, 60 * MB) == Clean()
        _, peak = tracemalloc.get_traced_memory()
        assert peak < 4 * MB

    async def test_the_server_says_who_it_is(self) -> None:
        version = await self.engine.version()
        assert version.engine_version.startswith("C-ICAP/")
        assert version.signature_version

    async def test_with_arguments_of_the_operator_what_c_icap_does_not_look_at_is_never_clean(self) -> None:
        engine = self.an_engine("?allow204=on")
        assert await self.scan(EICAR, engine) == INFECTED
        assert await self.scan(b"clean", engine) == Clean()
        for content in (PNG_WITH_EICAR, PNG_WITH_EICAR[:500], VIDEO_WITH_EICAR, malware.eicar_at_end(6 * MB)):
            assert await self.scan(content, engine) == NOT_ASKED_FOR
        # Here c-icap sends the beginning of the file back, and no word of a virus.
        await self.assert_fails(FailureReason.NOT_UNDERSTOOD, malware.eicar_at_end(3 * MB), engine)

    async def test_a_clean_file_that_c_icap_sends_back_is_clean(self) -> None:
        engine = self.an_engine("?allow204=off")
        for size in (100, 100_000, 3 * MB):
            assert await self.scan(malware.filler(size), engine) == Clean()

    async def test_a_service_that_does_not_exist_is_an_engine_error(self) -> None:
        await self.assert_fails(FailureReason.ENGINE_ERROR, EICAR, self.an_engine(service="virus_scam"))


class Limits(RealScannerTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.clamd.options |= {"MaxFileSize": "2M", "AlertExceedsMax": True, "AlertEncrypted": True}
        cls.clamd.restart()

    async def test_a_file_above_a_limit_of_clamd_is_not_fully_scanned(self) -> None:
        found = await self.scan(malware.eicar_at_start(3 * MB))
        assert found == NotFullyScanned("Heuristics.Limits.Exceeded.MaxFileSize")

    async def test_a_heuristic_is_named_as_clamd_names_it(self) -> None:
        assert await self.scan(malware.encrypted_zip(EICAR)) == Infected("Heuristics.Encrypted.Zip")


class Faults(RealScannerTestCase):
    async def test_without_clamd_nothing_is_clean_until_it_is_back(self) -> None:
        assert await self.scan(b"clean") == Clean()
        self.clamd.stop()
        for content in (b"clean", EICAR, malware.filler(3 * MB), PNG_WITH_EICAR):
            await self.assert_fails(FailureReason.ENGINE_ERROR, content)
        self.clamd.start()
        assert await self.scan(b"clean") == Clean()
        assert await self.scan(EICAR) == INFECTED

    async def test_a_c_icap_that_started_without_clamd_passes_nothing_until_it_is_restarted(self) -> None:
        self.clamd.stop()
        self.c_icap.kill()
        self.c_icap.start()
        self.clamd.start()
        for content in (b"clean", EICAR, PNG_WITH_EICAR):
            await self.assert_fails(FailureReason.ENGINE_ERROR, content)
        with pytest.raises(EngineError, match="without a scanner"):
            await self.engine.version()
        self.c_icap.kill()
        self.c_icap.start()
        assert await self.scan(EICAR) == INFECTED

    async def test_a_c_icap_that_was_killed_and_started_again_between_scans_costs_no_verdict(self) -> None:
        assert await gatherResults([self.scan(b"clean") for _ in range(4)]) == [Clean()] * 4
        self.c_icap.kill()
        self.c_icap.start()
        assert await gatherResults([self.scan(b"clean") for _ in range(8)]) == [Clean()] * 8

    async def test_a_c_icap_killed_in_the_middle_is_lost_and_then_unreachable(self) -> None:
        await self.engine.version()
        # A clamd that stands still: the scan can't end before c-icap does.
        os.kill(self.clamd.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, self.clamd.pid, signal.SIGCONT)
        scan = self.scan(malware.filler(40 * MB))
        spool = self.c_icap.directory / "spool"
        while not any(spool.iterdir()):
            await deferLater(CLOCK, 0.01, lambda: None)
        self.c_icap.kill()
        os.kill(self.clamd.pid, signal.SIGCONT)
        result = await scan
        assert isinstance(result, Failed)
        assert result.reason is FailureReason.LOST
        await self.assert_fails(FailureReason.UNREACHABLE, EICAR)
        self.c_icap.start()
        assert await self.scan(EICAR) == INFECTED
