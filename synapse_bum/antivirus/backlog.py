"""Files that are stored without a verdict: found by a walk, scanned one by one, blocked when infected.

They come from before the module was there, from times when the scanner was away (`when_scanner_fails: accept`), or from
a crash between storing a file and writing its verdict. One process does this, under a lease; it needs the media volume.
"""

import logging
import os

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.antivirus import arrivals, blocking, metrics, verdicts
from synapse_bum.antivirus.decision import Action, Policy, decide
from synapse_bum.antivirus.engines.engine import Failed, FailureReason
from synapse_bum.antivirus.findings import Finding, FindingState, Source
from synapse_bum.antivirus.records import complete_births, write_blocked
from synapse_bum.antivirus.scanner import Scanner, ScanReport
from synapse_bum.antivirus.verdicts import VerdictWriter
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.homeserver import media
from synapse_bum.homeserver.media import StoredMedia

logger = logging.getLogger(__name__)

LEASE = "antivirus.backlog"
LEASE_TTL_MS = 60_000

TICK_MS = 2_000
"""How often the backlog is looked at; what was accepted unscanned is scanned this soon after the scanner is back."""

BATCH = 20
"""Files of the backlog that are scanned in one turn, one after the other: uploads go first."""

WALK_PAGE = 1_000
"""Rows of Synapse's media tables that are looked at in one transaction."""

YOUNG_MS = 60_000
"""Younger files are left to a later walk: their verdicts may be on their way to the table."""

WALK_INTERVAL_MS = 86_400_000
"""A finished walk is repeated after a day: it finds what a crash left without a verdict."""

UNSCANNABLE = "synapse_bum.Unscannable"
"""Signature of a stored file that takes down scanners: it will never be clean, so it is blocked."""

_FAULT_OF_THE_FILE = frozenset({FailureReason.TOO_LARGE, FailureReason.UNREADABLE})


