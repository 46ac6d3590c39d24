"""Is this file clean, with this key? Records first, then Synapse's media repository, decryption and scan.

What stands in a record is not scanned again. What has to be scanned is bounded for each requester and for all, whoever
asks for the same at the same time shares one scan, and the records are read once more before the answer.
"""

import contextlib
import logging
import os
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

import attr
from synapse.module_api import ModuleApi
from synapse.module_api.errors import Codes, SynapseError

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.content_scanner.budgets import KeyLimit, ScanBudget
from synapse_bum.antivirus.content_scanner.decryption import check_counter, decrypted, size_of
from synapse_bum.antivirus.content_scanner.encrypted_file import EncryptedFile
from synapse_bum.antivirus.content_scanner.errors import (
    ContentScannerError,
    failed_to_decrypt,
    no_such_file,
    no_verdict,
    too_many,
)
from synapse_bum.antivirus.content_scanner.judgement import Judge, Judgement, Scan, Subject
from synapse_bum.antivirus.content_scanner.key_verdicts import (
    BoundVerdict,
    KeyVerdict,
    KeyVerdictWriter,
    binding_of,
    lifetime_ms,
)
from synapse_bum.antivirus.content_scanner.known import Known, Standing, read_known, standing_of
from synapse_bum.antivirus.content_scanner.shared_work import InterruptedWorkError, SharedWork
from synapse_bum.antivirus.media_types import sniff
from synapse_bum.antivirus.scanning.scanner import Scanner
from synapse_bum.antivirus.stored.verdicts import CLEAN, ENCRYPTED
from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver import media, media_serving
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.media_details import MediaDetails
from synapse_bum.homeserver.threads import Threads

logger = logging.getLogger(__name__)

