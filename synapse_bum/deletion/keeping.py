"""The hourly duty of the journal: forgetting deletions that were finished long ago, on one process.

And notes of the tally that nobody reads any more.
"""

import logging
from typing import Final

from synapse.module_api import ModuleApi

from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database.error_text import first_line
from synapse_bum.deletion import journal, tally

logger = logging.getLogger(__name__)

LEASE: Final = "deletion.forget"
INTERVAL_MS: Final = 3_600_000

LIFETIME_MS: Final = 731 * 86_400_000
"""Two years, as audit rows live unless configured otherwise: whoever asks who deleted what finds both, or neither."""

_LEASE_TTL_MS: Final = 60_000
_BATCH: Final = 500


class JournalKeeper:
    """Forgets old deletions, a few hundred rows in a transaction."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database
        self._leases = Leases(api, database)
        api.looping_background_call(self.run, INTERVAL_MS, desc="synapse_bum_journal_keeper", run_on_all_instances=True)

    async def run(self) -> None:
        """Forgets what is too old now, unless another process is at it."""
        try:
            await self._leases.run_while_held(LEASE, _LEASE_TTL_MS, self._forget)
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("Old deletions stay in the journal for now: %s", first_line(error))

    async def _forget(self, lease: Lease) -> None:
        now_ms = self._api.get_current_time_msec()
        for desc, drop, time_ms in (
            ("synapse_bum_journal_forget", journal.drop_older, now_ms - LIFETIME_MS),
            ("synapse_bum_tally_forget", tally.drop_unread, now_ms),
        ):
            while lease.held:
                if await self._database.run(desc, drop, time_ms, _BATCH) < _BATCH:
                    break
