"""The duty of the accounting: one process, under a lease, keeps the ledger, the users and the snapshots up to date.

A count is one transaction on one snapshot of the database: what is stored, who is registered, the snapshot of the day
and the alerts belong together, or nothing of them is written. So a process may die at any moment.
"""

import logging
from collections.abc import Sequence
from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi
from twisted.internet.defer import CancelledError

from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database.error_text import first_line
from synapse_bum.storage import ledger, metrics, recounts
from synapse_bum.storage.alerts import Alerts
from synapse_bum.storage.config import StorageConfig
from synapse_bum.storage.counting import Counted, count, forget_old
from synapse_bum.storage.month import day_of
from synapse_bum.storage.recounts import Recount

logger = logging.getLogger(__name__)

LEASE: Final = "storage.ledger"
LEASE_TTL_MS: Final = 60_000

TICK_MS: Final = 2_000
"""How often it is looked whether there is something to do."""

RECOUNT_EVERY_MS: Final = 86_400_000
"""How long the ledger is trusted without a full recount."""

RETRY_MS: Final = 60_000
"""How long to wait after a count that failed."""


class Accounting:
    """Brings the ledger up to date, by the clock and on demand."""

    def __init__(
        self, api: ModuleApi, database: Database, leases: Leases, alerts: Alerts, config: StorageConfig
    ) -> None:
        """Prepare.

        Args:
            api: of a process that runs background tasks.
            database: with the tables of the storage accounting.
            leases: of this process.
            alerts: tells operators.
            config: what counts, and how often.
        """
        self._api = api
        self._database = database
        self._leases = leases
        self._alerts = alerts
        self._config = config
        self._busy = False
        self._shown = False
        self._failed_ms: int | None = None

    def start(self) -> None:
        """Begin to look for work."""
        self._api.looping_background_call(self.tick, TICK_MS, desc="synapse_bum_storage")

    async def tick(self) -> None:
        """Do what is due, unless the last turn still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        try:
            held = await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self._turn, keep=True)
            if held.value != "done":
                self._shown = False
                metrics.nothing_is_known()
                self._alerts.nothing_is_known()
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn goes on
            logger.warning("The storage accounting has to wait: %s", first_line(error))
        finally:
            self._busy = False

    async def _turn(self, lease: Lease) -> None:
        waiting = await self._database.run(
            "synapse_bum_storage_waiting", recounts.take_waiting, self._api.get_current_time_msec()
        )
        if waiting:
            await self._carry_out(waiting)
        if lease.held:
            await self._count_if_due()
            await self._alerts.deliver()

    async def _carry_out(self, waiting: Sequence[Recount]) -> None:
        """Recounts that somebody has asked for: one count answers all, and they end in its transaction."""
        try:
            await self._count(full=True, waiting=waiting)
        except CancelledError:
            # The lease is lost: the process that has it now begins them anew.
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked for it is told
            metrics.FAILURES.inc()
            said = first_line(error)
            logger.warning("The storage recounts %s have failed: %s", [one.run_id for one in waiting], said)
            now_ms = self._api.get_current_time_msec()
            # A database that is gone raises here too: they stay `running`, and the next turn begins them anew.
            await self._database.run("synapse_bum_storage_failed", recounts.finish, waiting, now_ms, error=said)

    async def _count_if_due(self) -> None:
        known = await self._database.run("synapse_bum_storage_read", ledger.read)
        now_ms = self._api.get_current_time_msec()
        full = known is None or _is_due(known.recounted_ts, now_ms, RECOUNT_EVERY_MS)
        # After a start, the metrics need an update to say anything.
        if not full and self._shown and known is not None and not self._is_update_due(known.as_of_ts, now_ms):
            return
        if self._failed_ms is not None and not _is_due(self._failed_ms, now_ms, RETRY_MS):
            return
        try:
            await self._count(full=full)
        except CancelledError:
            raise
        except Exception:
            metrics.FAILURES.inc()
            self._failed_ms = now_ms
            raise
        self._failed_ms = None

    def _is_update_due(self, as_of_ts: int, now_ms: int) -> bool:
        """Whether the ledger is too old, or of another day: each day has its snapshot from its beginning."""
        zone = self._config.timezone
        return _is_due(as_of_ts, now_ms, self._config.update_every_ms) or day_of(as_of_ts, zone) != day_of(now_ms, zone)

    async def _count(self, *, full: bool, waiting: Sequence[Recount] = ()) -> None:
        now_ms = self._api.get_current_time_msec()

        def in_one(txn: LoggingTransaction) -> Counted:
            counted = count(self._api, txn, self._config, now_ms, full=full)
            recounts.finish(txn, waiting, now_ms, drift_bytes=counted.drift_bytes)
            if full:
                forget_old(txn, self._config, now_ms)
            self._alerts.note(txn, counted.pool, now_ms)
            return counted

        counted = await self._database.run_on_snapshot("synapse_bum_storage_count", in_one)
        known = await self._database.run("synapse_bum_storage_read", ledger.read)
        if known is not None:
            metrics.show(counted.stored, counted.pool, known.as_of_ts, known.recounted_ts)
            metrics.show_drift(known.drift_bytes)
        self._shown = True
        if full:
            logger.info(
                "Counted all that is stored: %d bytes used of %d, %d registered users, drift %s",
                counted.pool.used_bytes,
                counted.pool.included_bytes,
                counted.pool.users,
                dict(counted.drift_bytes or {}),
                extra={"used_bytes": counted.pool.used_bytes, "users": counted.pool.users},
            )


def _is_due(last_ts: int, now_ms: int, interval_ms: int) -> bool:
    """Whether an interval is over; a time in the future was written by a clock that was wrong."""
    return not 0 <= now_ms - last_ts < interval_ms
