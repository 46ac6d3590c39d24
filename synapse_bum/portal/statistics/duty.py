"""The daily duty: one process, under a lease, counts each day once when it is over.

Each day is counted in one transaction of its own, so a process may die at any moment.
"""

import datetime as dt
import logging
from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver.daily_counts import (
    count_active_users,
    count_messages,
    count_registered_users,
    count_rooms,
)
from synapse_bum.portal.statistics import calendar_days, records
from synapse_bum.portal.statistics.records import Day

logger = logging.getLogger(__name__)

LEASE: Final = "portal.statistics"
LEASE_TTL_MS: Final = 60_000

FIRST_LOOK_MS: Final = 20_000
"""How long after the start it is looked first."""
LOOK_EVERY_MS: Final = 600_000


class Counting:
    """Counts the days that are over."""

    def __init__(self, api: ModuleApi, database: Database, leases: Leases, *, with_activity: bool) -> None:
        """Prepares.

        Args:
            api: of a process that runs background tasks.
            database: with `STATISTICS`.
            leases: of this process.
            with_activity: whether users of a day are counted too.
        """
        self._api = api
        self._database = database
        self._leases = leases
        self._with_activity = with_activity
        self._busy = False

    def start(self) -> None:
        """Begins to look for days that are over."""
        self._api.delayed_background_call(FIRST_LOOK_MS, self.look, desc="synapse_bum_portal_statistics")
        self._api.looping_background_call(self.look, LOOK_EVERY_MS, desc="synapse_bum_portal_statistics")

    async def look(self) -> None:
        """Counts what is due, unless the last look still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self._count_due)
        except Exception as error:  # noqa: BLE001 - a background duty: the next look goes on
            logger.warning("The daily statistics have to wait: %s", first_line(error))
        finally:
            self._busy = False

    async def _count_due(self, lease: Lease) -> None:
        now_ms = self._api.get_current_time_msec()
        last = await self._database.run(
            "synapse_bum_portal_statistics_last", records.last_day, calendar_days.day_of(now_ms)
        )
        for day in calendar_days.due_days(now_ms, last):
            if not lease.held:
                return
            await self._database.run("synapse_bum_portal_statistics_count", self._count, day, now_ms)

    def _count(self, txn: LoggingTransaction, day: dt.date, now_ms: int) -> None:
        begin_ms, end_ms = calendar_days.begin_ms(day), calendar_days.end_ms(day)
        messages = count_messages(txn, self._api.server_name, begin_ms, end_ms)
        is_yesterday = calendar_days.is_yesterday(day, now_ms)
        rooms = count_rooms(txn) if is_yesterday else None
        users = count_registered_users(txn) if is_yesterday else None
        active = count_active_users(txn, calendar_days.utc_begin_ms(day)) if self._with_activity else None
        counted = Day(day, begin_ms, now_ms, rooms, messages.total, messages.sent, active, users)
        if records.add(txn, counted):
            records.drop_before(txn, calendar_days.first_kept(calendar_days.day_of(now_ms)))
            txn.call_after(_log, counted)


def _log(day: Day) -> None:
    fields = {"day": day.day.isoformat(), "rooms": day.rooms, "messages": day.messages}
    logger.info("Counted %s: %s rooms, %d messages", day.day, day.rooms, day.messages, extra=fields)
