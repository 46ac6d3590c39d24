"""The upload gate: every file that is about to be stored passes here (`check_media_file_for_spam`).

Synapse calls it in the process with the media repository, after the file is complete on disk and before any row,
storage provider or client knows of it: `synapse/media/media_storage.py`, `store_into_file`. Whatever goes wrong here
must end in an exception or a refusal; Synapse deletes the file in both cases.
"""

import logging
import os
from collections.abc import Callable
from typing import Literal

import attr
from synapse.module_api import NOT_SPAM, LoggingTransaction, ModuleApi
from synapse.module_api.errors import Codes

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.decision import Action, Decision, Policy, decide
from synapse_bum.antivirus.engines.engine import Infected
from synapse_bum.antivirus.findings.finding import Finding, FindingState, Source, is_refused, refused_bytes
from synapse_bum.antivirus.findings.records import write_blocked_at_birth, write_rejected
from synapse_bum.antivirus.media_types import may_be_encrypted
from synapse_bum.antivirus.quarantine import arrivals, holding
from synapse_bum.antivirus.quarantine.blocking import Births
from synapse_bum.antivirus.quarantine.holding import Holder
from synapse_bum.antivirus.scanning.scanner import Scanner, ScanReport
from synapse_bum.antivirus.stored.verdicts import VerdictWriter, write_unscanned
from synapse_bum.database import Database
from synapse_bum.homeserver import media, media_holding
from synapse_bum.homeserver.media_types import FileInfo, ReadableFileWrapper

logger = logging.getLogger(__name__)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Subject:
    """The file that is about to be stored.

    Attributes:
        source: how it comes here.
        server_name: where it was uploaded.
        media_id: as in the mxc URI.
        requester: uploader, or who asked for the remote file or the preview.
    """

    source: Source
    server_name: str
    media_id: str
    requester: str | None

    @property
    def mxc(self) -> str:
        """The mxc URI it would have."""
        return f"mxc://{self.server_name}/{self.media_id}"

    def finding(self, report_sha256: str, signature: str, state: FindingState, now_ms: int) -> Finding:
        """The finding about this file."""
        own_upload = self.source is Source.UPLOAD
        return Finding(
            server_name=self.server_name,
            media_id=self.media_id,
            sha256=report_sha256,
            signature=signature,
            state=state,
            source=self.source,
            uploader=self.requester if own_upload else None,
            reporter=None if own_upload else self.requester,
            found_ts=now_ms,
        )


