"""The hourly duty of the portal: what sessions leave behind goes, though nobody opens the portal any more.

Access tokens of sessions that nobody uses are ended where they come from, with their devices; ended sessions, sent
forms and drafts are forgotten. One process does it, under a lease; it may die at any moment.
"""

import logging
from typing import Final

from synapse.module_api import ModuleApi

from synapse_bum.database import Lease, Leases
from synapse_bum.database.error_text import first_line
from synapse_bum.portal.forms.kept_drafts import KeptDrafts
from synapse_bum.portal.sessions.records import Records
from synapse_bum.portal.sessions.session_tokens import SessionTokens

logger = logging.getLogger(__name__)

LEASE: Final = "portal.sweep"
INTERVAL_MS: Final = 3_600_000

_FIRST_MS: Final = 60_000
"""After the start: a homeserver that is restarted every hour would never come to it."""
_LEASE_TTL_MS: Final = 60_000


class Sweep:
    """Ends and forgets what is over."""

    def __init__(
        self, api: ModuleApi, leases: Leases, *, tokens: SessionTokens, records: Records, drafts: KeptDrafts
    ) -> None:
        """Takes the homeserver, in a process that runs background tasks, its leases, and what is swept."""
        self._api = api
        self._leases = leases
        self._tokens = tokens
        self._records = records
        self._drafts = drafts
        self._busy = False

    def start(self) -> None:
        """Begins."""
        self._api.delayed_background_call(_FIRST_MS, self.run, desc="synapse_bum_portal_sweep")
        self._api.looping_background_call(self.run, INTERVAL_MS, desc="synapse_bum_portal_sweep")

    async def run(self) -> None:
        """Sweeps once, unless the last time still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._leases.run_while_held(LEASE, _LEASE_TTL_MS, self._sweep)
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn goes on
            logger.warning("Old sessions of the portal have to wait: %s", first_line(error))
        finally:
            self._busy = False

    async def _sweep(self, lease: Lease) -> None:
        now_ms = self._api.get_current_time_msec()
        await self._records.forget(now_ms)
        await self._drafts.forget(now_ms)
        await self._tokens.end_unused(lambda: lease.held)
