"""The daily duty of the audit: verifying its chain, on one process, and saying so when somebody has changed it."""

import logging
from typing import Final

from synapse.module_api import ModuleApi

from synapse_bum.audit import metrics
from synapse_bum.audit.table import Verified, verify_batch
from synapse_bum.database import Database, Lease, Leases, Outcome
from synapse_bum.database.error_text import first_line

logger = logging.getLogger(__name__)

LEASE: Final = "audit.verify"
TICK_MS: Final = 60_000
INTERVAL_MS: Final = 86_400_000
INTERVAL_BROKEN_MS: Final = 3_600_000
"""Shorter, so that the alarm ends soon after a restore has mended the table."""

_LEASE_MS: Final = 150_000


class ChainWatch:
    """Verifies the whole audit once a day, a thousand rows in a transaction, so that nobody who appends has to wait."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database
        self._leases = Leases(api, database)
        self._due_ms: int | None = None
        api.looping_background_call(self.tick, TICK_MS, desc="synapse_bum_audit_chain", run_on_all_instances=True)

    async def tick(self) -> None:
        """Verifies when it is due, unless another process does."""
        try:
            outcome = await self._leases.run_while_held(LEASE, _LEASE_MS, self._look, keep=True)
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("The audit can't be verified now: %s", first_line(error))
            outcome = None
        if outcome is not Outcome.DONE:
            metrics.nothing_is_known()
            self._due_ms = None

    async def _look(self, lease: Lease) -> None:
        now_ms = self._api.get_current_time_msec()
        if self._due_ms is not None and now_ms < self._due_ms:
            return
        found = Verified(None, None)
        while lease.held:
            found = await self._database.run("synapse_bum_audit_verify", verify_batch, found.end)
            if found.end is None:
                self._tell(found.broken_id, now_ms)
                return

    def _tell(self, broken_id: int | None, now_ms: int) -> None:
        metrics.CHAIN_BROKEN.set(broken_id is not None)
        metrics.LAST_VERIFIED.set(now_ms / 1000)
        self._due_ms = now_ms + (INTERVAL_MS if broken_id is None else INTERVAL_BROKEN_MS)
        if broken_id is not None:
            logger.error(
                "The audit is not as it was written, from row %d on: rows of synapse_bum_audit were changed, added or"
                " removed by hand. Compare with the lines of the logger synapse_bum.audit on another machine",
                broken_id,
                extra={"broken_id": broken_id},
            )
