"""The duty of the accounting: one process, under a lease, keeps the ledger, the users and the snapshots up to date.

A count is one transaction on one snapshot of the database: what is stored, who is registered, the snapshot of the day
and the alerts belong together, or nothing of them is written. So a process may die at any moment.
"""

import logging
from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi
from twisted.internet.defer import CancelledError

from synapse_bum.database import Database, Lease, Leases
from synapse_bum.storage import ledger, metrics, recounts
from synapse_bum.storage.alerts import Alerts
from synapse_bum.storage.config import StorageConfig
from synapse_bum.storage.counting import Counted, count, forget_old
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
            logger.warning("The storage accounting has to wait: %s", _said(error))
        finally:
            self._busy = False

    async def _turn(self, lease: Lease) -> None:
        now_ms = self._api.get_current_time_msec()
        while lease.held:
            recount = await self._database.run("synapse_bum_storage_next_recount", recounts.next_recount, now_ms)
            if recount is None:
                break
            await self._carry_out(recount)
        await self._count_if_due(now_ms)
        await self._alerts.deliver()

    async def _carry_out(self, recount: Recount) -> None:
        """A recount that somebody has asked for: it ends in the transaction that counts."""
        try:
            await self._count(full=True, recount=recount)
        except CancelledError:
            # The lease is lost: the process that has it now begins it anew.
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked for it is told
            metrics.FAILURES.inc()
            logger.warning("The storage recount %s has failed: %s", recount.run_id, _said(error))
            # A database that is gone raises here too: the recount stays `running`, and the next turn begins it anew.
            await self._database.run(
                "synapse_bum_storage_recount_failed",
                recounts.finish_recount,
                recount,
                self._api.get_current_time_msec(),
                drift_bytes=None,
                error=_said(error),
            )

    async def _count_if_due(self, now_ms: int) -> None:
        known = await self._database.run("synapse_bum_storage_read", ledger.read)
        full = known is None or _is_due(known.recounted_ts, now_ms, RECOUNT_EVERY_MS)
        # After a start, the metrics need an update to say anything.
        if not full and self._shown and known and not _is_due(known.as_of_ts, now_ms, self._config.update_every_ms):
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

    async def _count(self, *, full: bool, recount: Recount | None = None) -> None:
        now_ms = self._api.get_current_time_msec()

        def in_one(txn: LoggingTransaction) -> Counted:
            counted = count(self._api, txn, self._config, now_ms, full=full)
            if recount is not None:
                recounts.finish_recount(txn, recount, now_ms, drift_bytes=counted.drift_bytes, error=None)
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


def _said(error: Exception) -> str:
    """What an exception says, in one line: databases quote rows in those that follow."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
