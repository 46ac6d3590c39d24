"""What a scanner is able to find, proven over the transport that is in use, before it is trusted with a file.

clamd says "OK" to what it did not look at: files above its limits, too deeply nested or too many members, encrypted
archives. Nothing but a try tells. The decisions here are pure; `prove` asks the engine.
"""

import logging
import os
from collections.abc import Awaitable, Callable
from enum import Enum

import attr

from synapse_bum.antivirus.engines.engine import (
    Clean,
    Engine,
    EngineError,
    EngineProof,
    Failed,
    FailureReason,
    Infected,
    NotFullyScanned,
    ScanResult,
)
from synapse_bum.antivirus.scanning import probes

logger = logging.getLogger(__name__)

MIB = 1 << 20
SIZE_STEP_BYTES = MIB
"""The largest scanned size is found to this precision, always downwards."""

NESTED_DEPTH = 17
"""One more than clamd's default MaxRecursion."""

MANY_FILES = 10_010
"""Some more than clamd's default MaxFiles."""


class ProbeResult(Enum):
    """How a scanner took a probe. The value is what status, logs and metrics print."""

    FOUND = "found"
    """It named the virus, or the kind of file that the probe is."""
    REFUSED = "refused"
    """It said that it did not look at everything: such files are refused."""
    PASSED = "passed"
    """It said OK to a file that it did not look into."""
    FAILED = "failed"
    """It had no answer."""


def probe_result(result: ScanResult) -> ProbeResult:
    """Say how a probe, which always has a virus in it, was taken."""
    if isinstance(result, Infected):
        return ProbeResult.FOUND
    if isinstance(result, NotFullyScanned):
        return ProbeResult.REFUSED
    if isinstance(result, Clean):
        return ProbeResult.PASSED
    return ProbeResult.REFUSED if result.reason is FailureReason.TOO_LARGE else ProbeResult.FAILED


@attr.s(auto_attribs=True, frozen=True, slots=True)
class EngineExamination:
    """What a scanner does with files that clamd's limits are about.

    Attributes:
        oversize: a file just above the proven size. PASSED is the silent pass that our own limit guards against.
        nested_archive: EICAR in `NESTED_DEPTH` archives, one in the other.
        many_files: EICAR behind `MANY_FILES` members.
        inflated_archive: a small archive that unpacks to more than the proven size.
        encrypted_archive: an archive that nobody can look into.
    """

    oversize: ProbeResult
    nested_archive: ProbeResult
    many_files: ProbeResult
    inflated_archive: ProbeResult
    encrypted_archive: ProbeResult


def warnings(address: str, proof: EngineProof, examination: EngineExamination | None, wanted_bytes: int) -> list[str]:
    """One sentence for each thing that a scanner lets pass or can't do.

    Args:
        address: of the scanner.
        proof: what it proved.
        examination: None when it did not get that far.
        wanted_bytes: up to this size files should be scannable (`max_scan_size` or Synapse's `max_upload_size`).
    """
    if proof.max_bytes == 0:
        return [f"Scanner {address} does not find the EICAR test file and is not used: has it a signature base?"]
    found = []
    if proof.max_bytes < wanted_bytes:
        found.append(
            f"Scanner {address} scans files of at most {proof.max_bytes} bytes; larger ones up to {wanted_bytes} bytes "
            "are refused. Raise MaxFileSize, MaxScanSize and StreamMaxLength in clamd.conf (c-icap: MaxObjectSize)"
        )
    if examination is None:
        return found
    limits = "Set `AlertExceedsMax yes` in clamd.conf, then they are refused"
    silent = {
        f"archives nested deeper than MaxRecursion. {limits}": examination.nested_archive,
        f"archives with more members than MaxFiles. {limits}": examination.many_files,
        "archives with a member that unpacks to more than MaxFileSize. clamd has no alert for that; keep MaxFileSize "
        "and MaxScanSize high": examination.inflated_archive,
        "encrypted archives. Set `AlertEncrypted yes` in clamd.conf to have them reported or blocked "
        "(`heuristics.encrypted`)": examination.encrypted_archive,
    }
    passed = [what for what, result in silent.items() if result is ProbeResult.PASSED]
    return found + [f"Scanner {address} silently passes {what}" for what in passed]


ScanSize = Callable[[int], Awaitable[bool]]
"""Whether a file of so many bytes is scanned to its end."""


