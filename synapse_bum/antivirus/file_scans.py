"""`GET antivirus/scans/{server_name}/{media_id}`: what is known of the scan of one stored file, for administrators.

Findings tell what was found; this tells of a file in which nothing was found whether anybody looked, and when.
"""

from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.antivirus.findings.finding import get_finding
from synapse_bum.antivirus.own_media import scan_state
from synapse_bum.antivirus.quarantine import holding
from synapse_bum.antivirus.scanning.monitor import read_scanner
from synapse_bum.antivirus.stored import verdicts
from synapse_bum.antivirus.stored.verdicts import PlainVerdict, VerdictWriter
from synapse_bum.database import Database
from synapse_bum.homeserver import media, media_deletion
from synapse_bum.rest import Answer, ApiRequest, Routes, not_found

UNVERSIONED_LIFETIME_MS: Final = 86_400_000
"""How long a verdict is current when the scanner does not tell of which signatures it is."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class FileScan:
    """What is known of the scan of a file.

    Attributes:
        state: `clean`, `unscanned`, `encrypted` or `blocked`, as its uploader is told.
        verdict: None for a file that nobody has looked at yet.
    """

    state: str
    verdict: PlainVerdict | None


def is_current(scan: FileScan, scanner: dict[str, Any], now_ms: int) -> bool:
    """Decide whether a file is clean by what the scanner knows today. Pure.

    Args:
        scan: of the file.
        scanner: its state, as `read_scanner` has it; one that is away says nothing about today.
        now_ms: ms since the epoch.
    """
    verdict = scan.verdict
    if scan.state != verdicts.CLEAN or verdict is None or verdict.scanned_ts is None or not scanner["scanner_ok"]:
        return False
    if scanner["signature_version"] is None:
        return now_ms - verdict.scanned_ts < UNVERSIONED_LIFETIME_MS
    return bool(verdict.signature_version == scanner["signature_version"])


class FileScans:
    """The handler of the route."""

    def __init__(self, api: ModuleApi, database: Database, verdict_writer: VerdictWriter) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: with the antivirus tables.
            verdict_writer: has what this process has not written down yet.
        """
        self._api = api
        self._database = database
        self._verdict_writer = verdict_writer

    def add_to(self, routes: Routes) -> None:
        """Add the route."""
        routes.add("GET", "antivirus/scans/{server_name}/{media_id}", self.scan)

    async def scan(self, request: ApiRequest) -> Answer:
        """What is known of the scan of one stored file."""
        names = request.path["server_name"], request.path["media_id"]
        now_ms = self._api.get_current_time_msec()
        await self._verdict_writer.flush()
        found, scanner = await self._database.run(
            "synapse_bum_antivirus_file_scan", _read, *names, self._api.server_name, now_ms
        )
        if found is None:
            raise not_found("such file")
        return Answer(
            {
                "mxc": f"mxc://{names[0]}/{names[1]}",
                "scan_state": found.state,
                "scanned_ts": None if found.verdict is None else found.verdict.scanned_ts,
                "signature_version": None if found.verdict is None else found.verdict.signature_version,
                "is_current": is_current(found, scanner, now_ms),
            }
        )


def _read(
    txn: LoggingTransaction, server_name: str, media_id: str, own_name: str, now_ms: int
) -> tuple[FileScan | None, dict[str, Any]]:
    """Each by a unique key; the scanners' table has a row for each process."""
    scanner = read_scanner(txn, now_ms)
    stored = media.stored_media(txn, server_name, media_id, own_name)
    if stored is None or not media.is_stored(txn, stored):
        return None, scanner
    quarantined_by = media.quarantined_by(txn, stored)
    if quarantined_by == media_deletion.HIDDEN_MARKER:
        return None, scanner
    finding = get_finding(txn, server_name, media_id)
    verdict = verdicts.read_plain_verdict(txn, server_name, media_id)
    state = scan_state(
        quarantined_by=quarantined_by,
        finding=None if finding is None else finding.state,
        held=holding.is_held(txn, server_name, media_id),
        verdict=None if verdict is None else verdict.state,
    )
    return FileScan(state, verdict), scanner