MAX_THREADS: Final = 4
"""Threads that decrypt: more would only take turns on the processors."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Asker:
    """Who asks.

    Attributes:
        user_id: of the requester.
        client_ip: for Synapse's limit of remote downloads.
    """

    user_id: str
    client_ip: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Examination:
    """The answer.

    Attributes:
        verdict: what the file is.
        details: its row; None for what is infected and gone.
        is_withheld: whether it is held all the same: clean under this key, which nothing proves to be the right one.
        is_proved: whether the key that was asked with is known to be the right one.
    """

    verdict: KeyVerdict
    details: MediaDetails | None
    is_withheld: bool = False
    is_proved: bool = False


class Examiner:
    """Examines files on behalf of clients."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        scanner: Scanner,
        judge: Judge,
        writer: KeyVerdictWriter,
        budget: ScanBudget,
    ) -> None:
        self._api = api
        self._database = database
        self._scanner = scanner
        self._judge = judge
        self._writer = writer
        self._budget = budget
        self._keys = KeyLimit()
        self._threads = Threads(api, "synapse_bum-decryption", MAX_THREADS)
        self._scans: SharedWork[Judgement] = SharedWork()

    async def encrypted(self, asker: Asker, file: EncryptedFile, secret: bytes) -> Examination:
        """Examine an encrypted file under a key.

        Args:
            asker: who asks; authenticated.
            file: as he describes it.
            secret: of this server, for the names of verdicts.

        Raises:
            ContentScannerError: there is no verdict, and why.
        """
        binding = binding_of(secret, self._judge.policy_digest, file)
        known, standing = await self._known(asker, file.server_name, file.media_id, binding)
        if standing is Standing.INFECTED or known.details is None:
            return Examination(KeyVerdict.INFECTED, known.details)
        details = known.details
        _check_fit(file, details)
        if standing is Standing.SERVED:
            bound = self._still_valid(self._writer.recent(binding) or known.key_verdict)
            if bound is not None:
                metrics.CONTENT_SCANNER_VERDICTS.labels("known").inc()
                return Examination(bound.verdict, details, is_proved=bound.proved)
        mxc = f"mxc://{file.server_name}/{file.media_id}"
        now_ms = self._api.get_current_time_msec()
        if not self._keys.allows(asker.user_id, mxc, binding, now_ms):
            raise too_many("Too many different keys for this file within an hour")
        self._check_limits(asker, details)
        subject = Subject(
            details,
            asker.user_id,
            file.sha256.hex(),
            standing,
            standard_counter=file.has_standard_counter,
            binding=binding,
        )

        async def scan() -> Judgement:
            async with (
                self.opened(details.stored) as path,
                self._budget.room(size_of(path)),
                decrypted(self._threads, path, file) as fd,
            ):
                return await self._scan(subject, fd)

        async with self._budget.turn(asker.user_id):
            found = await self._shared(f"key {binding}", scan)
        return await self._by_records_of_now(found, details, binding)

    async def plain(self, asker: Asker, server_name: str, media_id: str) -> Examination:
        """Examine a file as it is stored.

        Args:
            asker: who asks; authenticated.
            server_name: where it was uploaded.
            media_id: as in the mxc URI.

        Raises:
            ContentScannerError: there is no verdict, and why.
        """
        known, standing = await self._known(asker, server_name, media_id, None)
        if standing is Standing.INFECTED or known.details is None:
            return Examination(KeyVerdict.INFECTED, known.details)
        if standing is Standing.HELD:
            raise no_such_file()
        details = known.details
        if self._is_known_clean(known):
            metrics.CONTENT_SCANNER_VERDICTS.labels("known").inc()
            if not self._judge.types.looks_at_types:
                return Examination(KeyVerdict.CLEAN, details)
            async with self.opened(details.stored) as path:
                return Examination(await self._threads.run(self._type_verdict, path), details)
        self._check_limits(asker, details)
        subject = Subject(details, asker.user_id, None, standing, standard_counter=True, binding=None)

        async def scan() -> Judgement:
            # It is scanned where it is and takes no memory.
            async with self.opened(details.stored) as path:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    return await self._scan(subject, fd)
                finally:
                    os.close(fd)

        async with self._budget.turn(asker.user_id):
            found = await self._shared(f"file {server_name}/{media_id}", scan)
        return await self._by_records_of_now(found, details, None)

    async def _by_records_of_now(self, found: Judgement, before: MediaDetails, binding: str | None) -> Examination:
        """A scan takes time, and waiting for it too: meanwhile the file may have been blocked, quarantined or deleted.

        Raises:
            ContentScannerError: 404, nobody gets it any more.
        """
        if found.verdict is KeyVerdict.INFECTED:
            return Examination(found.verdict, before, is_proved=True)
        stored = before.stored
        known = await self._read(stored.server_name, stored.media_id, binding)
        standing = standing_of(known, local=stored.local)
        if standing is Standing.INFECTED:
            return Examination(KeyVerdict.INFECTED, known.details)
        if standing is Standing.FETCHABLE or known.details is None or known.details.stored.file_id != stored.file_id:
            raise no_such_file()
        withheld = standing is Standing.HELD
        return Examination(found.verdict, known.details, is_withheld=withheld, is_proved=found.proved)

    async def _known(
        self, asker: Asker, server_name: str, media_id: str, binding: str | None
    ) -> tuple[Known, Standing]:
        """The records about a file; a remote one is fetched when it is not here."""
        if not media_serving.exchanges_media_with(self._api, server_name):
            raise no_such_file()
        local = server_name == self._api.server_name
        known = await self._read(server_name, media_id, binding)
        standing = standing_of(known, local=local)
        if standing is not Standing.FETCHABLE:
            return known, standing
        await self._fetch(asker, server_name, media_id)
        known = await self._read(server_name, media_id, binding)
        standing = standing_of(known, local=local)
        if standing is Standing.FETCHABLE:
            raise no_such_file()
        return known, standing

    async def _read(self, server_name: str, media_id: str, binding: str | None) -> Known:
        own_name, now_ms = self._api.server_name, self._api.get_current_time_msec()
        return await self._database.run(
            "synapse_bum_antivirus_known", read_known, server_name, media_id, own_name, binding, now_ms
        )

    async def _fetch(self, asker: Asker, server_name: str, media_id: str) -> None:
        try:
            await media_serving.fetch_remote(self._api, asker.client_ip, server_name, media_id)
        except SynapseError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                # The records say why: it does not exist, was refused as infected, or is held for its key.
                return
            if error.errcode == Codes.LIMIT_EXCEEDED:
                raise
            raise no_verdict(f"The file could not be fetched from {server_name}") from None

    def _still_valid(self, verdict: BoundVerdict | None) -> BoundVerdict | None:
        if verdict is None or verdict.signature_version != self._scanner.signature_version:
            return None
        return verdict

    def _is_known_clean(self, known: Known) -> bool:
        verdict = known.plain_verdict
        if verdict is None or verdict.state not in {CLEAN, ENCRYPTED} or verdict.scanned_ts is None:
            return False
        age_ms = self._api.get_current_time_msec() - verdict.scanned_ts
        is_young = age_ms < lifetime_ms(verdict.signature_version)
        return is_young and verdict.signature_version == self._scanner.signature_version

    def _check_limits(self, asker: Asker, details: MediaDetails) -> None:
        if self._budget.is_full_for(asker.user_id):
            raise too_many("Too many files of yours are waiting to be scanned")
        if (details.size or 0) > self._scanner.max_scan_bytes:
            raise no_verdict("The file is larger than what can be scanned")

    @contextlib.asynccontextmanager
    async def opened(self, stored: StoredMedia) -> AsyncIterator[str]:
        """The path of a stored file, fetched from a storage provider where it has to be.

        Raises:
            ContentScannerError: 404 when it is nowhere, 502 when the provider fails.
        """
        async with contextlib.AsyncExitStack() as stack:
            try:
                path = await stack.enter_async_context(media.stored_file(self._api, stored))
            except FileNotFoundError:
                raise no_such_file() from None
            except Exception as error:  # noqa: BLE001 - storage providers raise what they like
                logger.warning("Can't have mxc://%s/%s: %s", stored.server_name, stored.media_id, first_line(error))
                raise no_verdict("The file can't be had from its storage now") from None
            yield path

    async def _scan(self, subject: Subject, fd: int) -> Judgement:
        # Of plaintext not even a hash is written down, so the scanner's records get the name of the verdict.
        report = await self._scanner.scan(fd, alias=subject.binding)
        found = await self._judge.decide(subject, report, fd)
        self._note(subject, found, report.signature_version)
        metrics.CONTENT_SCANNER_VERDICTS.labels("scanned").inc()
        return found

    def _note(self, subject: Subject, found: Judgement, signature_version: str | None) -> None:
        stored = subject.details.stored
        if found.verdict is KeyVerdict.INFECTED:
            # It was written down together with its finding.
            self._writer.forget(stored.server_name, stored.media_id)
        elif subject.binding is not None:
            names = stored.server_name, stored.media_id
            bound = BoundVerdict(subject.binding, *names, found.verdict, None, signature_version, proved=found.proved)
            self._writer.note(bound)

    def _type_verdict(self, path: str) -> KeyVerdict:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            permitted = self._judge.types.permits(sniff(fd, os.fstat(fd).st_size))
        finally:
            os.close(fd)
        return KeyVerdict.CLEAN if permitted else KeyVerdict.FORBIDDEN

    async def _shared(self, key: str, scan: Scan) -> Judgement:
        try:
            # Who asks after an update of the signatures does not join a scan from before.
            return await self._scans.run(f"{key} {self._scanner.signature_version}", scan)
        except InterruptedWorkError:
            raise no_verdict("The scan was interrupted") from None
        except ContentScannerError:
            raise
        except OSError as error:
            raise no_verdict(f"The file can't be read: {error.strerror}") from None


def _check_fit(file: EncryptedFile, details: MediaDetails) -> None:
    check_counter(file, details.size or 0)
    if details.sha256 is not None and details.sha256 != file.sha256.hex():
        raise failed_to_decrypt("The file does not have the hash in `file.hashes.sha256`")
