"""The engine against a real clamd, and its verdicts beside those of the independent `clamd` package."""

import io
import os
import shutil
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path

import clamd  # type: ignore[import-untyped]
import pytest
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from synapse_bum.antivirus.engines.clamd import ClamdEngine
from synapse_bum.antivirus.engines.engine import Clean, Failed, FailureReason, Infected, NotFullyScanned, ScanResult
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.testing import malware
from synapse_bum.testing.clamd import EICAR_SIGNATURE, RealClamd
from synapse_bum.testing.scans import clamd_engine, scan_bytes, scan_path

pytestmark = [pytest.mark.requires("clamd"), pytest.mark.any_synapse]

FOUND = Infected(EICAR_SIGNATURE)
MIB = 1 << 20
TRIES = 10


def a_corpus() -> dict[str, bytes]:
    """One file of each kind that a user may send, small enough for every limit but its own."""
    return {
        "eicar": EICAR,
        "eicar in zip": malware.zipped(EICAR),
        "eicar in nested zip": malware.nested_zip(5),
        "eicar in a zip nested too deep": malware.nested_zip(30),
        "eicar in gzip": malware.gzipped(EICAR),
        "eicar in tar": malware.tarred(EICAR),
        "eicar in pdf": malware.pdf_with_attachment(EICAR),
        "eicar in encrypted zip": malware.encrypted_zip(EICAR),
        "eicar at the start of 3 MB": malware.eicar_at_start(3 * MIB),
        "eicar at the end of 3 MB": malware.eicar_at_end(3 * MIB),
        "too large": malware.eicar_at_start(5 * MIB),
        "empty": b"",
        "one byte": b"\0",
        "text": b"Guten Tag",
        "png": malware.png(),
        "random": malware.unique_bytes(100_000),
        "pdf": malware.pdf_with_attachment(b"nothing"),
        "zip": malware.zipped(b"nothing"),
    }


def verdict_of_the_independent_client(client: clamd.ClamdUnixSocket, content: bytes) -> str:
    """`clean`, `infected` or `failed`, by the package's own INSTREAM."""
    try:
        status, _name = client.instream(io.BytesIO(content))["stream"]
    except (clamd.ClamdError, OSError):
        return "failed"
    return {"OK": "clean", "FOUND": "infected"}.get(status, "failed")


def verdict(result: ScanResult) -> str:
    if isinstance(result, Clean):
        return "clean"
    return "failed" if isinstance(result, Failed) else "infected"


def holds_a_file(server: RealClamd) -> bool:
    """Whether a clamd that was stopped has a file open that it got by descriptor, or one with what was streamed."""
    folder = Path(f"/proc/{server.pid}/fd")
    targets = [str(entry.readlink()) for entry in folder.iterdir()]
    return any(target.startswith(("/memfd:", f"{server.temporary_directory}/")) for target in targets)


def delete(path: str) -> None:
    Path(path).unlink()


