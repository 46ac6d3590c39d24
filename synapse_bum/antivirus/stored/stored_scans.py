"""Scanning one stored file, and what follows from the verdict: for files that were never scanned, and for rescans."""

import os
from enum import Enum, auto

from synapse.module_api import ModuleApi

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.decision import Action, Policy, decide
from synapse_bum.antivirus.engines.engine import Failed, FailureReason
from synapse_bum.antivirus.findings.enforcement import Enforcer
from synapse_bum.antivirus.findings.finding import Finding, FindingState, Source
from synapse_bum.antivirus.findings.records import Permit
from synapse_bum.antivirus.media_types import may_be_encrypted
from synapse_bum.antivirus.scanning.scanner import Scanner, ScanReport
from synapse_bum.antivirus.scanning.suspects import UNSCANNABLE
from synapse_bum.antivirus.stored.verdicts import VerdictWriter
from synapse_bum.homeserver import media
from synapse_bum.homeserver.media import StoredMedia

_FAULT_OF_THE_FILE = frozenset({FailureReason.TOO_LARGE, FailureReason.UNREADABLE})


class Outcome(Enum):
    """What a scan of a stored file led to."""

    PASSED = auto()
    """Nothing was found, or only ciphertext seen: the verdict is noted."""
    BLOCKED = auto()
    """It is infected, and the finding written."""
    NOT_BLOCKED = auto()
    """It is infected, and was left as it is: the permit said no, or an operator has released it meanwhile."""
    UNDECIDED = auto()
    """There is no verdict, for the file's own sake: no later scan would do better today."""
    NO_ANSWER = auto()
    """The scanner has no answer: there is no use in going on with other files now."""


class StoredScans:
    """Scans stored files, one after the other."""

    def __init__(
        self,
        api: ModuleApi,
        scanner: Scanner,
        writer: VerdictWriter,
        enforcer: Enforcer,
        policy: Policy,
    ) -> None:
        self._api = api
        self._scanner = scanner
        self._writer = writer
        self._enforcer = enforcer
        self._policy = policy

    async def scan(self, stored: StoredMedia, permit: Permit | None = None) -> tuple[Outcome, str]:
        """Scan a stored file, note what is clean, block what is infected.

        Args:
            stored: the file.
            permit: asked before it is blocked.

        Returns:
            The outcome, and one line about the verdict without content of the file.

        Raises:
            Exception: the file can't be had, or the database does not answer.
        """
        async with media.stored_file(self._api, stored) as path:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return await self._settle(stored, await self._scanner.scan(fd), fd, permit)
            finally:
                os.close(fd)

    async def _settle(
        self, stored: StoredMedia, report: ScanReport, fd: int, permit: Permit | None
    ) -> tuple[Outcome, str]:
        decision = decide(report.result, Source.RESCAN, self._policy, condemned=report.condemned, exempt=report.exempt)
        if decision.action is Action.ACCEPT:
            await self._note(stored, report, fd)
            outcome = Outcome.PASSED
        elif decision.action is Action.REFUSE_INFECTED or report.condemned:
            outcome = await self._block(stored, report, decision.signature or UNSCANNABLE, fd, permit)
        elif isinstance(report.result, Failed) and report.result.reason not in _FAULT_OF_THE_FILE:
            return Outcome.NO_ANSWER, decision.because
        else:
            outcome = Outcome.UNDECIDED
        metrics.SCANS.labels(decision.label.value, Source.RESCAN.value).inc()
        if outcome is not Outcome.UNDECIDED:
            self._writer.count(decision.label)
        return outcome, decision.because

    async def _note(self, stored: StoredMedia, report: ScanReport, fd: int) -> None:
        encrypted = await self._scanner.look(may_be_encrypted, fd, report.size)
        note = self._writer.note_encrypted if encrypted else self._writer.note_clean
        note(stored.server_name, stored.media_id, report.signature_version)

    async def _block(
        self, stored: StoredMedia, report: ScanReport, signature: str, fd: int, permit: Permit | None
    ) -> Outcome:
        sha256 = report.sha256 or await self._scanner.sha256(fd)
        now_ms = self._api.get_current_time_msec()

        def finding(state: FindingState) -> Finding:
            return Finding(
                server_name=stored.server_name,
                media_id=stored.media_id,
                sha256=sha256,
                signature=signature,
                state=state,
                source=Source.RESCAN,
                uploader=stored.uploader,
                reporter=None,
                found_ts=now_ms,
            )

        made = await self._enforcer.block(stored, finding, begun_ms=report.begun_ms, permit=permit)
        return Outcome.NOT_BLOCKED if made is None else Outcome.BLOCKED