class Backlog:
    """The duty of scanning what was never scanned."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        leases: Leases,
        scanner: Scanner,
        writer: VerdictWriter,
        *,
        policy: Policy,
        births: blocking.Births,
    ) -> None:
        self._births = births
        self._api = api
        self._database = database
        self._leases = leases
        self._scanner = scanner
        self._writer = writer
        self._policy = policy
        self._busy = False
        self._walked = False

    async def tick(self) -> None:
        """Do one turn, unless the last one still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        self._scanner.look_for_suspects_again()
        self._births.forget_old(self._api.get_current_time_msec())
        try:
            await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self._turn, keep=True)
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("The backlog of unscanned files has to wait: %s", error)
        finally:
            self._busy = False

    async def _turn(self, lease: Lease) -> None:
        now_ms = self._api.get_current_time_msec()
        own_name = self._api.server_name
        await self._database.run("synapse_bum_antivirus_births", complete_births, own_name, now_ms)
        if not self._walked:
            # What was stored while the module was not loaded is not in the table.
            await self._database.run("synapse_bum_antivirus_walk_again", walk_again)
            self._walked = True
        await self._database.run("synapse_bum_antivirus_abandoned", arrivals.turn_away_abandoned, now_ms)
        await self._database.run("synapse_bum_antivirus_walk", walk_page, own_name, now_ms)
        waiting = await self._database.run("synapse_bum_antivirus_next", verdicts.next_unscanned, now_ms, BATCH)
        for server_name, media_id in waiting:
            if not lease.held or not await self._try_one(server_name, media_id):
                break
        metrics.UNSCANNED.set(await self._database.run("synapse_bum_antivirus_waiting", verdicts.count_unscanned))

    async def _try_one(self, server_name: str, media_id: str) -> bool:
        """Scan one stored file; whatever is wrong with it must not stop the others. Returns as `_scan_one`."""
        try:
            return await self._scan_one(server_name, media_id)
        except Exception as error:  # noqa: BLE001 - storage providers raise what they like
            logger.warning("Can't scan the stored file mxc://%s/%s now: %s", server_name, media_id, error)
            await self._postpone(server_name, media_id)
            return True

    async def _postpone(self, server_name: str, media_id: str) -> None:
        now_ms = self._api.get_current_time_msec()
        await self._database.run("synapse_bum_antivirus_postpone", verdicts.postpone, server_name, media_id, now_ms)

    async def _scan_one(self, server_name: str, media_id: str) -> bool:
        """Scan one stored file.

        Returns:
            False when the scanner has no answer, so that there is no use in going on now.
        """
        stored = await self._database.run(
            "synapse_bum_antivirus_stored", media.stored_media, server_name, media_id, self._api.server_name
        )
        if stored is None:
            now_ms = self._api.get_current_time_msec()
            names = server_name, media_id
            await self._database.run("synapse_bum_antivirus_forget", verdicts.forget_never_stored, *names, now_ms)
            return True
        async with media.stored_file(self._api, stored) as path:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                report = await self._scanner.scan(fd)
                return await self._settle(stored, report, fd)
            finally:
                os.close(fd)

    async def _settle(self, stored: StoredMedia, report: ScanReport, fd: int) -> bool:
        decision = decide(report.result, Source.RESCAN, self._policy, condemned=report.condemned)
        if decision.action is Action.ACCEPT:
            self._writer.note_clean(stored.server_name, stored.media_id, report.signature_version)
            self._writer.count(decision.label)
            await self._writer.flush()
        elif decision.action is Action.REFUSE_INFECTED or report.condemned:
            await self._block(stored, report, decision.signature or UNSCANNABLE, fd)
            self._writer.count(decision.label)
        elif isinstance(report.result, Failed) and report.result.reason not in _FAULT_OF_THE_FILE:
            return False
        else:
            logger.warning(
                "The stored file mxc://%s/%s stays unscanned: %s", stored.server_name, stored.media_id, decision.because
            )
            await self._postpone(stored.server_name, stored.media_id)
        metrics.SCANS.labels(decision.label.value, Source.RESCAN.value).inc()
        return True

    async def _block(self, stored: StoredMedia, report: ScanReport, signature: str, fd: int) -> None:
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

        made = await self._database.run("synapse_bum_antivirus_block", write_blocked, stored, finding)
        metrics.FINDINGS.labels(made.state.value, made.source.value).inc()


def walk_again(txn: LoggingTransaction) -> None:
    """Have finished walks begin anew; one that is on its way goes on."""
    txn.execute("DELETE FROM synapse_bum_antivirus_walks WHERE finished_ts IS NOT NULL")


def walk_page(txn: LoggingTransaction, own_name: str, now_ms: int) -> None:
    """Look at the next page of each media table and note the files that have no verdict.

    Args:
        txn: in a transaction; ranges of the unique indexes, then one insert by primary key for each file.
        own_name: our server's name.
        now_ms: ms since the epoch.
    """
    for kind in ("local", "remote"):
        txn.execute(
            "SELECT server_name, media_id, finished_ts FROM synapse_bum_antivirus_walks WHERE kind = ?", (kind,)
        )
        server_name, media_id, finished_ts = txn.fetchone() or ("", "", None)
        if finished_ts is not None:
            if now_ms - finished_ts < WALK_INTERVAL_MS:
                continue
            server_name, media_id = "", ""
        if kind == "local":
            page = media.local_page(txn, own_name, media_id, now_ms - YOUNG_MS, WALK_PAGE)
        else:
            page = media.remote_page(txn, (server_name, media_id), now_ms - YOUNG_MS, WALK_PAGE)
        verdicts.add_missing(txn, [(stored.server_name, stored.media_id) for stored in page], now_ms)
        done = len(page) < WALK_PAGE
        position = (page[-1].server_name, page[-1].media_id) if page else ("", "")
        txn.execute(
            "INSERT INTO synapse_bum_antivirus_walks (kind, server_name, media_id, finished_ts) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind) DO UPDATE SET server_name = excluded.server_name, media_id = excluded.media_id,"
            " finished_ts = excluded.finished_ts",
            (kind, *position, now_ms if done else None),
        )
