"""Scanning stored files again: when the scanner has new signatures, and when an operator asks for it.

Only files that the scanner can look into: encrypted ones are scanned with their key when somebody asks for them. One
process does this, under a lease, one file after the other, and no more than a fifth of the time.
"""

import logging
import secrets
from collections.abc import Callable

from synapse.module_api import LoggingTransaction, ModuleApi
from twisted.internet.defer import CancelledError

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.stored import rescan_runs, verdicts
from synapse_bum.antivirus.stored.rescan_limits import pause_s
from synapse_bum.antivirus.stored.rescan_runs import ACTOR, Run, RunState
from synapse_bum.antivirus.stored.stored_scans import Outcome, StoredScans
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database import Outcome as LeaseOutcome
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver import media

logger = logging.getLogger(__name__)

LEASE = "antivirus.rescan"
LEASE_TTL_MS = 60_000

TICK_MS = 2_000
"""How often it is looked whether there is something to do."""

PAGE = 50
"""Files after which the progress is written down; so many are scanned twice after a crash."""

SETTLE_MS = 30_000
"""New signatures have their run after this time, when verdicts of scans with the old ones are written."""

_PAUSED = (
    "The rescan %s has stopped: the signature %s hit %d of %d files, which looks like a faulty signature. What it has"
    " blocked stays blocked, nothing more is scanned. Look at the findings, then POST .../antivirus/rescan/%s/confirm"
    " to go on and block, or POST .../antivirus/signatures/<signature>/release to release them and go on without"
)


def new_run_id() -> str:
    """An id that nobody can guess or mistake for another."""
    return secrets.token_hex(8)


class Rescan:
    """The duty of scanning again."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        leases: Leases,
        scans: StoredScans,
        *,
        signature_version: Callable[[], str | None],
        on_signature_update: bool,
        now_s: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            api: of a process with the media volume.
            database: with the antivirus tables.
            leases: of this process.
            scans: scan a file and see to what follows.
            signature_version: of the scanners now; None while they do not say.
            on_signature_update: `rescan_on_signature_update`.
            now_s: a clock in seconds.
        """
        self._api = api
        self._database = database
        self._leases = leases
        self._scans = scans
        self._signature_version = signature_version
        self._on_signature_update = on_signature_update
        self._now_s = now_s
        self._busy = False
        self._known_version: str | None = None
        self._known_since_ms = 0
        self._looked = False

    async def tick(self) -> None:
        """Do what is to be done, unless the last turn still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        lease_outcome = None
        try:
            lease_outcome = await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self._turn, keep=True)
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("The rescan has to wait: %s", first_line(error))
        finally:
            if lease_outcome is not LeaseOutcome.DONE:
                metrics.RESCAN_PAUSED.set(float("nan"))
            self._busy = False

    async def _turn(self, lease: Lease) -> None:
        if self._on_signature_update:
            await self._begin_for_new_signatures()
        going_on = True
        while going_on and lease.held:
            now_ms = self._api.get_current_time_msec()
            run = await self._database.run("synapse_bum_antivirus_rescan", rescan_runs.current_run, now_ms)
            metrics.RESCAN_PAUSED.set(run is not None and run.state is RunState.NEEDS_CONFIRMATION)
            going_on = run is not None and run.state is RunState.RUNNING and await self._do_page(run, lease)

    async def _begin_for_new_signatures(self) -> None:
        version, now_ms = self._signature_version(), self._api.get_current_time_msec()
        if version != self._known_version:
            self._known_version, self._known_since_ms, self._looked = version, now_ms, False
        if version is None or self._looked or now_ms - self._known_since_ms < SETTLE_MS:
            return

        def begin(txn: LoggingTransaction) -> bool:
            return rescan_runs.is_anything_older(txn, version) and rescan_runs.add_run(
                txn, new_run_id(), signature_version=version, started_by=None, now_ms=now_ms
            )

        if await self._database.run("synapse_bum_antivirus_rescan_begin", begin):
            logger.info("The scanner has the signatures %s now: stored files are scanned again", version)
        self._looked = True

    async def _do_page(self, run: Run, lease: Lease) -> bool:
        """Scan the next files of a run.

        Returns:
            False when there is no use in going on now.
        """
        page = await self._database.run("synapse_bum_antivirus_rescan_page", rescan_runs.next_files, run, PAGE)
        if not page:
            now_ms = self._api.get_current_time_msec()
            await self._database.run(
                "synapse_bum_antivirus_rescan_done", rescan_runs.change_run, run.run_id, RunState.DONE, ACTOR, now_ms
            )
            return True
        looked_at = 0
        going_on = True
        for file in page:
            going_on = lease.held and await self._try_one(run.run_id, file)
            if not going_on:
                break
            looked_at += 1
        if looked_at:
            await self._database.run(
                "synapse_bum_antivirus_rescan_advance", rescan_runs.advance, run.run_id, page[looked_at - 1], looked_at
            )
        return going_on

    async def _try_one(self, run_id: str, file: tuple[str, str]) -> bool:
        """Scan one file again, and wait as long as the budget says; what is wrong with it must not stop the others."""
        begun_s = self._now_s()
        try:
            looked_at = await self._scan_one(run_id, file)
        except CancelledError:
            # The lease is lost: the process that has it now scans the file.
            raise
        except Exception as error:  # noqa: BLE001 - storage providers raise what they like
            logger.warning("Can't scan the stored file mxc://%s/%s again now: %s", *file, first_line(error))
            looked_at = True
        pause = pause_s(self._now_s() - begun_s)
        if pause > 0:
            await self._api.sleep(pause)
        return looked_at

    async def _scan_one(self, run_id: str, file: tuple[str, str]) -> bool:
        """Returns False when the file was not looked at: the scanner has no answer, or the run has paused."""
        stored = await self._database.run(
            "synapse_bum_antivirus_stored", media.stored_media, *file, self._api.server_name
        )
        if stored is None:
            await self._database.run("synapse_bum_antivirus_forget", verdicts.forget, *file)
            return True

        def permit(txn: LoggingTransaction, signature: str) -> bool:
            return rescan_runs.may_block(txn, run_id, signature, self._api.get_current_time_msec())

        outcome, because = await self._scans.scan(stored, permit)
        if outcome is Outcome.UNDECIDED:
            logger.warning("The stored file mxc://%s/%s has no new verdict: %s", *file, because)
        if outcome is not Outcome.NOT_BLOCKED:
            return outcome is not Outcome.NO_ANSWER
        run = await self._database.run("synapse_bum_antivirus_rescan_run", rescan_runs.get_run, run_id)
        if run is None or run.state is RunState.RUNNING:
            return True
        if run.paused_by is not None:
            hits = await self._database.run("synapse_bum_antivirus_rescan_hits", rescan_runs.hits_of, run)
            metrics.RESCAN_PAUSED.set(1)
            logger.error(_PAUSED, run_id, run.paused_by, hits + 1, run.total, run_id)
        return False