class RealEngine(TestCase):
    def a_clamd(self, **options: str | bool) -> RealClamd:
        everything = ExitStack()
        self.addCleanup(everything.close)
        return everything.enter_context(RealClamd(tcp=True, real_base=False, **options))

    def an_engine(self, address: str, max_connections: int = 4) -> ClamdEngine:
        engine = clamd_engine(address, timeout_s=60.0, max_connections=max_connections)
        self.addCleanup(lambda: ensureDeferred(engine.close()))
        return engine

    async def _pause(self, seconds: float) -> None:
        await deferLater(reactor, seconds, lambda: None)

    async def _kill_in_the_middle(self, server: RealClamd, engine: ClamdEngine) -> ScanResult:
        """Kill clamd while it holds a file, and return what came of the scan."""
        for seed in range(TRIES):
            scan = ensureDeferred(scan_bytes(engine, malware.filler(60 * MIB, seed)))
            await self._pause(0.1)
            os.kill(server.pid, signal.SIGSTOP)
            in_the_middle = holds_a_file(server)
            server.kill()
            result = await scan
            if in_the_middle:
                return result
            server.start()
        raise AssertionError("each scan was over, or had not begun, when clamd was killed")

    async def test_verdicts_are_those_of_an_independent_client(self) -> None:
        for alerts in (False, True):
            server = self.a_clamd(MaxFileSize="4M", StreamMaxLength="8M", AlertExceedsMax=alerts, AlertEncrypted=alerts)
            client = clamd.ClamdUnixSocket(str(server.socket_path), timeout=30)
            for address in (server.address_unix, server.address_tcp):
                engine = self.an_engine(address)
                for name, content in a_corpus().items():
                    ours = await scan_bytes(engine, content)
                    expected = verdict_of_the_independent_client(client, content)
                    assert verdict(ours) == expected, (
                        f"{name} at {address} with AlertExceedsMax {alerts}: {ours}, not {expected}"
                    )

    async def test_a_limit_is_told_from_a_virus(self) -> None:
        server = self.a_clamd(MaxFileSize="4M", AlertExceedsMax=True)
        result = await scan_bytes(self.an_engine(server.address_unix), malware.eicar_at_start(5 * MIB))
        assert result == NotFullyScanned("Heuristics.Limits.Exceeded.MaxFileSize")

    async def test_a_file_that_is_deleted_while_it_is_scanned_is_scanned_to_its_end(self) -> None:
        server = self.a_clamd()
        engine = self.an_engine(server.address_unix)
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(malware.eicar_at_end(20 * MIB))
        scan = ensureDeferred(scan_path(engine, file.name))
        delete(file.name)
        assert await scan == FOUND

    async def test_clamd_is_killed_in_the_middle_of_a_scan(self) -> None:
        server = self.a_clamd()
        for address in (server.address_unix, server.address_tcp):
            engine = self.an_engine(address)
            assert await scan_bytes(engine, b"before") == Clean()
            result = await self._kill_in_the_middle(server, engine)
            assert isinstance(result, Failed), result
            assert result.reason is FailureReason.LOST
            absent = await scan_bytes(engine, EICAR)
            assert isinstance(absent, Failed)
            assert absent.reason is FailureReason.UNREACHABLE
            server.start()
            assert await scan_bytes(engine, EICAR) == FOUND

    async def test_scans_go_on_while_clamd_reloads(self) -> None:
        server = self.a_clamd()
        engine = self.an_engine(server.address_unix)
        content = malware.unique_bytes(200)
        assert await scan_bytes(engine, content) == Clean()
        server.command("RELOAD")
        results = await gatherResults([ensureDeferred(scan_bytes(engine, EICAR)) for _ in range(50)])
        assert results == [FOUND] * 50
        server.reload_with([malware.signature_for("Brand-New", content)])
        assert await scan_bytes(engine, content) == Infected("Brand-New.UNOFFICIAL")

    async def test_a_clamd_without_its_temporary_directory_says_ok_to_everything_and_is_not_believed(self) -> None:
        server = self.a_clamd()
        for address in (server.address_unix, server.address_tcp):
            engine = self.an_engine(address)
            assert await scan_bytes(engine, b"before") == Clean()
            shutil.rmtree(server.temporary_directory)
            result = await scan_bytes(engine, EICAR)
            assert isinstance(result, Failed), result
            server.temporary_directory.mkdir()
            assert await scan_bytes(engine, EICAR) == FOUND

    async def test_a_file_that_waited_in_clamds_queue_while_its_temporary_directory_went_is_not_clean(self) -> None:
        server = self.a_clamd(MaxThreads="1")
        engine = self.an_engine(server.address_unix)
        assert await scan_bytes(engine, b"before") == Clean()
        busy = ensureDeferred(scan_bytes(engine, malware.filler(40 * MIB)))
        await self._pause(0.05)
        queued = ensureDeferred(scan_bytes(engine, EICAR))
        await self._pause(0.05)
        shutil.rmtree(server.temporary_directory)
        result = await queued
        await busy
        assert not isinstance(result, Clean), result

    async def test_a_restart_of_clamd_shows_before_the_next_file(self) -> None:
        server = self.a_clamd()
        for address in (server.address_unix, server.address_tcp):
            engine = self.an_engine(address)
            await engine.version()
            before = engine.incarnation
            await engine.version()
            assert engine.incarnation == before
            server.restart()
            await self._pause(0.05)
            assert engine.incarnation != before
            await engine.version()

    async def test_stream_max_length_of_100_bytes_fails_over_tcp_and_not_by_descriptor(self) -> None:
        server = self.a_clamd(StreamMaxLength="100")
        content = b"x" * 200 + EICAR
        over_tcp = await scan_bytes(self.an_engine(server.address_tcp), content)
        assert isinstance(over_tcp, Failed)
        assert over_tcp.reason is FailureReason.TOO_LARGE
        assert await scan_bytes(self.an_engine(server.address_unix), content) == FOUND

    async def test_2000_files_of_which_every_tenth_is_infected_keep_their_own_verdicts(self) -> None:
        server = self.a_clamd()
        for address in (server.address_unix, server.address_tcp):
            engine = self.an_engine(address, max_connections=8)
            contents = [EICAR if number % 10 == 3 else malware.filler(1000, number) for number in range(2000)]
            results = await gatherResults([ensureDeferred(scan_bytes(engine, content)) for content in contents])
            assert results == [FOUND if content == EICAR else Clean() for content in contents]