async def largest_scanned(scans: ScanSize, highest: int, expected: int | None) -> int:
    """Find the largest size that is scanned, to `SIZE_STEP_BYTES`.

    Args:
        scans: the question; asked at most about ten times, and once where nothing changed and `highest` is reached.
        highest: bytes; never asked beyond.
        expected: the last answer, asked first, so that an unchanged scanner costs two questions.

    Returns:
        Bytes, at most `highest`; 0 when not even the smallest probe is scanned.
    """
    if await scans(highest):
        return highest
    low, high = 0, highest
    if expected is not None and probes.MIN_SIZED_BYTES <= expected < highest:
        if await scans(expected):
            low = expected
            nearest = expected + SIZE_STEP_BYTES
            if nearest < high and not await scans(nearest):
                high = nearest
        else:
            high = expected
    while high - low > SIZE_STEP_BYTES:
        # On whole steps, because limits are written in whole megabytes.
        middle = (low + high) // 2 // SIZE_STEP_BYTES * SIZE_STEP_BYTES or SIZE_STEP_BYTES
        if middle <= low:
            break
        if await scans(middle):
            low = middle
        else:
            high = middle
    if low == 0 and await scans(probes.MIN_SIZED_BYTES):
        return probes.MIN_SIZED_BYTES
    return low


class SelfTest:
    """Tests engines, and remembers what each one could do last time."""

    def __init__(self, max_scan_bytes: int, in_thread: Callable[..., Awaitable[int]]) -> None:
        """Prepare; nothing is asked or connected yet.

        Args:
            max_scan_bytes: nothing larger is ever scanned, so nothing larger has to be proven.
            in_thread: runs a function that builds a probe off the reactor thread.
        """
        self._max_scan_bytes = max(max_scan_bytes, probes.MIN_SIZED_BYTES)
        self._in_thread = in_thread
        self._last_max: dict[str, int] = {}

    async def prove(self, engine: Engine) -> EngineProof:
        """Test one engine.

        Raises:
            EngineError: it does not answer; that proves nothing, in either direction.
        """
        version = await engine.version()
        eicar = await self._scan(engine, probes.in_memory, probes.EICAR)
        if isinstance(eicar, Failed):
            raise EngineError(eicar.reason, f"the EICAR test file was not scanned: {eicar.detail}")
        if probe_result(eicar) is not ProbeResult.FOUND:
            return EngineProof(version, 0)

        async def scans(size: int) -> bool:
            for _ in range(2):
                result = await self._scan(engine, probes.sized_archive, size)
                if not isinstance(result, Failed) or result.reason is FailureReason.TOO_LARGE:
                    return probe_result(result) is ProbeResult.FOUND
                # Is it this size (a stream above StreamMaxLength may just be cut off), or the scanner?
                alive = await self._scan(engine, probes.in_memory, probes.EICAR)
                if isinstance(alive, Failed):
                    raise EngineError(alive.reason, f"{engine.address} was lost during its self-test: {alive.detail}")
            return False

        max_bytes = await largest_scanned(scans, self._max_scan_bytes, self._last_max.get(engine.address))
        self._last_max[engine.address] = max_bytes
        # Not even a small archive is looked into: then the test file's own size is all that is proven.
        return EngineProof(version, max_bytes or len(probes.EICAR))

    async def examine(self, engine: Engine, proof: EngineProof) -> EngineExamination:
        """Find out what an engine that proved itself lets pass silently. Takes some seconds of its time."""
        above = proof.max_bytes + SIZE_STEP_BYTES
        return EngineExamination(
            oversize=await self._probe(engine, probes.sized_archive, above),
            nested_archive=await self._probe(engine, _packed, probes.nested_archive, NESTED_DEPTH),
            many_files=await self._probe(engine, _packed, probes.archive_of_many_files, MANY_FILES),
            inflated_archive=await self._probe(engine, _packed, probes.archive_that_unpacks_to, above),
            encrypted_archive=await self._probe(engine, _packed, probes.encrypted_archive),
        )

    async def _probe(self, engine: Engine, build: Callable[..., int], *args: object) -> ProbeResult:
        result = await self._scan(engine, build, *args)
        if isinstance(result, Failed):
            logger.debug("Self-test of %s: %s", engine.address, result.detail)
        return probe_result(result)

    async def _scan(self, engine: Engine, build: Callable[..., int], *args: object) -> ScanResult:
        fd = await self._in_thread(build, *args)
        try:
            return await engine.scan(fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)


def _packed(build: Callable[..., bytes], *args: object) -> int:
    return probes.in_memory(build(*args))
