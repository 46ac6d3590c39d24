"""What one process tells operators for all: metrics from the database, and partners that end soon."""

import logging
from typing import Final

from synapse.module_api import ModuleApi

from synapse_bum.database import Database, Lease, Leases, Outcome
from synapse_bum.database.error_text import first_line
from synapse_bum.federation import list_state
from synapse_bum.federation.live import LiveAllowlist
from synapse_bum.federation.metrics import EXPIRING, LAST_CHANGE, LIST_AGE, LIST_ALARM, PARTNERS, state_is_unknown
from synapse_bum.federation.partner import Partner, Source

logger = logging.getLogger(__name__)

TICK_MS: Final = 30_000
WARN_MS: Final = 14 * 86_400_000
_DAY_MS: Final = 86_400_000
_LEASE_MS: Final = 90_000
_NO_NUMBER: Final = float("nan")


class Watch:
    """The duty of one process."""

    def __init__(
        self, api: ModuleApi, database: Database, leases: Leases, live: LiveAllowlist, *, has_list: bool
    ) -> None:
        self._api = api
        self._database = database
        self._leases = leases
        self._live = live
        self._has_list = has_list
        self._silent_until: dict[str, int] = {}

    def start(self) -> None:
        """Has it done from now on."""
        self._api.looping_background_call(
            self.tick, TICK_MS, desc="synapse_bum_federation_watch", run_on_all_instances=True
        )

    async def tick(self) -> None:
        """Does it, unless another process does."""
        try:
            outcome = await self._leases.run_while_held("federation.watch", _LEASE_MS, self._look, keep=True)
        except Exception as e:  # noqa: BLE001 - a database that is away; the next tick tries again
            logger.warning("Could not look after the partners: %s", first_line(e))
            outcome = None
        if outcome is not Outcome.DONE:
            state_is_unknown()

    async def _look(self, _lease: Lease) -> None:
        await self._live.refresh()
        now_ms = self._api.get_current_time_msec()
        allowlist = self._live.latest
        valid = [one for one in allowlist.in_force.values() if allowlist.is_valid(one, now_ms)]
        for source in Source:
            PARTNERS.labels(source=source.value).set(sum(one.source is source for one in valid))
        ending = [one for one in valid if one.valid_until_ts is not None and one.valid_until_ts <= now_ms + WARN_MS]
        EXPIRING.set(len(ending))
        for partner in ending:
            self._warn(partner, now_ms)
        changed_ts = self._live.changed_ts
        LAST_CHANGE.set(_NO_NUMBER if changed_ts is None else changed_ts / 1000)
        state = await self._database.run("synapse_bum_federation_watch", list_state.read)
        verified_ts = state.verified_ts if self._has_list else None
        LIST_AGE.set(_NO_NUMBER if verified_ts is None else (now_ms - verified_ts) / 1000)
        LIST_ALARM.set(int(state.error is not None) if self._has_list else _NO_NUMBER)

    def _warn(self, partner: Partner, now_ms: int) -> None:
        """Logs once a day for each partner, from the process that does this."""
        if now_ms < self._silent_until.get(partner.server_name, now_ms) or partner.valid_until_ts is None:
            return
        self._silent_until[partner.server_name] = now_ms + _DAY_MS
        days = (partner.valid_until_ts - now_ms) / _DAY_MS
        logger.warning("The partner %s ends in %.1f days; nobody is kicked then", partner.server_name, days)
