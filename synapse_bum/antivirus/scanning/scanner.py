"""Scanning one open file: our own limits, suspects, and the pool of engines behind them."""

import logging
import os
import secrets
import stat
from collections.abc import Callable
from typing import Final, TypeVar

import attr
from synapse.module_api import ModuleApi, make_deferred_yieldable
from twisted.internet.defer import DeferredLock

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.engines.engine import (
    SUSPECT_REASONS,
    EngineVersion,
    Failed,
    FailureReason,
    Infected,
    ScanResult,
)
from synapse_bum.antivirus.engines.pool import EnginePool
from synapse_bum.antivirus.findings.exemptions import is_exempt
from synapse_bum.antivirus.scanning import suspects
from synapse_bum.database import Database
from synapse_bum.homeserver.reactor import outside_log_context

logger = logging.getLogger(__name__)

T = TypeVar("T")

UNVERSIONED: Final = "unversioned "
"""Begins the name of a signature version that the scanner does not tell, once it may have been restarted."""

SMALL_BYTES: Final = 65_536
"""Up to this size a file is read at once, in less time than a thread needs to be woken: 0.2 ms."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ScanReport:
    """The verdict about one open file.

    Attributes:
        result: of the engines, or a failure of our own.
        condemned: the file has used up its strikes and is never scanned again.
        size: of the file in bytes.
        sha256: hexadecimal, where the file had to be hashed anyway; its alias where it has one.
        signature_version: of the scanner that looked, before it did; None where it tells none, or none looked.
        exempt: an operator released these bytes from what was found, or from being condemned.
        begun_ms: when the scan began, in ms since the epoch.
    """

    result: ScanResult
    condemned: bool
    size: int
    sha256: str | None = None
    signature_version: str | None = None
    exempt: bool = False
    begun_ms: int = 0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Identity:
    """What must not change while a file is scanned."""

    size: int
    modified_ns: int


class Scanner:
    """All scans of this process go through here."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        pool: EnginePool,
        *,
        max_scan_bytes: int,
        now_s: Callable[[], float],
    ) -> None:
        """Prepare; nothing is asked or connected yet.

        Args:
            api: of the homeserver.
            database: with the antivirus tables.
            pool: the engines.
            max_scan_bytes: `max_scan_size`.
            now_s: a clock for the histogram, in seconds.
        """
        self._api = api
        self._database = database
        self._pool = pool
        self._max_scan_bytes = max_scan_bytes
        self._now_s = now_s
        self._suspect_sizes: frozenset[int] | None = None
        self._alone = DeferredLock()
        self._last_signature_version: str | None = None
        self._process = secrets.token_hex(4)

    async def scan(self, fd: int, *, alias: str | None = None) -> ScanReport:
        """Scan what is behind a descriptor.

        Args:
            fd: of a regular file, opened for reading; the caller closes it.
            alias: stands for the hash of the file in tables and logs, where the hash must not be known: nothing that
                can be derived from a decrypted file is written down. Releases are not looked up then: they are about
                the bytes that are stored.

        Returns:
            The verdict, never an exception for anything that scanner or file do.

        Raises:
            Exception: the database does not answer; nothing may be decided then.
        """
        with metrics.SCANS_IN_PROGRESS.track_inprogress():
            started, begun_ms = self._now_s(), self._api.get_current_time_msec()
            report = await self._scan(fd, alias)
            metrics.SCAN_SECONDS.observe(self._now_s() - started)
        if not isinstance(report.result, Failed):
            metrics.SCANNED_BYTES.inc(report.size)
        report = attr.evolve(report, begun_ms=begun_ms)
        return report if alias is not None else await self._excuse(report, fd)

    @property
    def signature_version(self) -> str | None:
        """Of the base that scans now, or did before the scanners were lost; None when none was ever told."""
        version = self._pool.version
        if version is not None:
            self._last_signature_version = self._name_of(version, self._pool.incarnations)
        return self._last_signature_version

    @property
    def max_scan_bytes(self) -> int:
        """Larger files are not scanned: by configuration, or because no scanner that is there proved it can."""
        return min(self._max_scan_bytes, self._pool.max_bytes or self._max_scan_bytes)

    def _name_of(self, version: EngineVersion, restarts: int) -> str | None:
        """What verdicts are bound to.

        A clamd without an official base tells no version. Whatever it was restarted with, verdicts of before are void.
        """
        if version.signature_version is not None:
            return version.signature_version
        return f"{UNVERSIONED}{self._process}.{restarts}" if restarts else None

    async def look(self, function: Callable[[int, int], T], fd: int, size: int) -> T:
        """Look at the content of a file; in a thread where that takes longer than waking one.

        Args:
            function: gets the descriptor and the size in bytes.
            fd: of a regular file.
            size: in bytes.
        """
        return function(fd, size) if size <= SMALL_BYTES else await self._api.defer_to_thread(function, fd, size)

    def look_for_suspects_again(self) -> None:
        """Have the next scan read which files are suspects: another process may have added some."""
        self._suspect_sizes = None

    async def sha256(self, fd: int) -> str:
        """Hash a file; hexadecimal."""
        return await self.look(lambda fd, _size: suspects.sha256_of(fd), fd, os.fstat(fd).st_size)

    async def _excuse(self, report: ScanReport, fd: int) -> ScanReport:
        """Look whether an operator released the file from what was found."""
        if isinstance(report.result, Infected):
            signature = report.result.signature
        elif report.condemned:
            signature = suspects.UNSCANNABLE
        else:
            return report
        sha256 = report.sha256 or await self.sha256(fd)
        exempt = await self._database.run("synapse_bum_antivirus_is_exempt", is_exempt, sha256, signature)
        return attr.evolve(report, sha256=sha256, exempt=exempt)

    async def _scan(self, fd: int, alias: str | None) -> ScanReport:
        try:
            before = _identity(fd)
        except OSError as error:
            return ScanReport(
                Failed(FailureReason.UNREADABLE, error.strerror or "not readable"), condemned=False, size=0
            )
        if before is None:
            return ScanReport(Failed(FailureReason.UNREADABLE, "not a regular file"), condemned=False, size=0)
        if before.size > self._max_scan_bytes:
            detail = f"{before.size} bytes are above max_scan_size ({self._max_scan_bytes} bytes)"
            return ScanReport(Failed(FailureReason.TOO_LARGE, detail), condemned=False, size=before.size)
        report = await self._scan_by_record(fd, before.size, alias)
        if not isinstance(report.result, Failed) and _identity(fd) != before:
            changed = Failed(FailureReason.UNREADABLE, "the file changed while it was scanned")
            return attr.evolve(report, result=changed)
        return report

    async def _scan_by_record(self, fd: int, size: int, alias: str | None) -> ScanReport:
        if self._suspect_sizes is None:
            self._suspect_sizes = await self._database.run("synapse_bum_antivirus_suspects", suspects.suspect_sizes)
        if size in self._suspect_sizes:
            sha256, now_ms = alias or await self.sha256(fd), self._api.get_current_time_msec()
            strikes = await self._database.run("synapse_bum_antivirus_strikes", suspects.strikes_of, sha256, now_ms)
            if strikes:
                return await self._scan_suspect(fd, size, sha256, strikes)
        result, version = await self._ask(fd, size)
        if not _is_suspicious(result):
            return ScanReport(result, condemned=False, size=size, signature_version=version)
        sha256 = alias or await self.sha256(fd)
        return await self._scan_suspect(fd, size, sha256, await self._strike(sha256, size, result))

    async def _scan_suspect(self, fd: int, size: int, sha256: str, strikes: int) -> ScanReport:
        await make_deferred_yieldable(self._alone.acquire())
        try:
            while strikes < suspects.MAX_STRIKES:
                result, version = await self._ask(fd, size)
                if not _is_suspicious(result):
                    if not isinstance(result, Failed):
                        await self._database.run("synapse_bum_antivirus_acquit", suspects.clear_strikes, sha256)
                    return ScanReport(result, condemned=False, size=size, sha256=sha256, signature_version=version)
                strikes = await self._strike(sha256, size, result)
        finally:
            self._alone.release()
        detail = f"{strikes} scanners were lost or hung on this file"
        return ScanReport(Failed(FailureReason.LOST, detail), condemned=True, size=size, sha256=sha256)

    async def _ask(self, fd: int, size: int) -> tuple[ScanResult, str | None]:
        """The result of the engines, and the name of the signatures that it was found with."""
        restarts = self._pool.incarnations
        result, version = await outside_log_context(self._pool.scan_and_tell, fd, size)
        return result, None if version is None else self._name_of(version, restarts)

    async def _strike(self, sha256: str, size: int, result: ScanResult) -> int:
        now_ms = self._api.get_current_time_msec()
        strikes = await self._database.run("synapse_bum_antivirus_strike", suspects.add_strike, sha256, size, now_ms)
        self._suspect_sizes = (self._suspect_sizes or frozenset()) | {size}
        metrics.SUSPECTS.inc()
        detail = result.detail if isinstance(result, Failed) else ""
        logger.warning("A scanner was lost or hung on the file with sha256 %s (strike %d): %s", sha256, strikes, detail)
        return strikes


def _is_suspicious(result: ScanResult) -> bool:
    return isinstance(result, Failed) and result.reason in SUSPECT_REASONS


def _identity(fd: int) -> _Identity | None:
    status = os.fstat(fd)
    return _Identity(status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None
