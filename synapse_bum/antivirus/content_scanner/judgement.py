"""What follows from the scan of a file that a client asked about: for whom it is refused, and what is written down."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.content_scanner.errors import no_verdict
from synapse_bum.antivirus.content_scanner.key_verdicts import (
    BoundVerdict,
    KeyVerdict,
    digest_of_policy,
    write_verdicts,
)
from synapse_bum.antivirus.content_scanner.known import Standing
from synapse_bum.antivirus.content_scanner.type_policy import TypePolicy
from synapse_bum.antivirus.decision import HEURISTICS_PREFIX, Policy, ResultLabel, is_only_reported
from synapse_bum.antivirus.engines.engine import Clean, Infected, NotFullyScanned
from synapse_bum.antivirus.findings.enforcement import Enforcer
from synapse_bum.antivirus.findings.exemptions import is_exempt
from synapse_bum.antivirus.findings.finding import Finding, FindingState, Source
from synapse_bum.antivirus.findings.records import write_rejected
from synapse_bum.antivirus.media_types import may_be_encrypted, sniff
from synapse_bum.antivirus.quarantine import holding
from synapse_bum.antivirus.scanning.scanner import Scanner, ScanReport
from synapse_bum.antivirus.stored.verdicts import CleanVerdict, VerdictWriter, write_clean
from synapse_bum.database import Database
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.media_details import MediaDetails

logger = logging.getLogger(__name__)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Subject:
    """The file that was scanned, and by whose doing.

    Attributes:
        details: its row.
        user_id: who asked.
        ciphertext_sha256: hexadecimal; None for a file that was scanned as it is stored.
        standing: what the records said before the scan.
        standard_counter: whether the low 64 bits of the iv are zero.
        binding: name of the verdict, see `key_verdicts.binding_of`; None for a file that was scanned as it is stored.
    """

    details: MediaDetails
    user_id: str
    ciphertext_sha256: str | None
    standing: Standing
    standard_counter: bool
    binding: str | None

    @property
    def is_encrypted(self) -> bool:
        """Whether a key of the requester was used."""
        return self.ciphertext_sha256 is not None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Judgement:
    """The verdict about a subject.

    Attributes:
        verdict: for the requester, and for everybody with the same key.
        proved: whether the key is the right one: it gave something that noise never is.
    """

    verdict: KeyVerdict
    proved: bool = False


Scan: TypeAlias = Callable[[], Awaitable[Judgement]]


def may_block_everybody(signature: str, subject: Subject) -> bool:
    """Whether an infected file is refused to all, or only to requests with this key.

    An attacker picks keys. With an iv of his own making he can put 16 bytes of his choice into a stranger's file, and
    what heuristics take for suspicious he may be able to produce by trying. A signature under a key alone he can't.

    Args:
        signature: as the scanner names it.
        subject: the file.
    """
    if not subject.is_encrypted:
        return True
    return subject.standard_counter and not signature.startswith(HEURISTICS_PREFIX)


class Judge:
    """Decides about scanned files and sees to it."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        scanner: Scanner,
        enforcer: Enforcer,
        verdicts: VerdictWriter,
        *,
        policy: Policy,
        types: TypePolicy,
    ) -> None:
        self._api = api
        self._database = database
        self._scanner = scanner
        self._enforcer = enforcer
        self._verdicts = verdicts
        self._policy = policy
        self.types = types
        self.policy_digest = digest_of_policy(
            {
                "heuristics": {name: action.value for name, action in policy.heuristics.items()},
                "allowed": None if types.allowed is None else sorted(types.allowed),
                "blocked": None if types.blocked is None else sorted(types.blocked),
            }
        )

    async def decide(self, subject: Subject, report: ScanReport, fd: int) -> Judgement:
        """Decide about a file, and write down what must not get lost before anybody is told.

        Args:
            subject: the file.
            report: of its scan.
            fd: of what was scanned.

        Raises:
            ContentScannerError: 502, there is no verdict.
        """
        result = report.result
        label = _label(report)
        metrics.SCANS.labels(label.value, Source.CONTENT_SCANNER.value).inc()
        self._verdicts.count(label)
        if isinstance(result, NotFullyScanned):
            logger.warning("%s was not scanned to its end: %s", _mxc(subject), result.signature)
            raise no_verdict("The file could not be scanned to its end")
        if isinstance(result, Infected) and not report.exempt:
            infected = await self._infected(result.signature, subject, report, fd)
            if infected is not None:
                return infected
        elif not isinstance(result, Clean | Infected):
            logger.warning("No verdict about %s: %s (%s)", _mxc(subject), result.reason.value, result.detail)
            raise no_verdict("The file could not be scanned")
        return await self._clean(subject, report, fd)

    async def _infected(self, signature: str, subject: Subject, report: ScanReport, fd: int) -> Judgement | None:
        """Returns None for what may pass all the same: only reported, or released by an operator."""
        if is_only_reported(signature, self._policy.heuristics):
            logger.warning("Let %s pass although it was found as %s", _mxc(subject), signature)
            return None
        sha256 = subject.ciphertext_sha256 or report.sha256 or await self._scanner.sha256(fd)
        if await self._database.run("synapse_bum_antivirus_exempt", is_exempt, sha256, signature):
            return None
        if not may_block_everybody(signature, subject):
            return await self._refuse_key(signature, sha256, subject, report)
        stored = subject.details.stored
        found_ts = self._api.get_current_time_msec()

        def finding(state: FindingState) -> Finding:
            return _finding(subject, sha256, signature, state, found_ts)

        made = await self._enforcer.block(stored, finding, begun_ms=report.begun_ms)
        if made is None:
            raise no_verdict("An operator has just decided about this file; ask again")
        await self._enforcer.block_copies(made, begun_ms=report.begun_ms)
        logger.info("Blocked %s (%s), reported by %s", made.mxc, signature, subject.user_id)
        return Judgement(KeyVerdict.INFECTED)

    async def _refuse_key(self, signature: str, sha256: str, subject: Subject, report: ScanReport) -> Judgement:
        found_ts = self._api.get_current_time_msec()
        finding = _finding(subject, sha256, signature, FindingState.REJECTED, found_ts)
        names = finding.server_name, finding.media_id
        bound = BoundVerdict(
            subject.binding or "", *names, KeyVerdict.INFECTED, signature, report.signature_version, proved=True
        )
        # Together: a release that comes between could not end the verdict.
        if await self._database.run("synapse_bum_antivirus_key_finding", _write_refused, finding, bound):
            metrics.FINDINGS.labels(finding.state.value, finding.source.value).inc()
        logger.warning(
            "Refused %s (%s) for one key only, which %s gave; others still get it",
            finding.mxc,
            signature,
            subject.user_id,
        )
        return Judgement(KeyVerdict.INFECTED)

    async def _clean(self, subject: Subject, report: ScanReport, fd: int) -> Judgement:
        stored, version = subject.details.stored, report.signature_version
        looks_encrypted = await self._scanner.look(may_be_encrypted, fd, report.size)
        permitted = True
        if self.types.looks_at_types:
            permitted = self.types.permits(await self._scanner.look(sniff, fd, report.size))
        if not subject.is_encrypted:
            note = self._verdicts.note_encrypted if looks_encrypted else self._verdicts.note_clean
            note(stored.server_name, stored.media_id, version)
            return Judgement(KeyVerdict.CLEAN if permitted else KeyVerdict.FORBIDDEN)
        # Plaintext that looks like something proves that its key is the right one; any other key gives noise. An iv of
        # somebody's own making proves nothing: it puts 16 bytes of his choice there.
        proved = not looks_encrypted and subject.standard_counter
        if permitted and proved:
            await self._proved_clean(subject, version)
        return Judgement(KeyVerdict.CLEAN if permitted else KeyVerdict.FORBIDDEN, proved=proved)

    async def _proved_clean(self, subject: Subject, version: str | None) -> None:
        stored = subject.details.stored
        if subject.standing is not Standing.HELD:
            self._verdicts.note_clean(stored.server_name, stored.media_id, version)
        else:
            clean = CleanVerdict(stored.server_name, stored.media_id, version, self._api.get_current_time_msec())
            await self._database.run("synapse_bum_antivirus_let_go", _let_go, stored, clean)
            logger.info("mxc://%s/%s was held and is clean", stored.server_name, stored.media_id)


def _write_refused(txn: LoggingTransaction, finding: Finding, bound: BoundVerdict) -> bool:
    written = write_rejected(txn, finding)
    if written:
        write_verdicts(txn, [bound], finding.found_ts)
    return written


def _let_go(txn: LoggingTransaction, stored: StoredMedia, clean: CleanVerdict) -> None:
    holding.let_go(txn, stored)
    write_clean(txn, [clean])


def _finding(subject: Subject, sha256: str, signature: str, state: FindingState, found_ts: int) -> Finding:
    stored = subject.details.stored
    return Finding(
        server_name=stored.server_name,
        media_id=stored.media_id,
        sha256=sha256,
        signature=signature,
        state=state,
        source=Source.CONTENT_SCANNER,
        uploader=stored.uploader,
        reporter=subject.user_id,
        found_ts=found_ts,
    )


def _mxc(subject: Subject) -> str:
    return f"mxc://{subject.details.stored.server_name}/{subject.details.stored.media_id}"


def _label(report: ScanReport) -> ResultLabel:
    if isinstance(report.result, Clean):
        return ResultLabel.CLEAN
    return ResultLabel.INFECTED if isinstance(report.result, Infected) else ResultLabel.FAILED
