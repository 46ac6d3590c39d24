"""How many holds there are, and how many end soon, for the metrics: what a hold kept is deleted by the run after it."""

import logging
from typing import Final

from synapse.module_api import ModuleApi

from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line
from synapse_bum.deletion import holds, metrics

logger = logging.getLogger(__name__)

TICK_MS: Final = 300_000
WARN_MS: Final = 14 * 86_400_000


class HoldsWatch:
    """Counts holds every five minutes, in each process with the media volume; all of them count the same."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database
        api.looping_background_call(self.tick, TICK_MS, desc="synapse_bum_holds_watch", run_on_all_instances=True)

    async def tick(self) -> None:
        """Counts once."""
        now_ms = self._api.get_current_time_msec()
        try:
            in_force, ending = await self._database.run(
                "synapse_bum_holds_count", holds.count_in_force, now_ms, now_ms + WARN_MS
            )
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("Holds can't be counted now: %s", first_line(error))
            return
        metrics.HOLDS.set(in_force)
        metrics.HOLDS_ENDING.set(ending)
