"""Files that are stored without a verdict: found by a walk, scanned one by one, blocked when infected.

They come from before the module was there, from times when the scanner was away (`when_scanner_fails: accept`), or from
a crash between storing a file and writing its verdict. One process does this, under a lease; it needs the media volume.
"""

import logging

from synapse.module_api import LoggingTransaction, ModuleApi
from twisted.internet.defer import CancelledError

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.findings.enforcement import Enforcer
from synapse_bum.antivirus.findings.finding import count_still_served
from synapse_bum.antivirus.findings.gone_files import GoneFiles
from synapse_bum.antivirus.quarantine import arrivals, blocking
from synapse_bum.antivirus.scanning.scanner import Scanner
from synapse_bum.antivirus.stored import verdicts
from synapse_bum.antivirus.stored.stored_scans import Outcome, StoredScans
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database import Outcome as LeaseOutcome
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver import media

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


class Backlog:
    """The duty of scanning what was never scanned."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        leases: Leases,
        scanner: Scanner,
        scans: StoredScans,
        *,
        enforcer: Enforcer,
        births: blocking.Births,
    ) -> None:
        self._births = births
        self._gone_files = GoneFiles(api, database)
        self._api = api
        self._database = database
        self._leases = leases
        self._scanner = scanner
        self._scans = scans
        self._enforcer = enforcer
        self._busy = False
        self._walked = False

    async def tick(self) -> None:
        """Do one turn, unless the last one still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        self._scanner.look_for_suspects_again()
        self._births.forget_old(self._api.get_current_time_msec())
        lease_outcome = None
        try:
            lease_outcome = await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self._turn, keep=True)
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("The backlog of unscanned files has to wait: %s", first_line(error))
        finally:
            if lease_outcome is not LeaseOutcome.DONE:
                metrics.UNSCANNED.set(float("nan"))
                metrics.STILL_SERVED.set(float("nan"))
            self._busy = False

    async def _turn(self, lease: Lease) -> None:
        now_ms = self._api.get_current_time_msec()
        own_name = self._api.server_name
        await self._enforcer.complete_births()
        await self._gone_files.look()
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
        metrics.STILL_SERVED.set(await self._database.run("synapse_bum_antivirus_served", count_still_served))
        metrics.UNSCANNED.set(await self._database.run("synapse_bum_antivirus_waiting", verdicts.count_unscanned))

    async def _try_one(self, server_name: str, media_id: str) -> bool:
        """Scan one stored file; whatever is wrong with it must not stop the others. Returns as `_scan_one`."""
        try:
            return await self._scan_one(server_name, media_id)
        except CancelledError:
            # The lease is lost: the process that has it now scans the file.
            raise
        except Exception as error:  # noqa: BLE001 - storage providers raise what they like
            logger.warning("Can't scan the stored file mxc://%s/%s now: %s", server_name, media_id, first_line(error))
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
        outcome, because = await self._scans.scan(stored)
        if outcome is Outcome.UNDECIDED:
            logger.warning("The stored file mxc://%s/%s stays unscanned: %s", server_name, media_id, because)
            await self._postpone(server_name, media_id)
        return outcome is not Outcome.NO_ANSWER


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