class UploadGate:
    """Decides about files before they are stored, and sees to it."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        scanner: Scanner,
        verdicts: VerdictWriter,
        policy: Policy,
        holder: Holder | None,
    ) -> None:
        """Prepare.

        Args:
            api: of a process with a media repository.
            database: with the antivirus tables.
            scanner: scans.
            verdicts: writes down what is clean.
            policy: the operator's wishes.
            holder: holds what can't be looked into; None to let it pass.
        """
        self._api = api
        self._database = database
        self._scanner = scanner
        self._verdicts = verdicts
        self._policy = policy
        self._holder = holder
        self.births = Births()

    async def check(self, file: ReadableFileWrapper, info: FileInfo) -> Literal["NOT_SPAM"] | Codes:
        """The callback. See `check_media_file_for_spam` in Synapse's documentation of spam checker callbacks."""
        if info.thumbnail is not None:
            # Made by Synapse itself, from a file that passed here.
            return NOT_SPAM
        subject = self._subject(info)
        if subject.source is Source.REMOTE:
            return await self._check_arrival(file.path, subject, info.file_id)
        return await self._check(file.path, subject)

    async def _check_arrival(self, path: str, subject: Subject, file_id: str) -> Literal["NOT_SPAM"] | Codes:
        names = subject.server_name, subject.media_id
        now_ms = self._api.get_current_time_msec()
        hidden = await self._database.run("synapse_bum_antivirus_hide", arrivals.begin, *names, file_id, now_ms)
        outcome: Literal["NOT_SPAM"] | Codes = Codes.FORBIDDEN
        try:
            outcome = await self._check(path, subject)
        finally:
            if hidden:
                await self._database.run("synapse_bum_antivirus_settle", self._settlement(outcome, *names), *names)
        return outcome

    def _settlement(
        self, outcome: Literal["NOT_SPAM"] | Codes, server_name: str, media_id: str
    ) -> Callable[[LoggingTransaction, str, str], None]:
        if outcome != NOT_SPAM:
            return arrivals.turn_away
        held = self._holder is not None and self._holder.is_arriving_held(server_name, media_id)
        return holding.hold_arrival if held else arrivals.let_in

    async def _check(self, path: str, subject: Subject) -> Literal["NOT_SPAM"] | Codes:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            report = await self._scanner.scan(fd)
            decision = decide(
                report.result, subject.source, self._policy, condemned=report.condemned, exempt=report.exempt
            )
            if decision.action is Action.ACCEPT and await self._scanner.look(may_be_encrypted, fd, report.size):
                return await self._check_ciphertext(decision, subject, report, fd)
            return await self._carry_out(decision, subject, report, fd)
        finally:
            os.close(fd)

    async def _check_ciphertext(
        self, decision: Decision, subject: Subject, report: ScanReport, fd: int
    ) -> Literal["NOT_SPAM"] | Codes:
        """Nothing was found in what looks like ciphertext. That says little; what the records say counts more."""
        sha256 = report.sha256 or await self._scanner.sha256(fd)
        known = await self._database.run("synapse_bum_antivirus_refused_bytes", refused_bytes, sha256)
        if known is not None:
            infected = decide(
                Infected(known.signature), subject.source, self._policy, condemned=False, exempt=report.exempt
            )
            return await self._carry_out(infected, subject, attr.evolve(report, sha256=sha256), fd)
        metrics.SCANS.labels(decision.label.value, subject.source.value).inc()
        self._verdicts.count(decision.label)
        self._verdicts.note_encrypted(subject.server_name, subject.media_id, report.signature_version)
        if self._holder is not None and subject.source is not Source.URL_PREVIEW:
            await self._hold(self._holder, subject, sha256)
        return NOT_SPAM

    async def _hold(self, holder: Holder, subject: Subject, sha256: str) -> None:
        local = subject.source is Source.UPLOAD
        if local and await media_holding.is_hash_quarantined(self._api, sha256):
            # The same bytes held a moment ago look like a moderator's quarantine until they have our mark.
            await holder.complete()
            if await media_holding.is_hash_quarantined(self._api, sha256):
                # Synapse stores it quarantined, because of what a moderator did: that is not ours to undo.
                return
        if local:
            now_ms = self._api.get_current_time_msec()
            self.births.expect(subject.media_id, sha256, media.current_request_id(), now_ms)
        await holder.hold(subject.server_name, subject.media_id, sha256)

    def _subject(self, info: FileInfo) -> Subject:
        requester = media.current_requester()
        if info.server_name is not None:
            server_name, media_id = media.current_remote_media() or (info.server_name, info.file_id)
            return Subject(Source.REMOTE, server_name, media_id, requester)
        source = Source.URL_PREVIEW if info.url_cache else Source.UPLOAD
        return Subject(source, self._api.server_name, info.file_id, requester)

    async def _carry_out(
        self, decision: Decision, subject: Subject, report: ScanReport, fd: int
    ) -> Literal["NOT_SPAM"] | Codes:
        outcome = await self._settle(decision, subject, report, fd)
        metrics.SCANS.labels(decision.label.value, subject.source.value).inc()
        self._verdicts.count(decision.label)
        return outcome

    async def _settle(
        self, decision: Decision, subject: Subject, report: ScanReport, fd: int
    ) -> Literal["NOT_SPAM"] | Codes:
        action = decision.action
        if action is Action.ACCEPT:
            self._verdicts.note_clean(subject.server_name, subject.media_id, report.signature_version)
            if decision.signature is not None:
                logger.warning("Stored %s although it was found as %s", subject.mxc, decision.signature)
            return NOT_SPAM
        if action is Action.ACCEPT_UNSCANNED:
            names, now_ms = (subject.server_name, subject.media_id), self._api.get_current_time_msec()
            await self._database.run("synapse_bum_antivirus_unscanned", write_unscanned, *names, now_ms)
            logger.warning("Stored %s unscanned: %s", subject.mxc, decision.because)
            return NOT_SPAM
        if action in {Action.BLOCK, Action.REFUSE_INFECTED}:
            return await self._settle_infected(decision, subject, report, fd)
        logger.warning("Refused %s from %s: %s", subject.mxc, subject.requester, decision.because)
        return Codes.FORBIDDEN

    async def _settle_infected(
        self, decision: Decision, subject: Subject, report: ScanReport, fd: int
    ) -> Literal["NOT_SPAM"] | Codes:
        sha256 = report.sha256 or await self._scanner.sha256(fd)
        block = decision.action is Action.BLOCK
        state = FindingState.BLOCKED if block else FindingState.REJECTED
        now_ms = self._api.get_current_time_msec()
        finding = subject.finding(sha256, decision.signature or "", state, now_ms)
        if block:
            self.births.expect(subject.media_id, sha256, media.current_request_id(), now_ms)
        write = write_blocked_at_birth if block else write_rejected
        await self._database.run("synapse_bum_antivirus_finding", write, finding)
        metrics.FINDINGS.labels(state.value, subject.source.value).inc()
        return NOT_SPAM if block else Codes.FORBIDDEN

    async def refuses_remote(self, server_name: str, media_id: str) -> bool:
        """Whether a remote file is known to be infected, so that it is not fetched again."""
        refused = await self._database.run("synapse_bum_antivirus_refused", is_refused, server_name, media_id)
        if refused:
            logger.info("Not fetching mxc://%s/%s: it is known to be infected", server_name, media_id)
        return refused
