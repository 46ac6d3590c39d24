"""The duty of one process: metrics, the end of outages of which no probe tells any more, and old results."""

import logging
from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.availability import metrics, outages, probes
from synapse_bum.availability.calculation import Availability
from synapse_bum.availability.config import AvailabilityConfig
from synapse_bum.availability.measuring import Slices
from synapse_bum.availability.recording import bring_up_to_date
from synapse_bum.availability.report import read_known, running_month
from synapse_bum.availability.turn import take_turn
from synapse_bum.database import Database, Lease, Leases, Outcome
from synapse_bum.database.error_text import first_line
from synapse_bum.months import MonthError

logger = logging.getLogger(__name__)

LEASE: Final = "availability.watch"
TICK_MS: Final = 30_000
_LEASE_MS: Final = 90_000


class Watch:
    """Tells operators for all processes how the running month stands."""

    def __init__(self, api: ModuleApi, database: Database, leases: Leases, config: AvailabilityConfig) -> None:
        self._api = api
        self._database = database
        self._leases = leases
        self._config = config

    def start(self) -> None:
        """Has it done from now on."""
        self._api.looping_background_call(
            self.tick, TICK_MS, desc="synapse_bum_availability_watch", run_on_all_instances=True
        )

    async def tick(self) -> None:
        """Does it, unless another process does."""
        try:
            outcome = await self._leases.run_while_held(LEASE, _LEASE_MS, self._look, keep=True)
        except Exception as error:  # noqa: BLE001 - a database that is away; the next tick tries again
            logger.warning("Could not look after the availability: %s", first_line(error))
            outcome = None
        if outcome is not Outcome.DONE:
            metrics.nothing_is_known()

    async def _look(self, _lease: Lease) -> None:
        now_ms = self._api.get_current_time_msec()

        def look(txn: LoggingTransaction) -> tuple[Availability, int, int | None]:
            take_turn(txn)
            began_ms = outages.oldest_open_measured(txn)
            if began_ms is not None:
                bring_up_to_date(txn, began_ms, began_ms + 1, Slices(self._config.probe_interval_ms), now_ms)
            probes.forget_before(txn, self._config.probe_results_lifetime.before(now_ms, self._config.timezone))
            known = read_known(txn, self._config, running_month(self._config, now_ms), now_ms)
            return known.availability, outages.count_open(txn), probes.last_counted_ts(txn)

        try:
            metrics.show(*await self._database.run("synapse_bum_availability_watch", look))
        except MonthError:
            # The service begins later: there is nothing to tell yet.
            metrics.nothing_is_known()
