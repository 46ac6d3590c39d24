"""The duty of the runs: one process, under a lease, one class after the other, one batch at a time.

Written down first: a run is a row before it does anything. A crash, a lost lease or a lost database leaves it
`running`, and the next turn goes on with it; what was deleted is counted in the transaction that deleted it.
"""

import logging
import secrets
from collections.abc import Mapping
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi
from twisted.internet.defer import CancelledError

from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database.error_text import first_line
from synapse_bum.quantities import Duration
from synapse_bum.retention import metrics
from synapse_bum.retention.agreements import Agreement, read_agreements, write_agreement
from synapse_bum.retention.classes import NotReadyError, Purger, RetentionClass, Step
from synapse_bum.retention.clock_record import ClockRecord
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.retention.policy import cutoff, decide
from synapse_bum.retention.runs import run as run_record
from synapse_bum.retention.runs.run import Run, RunState

logger = logging.getLogger(__name__)

LEASE: Final = "retention.run"
LEASE_TTL_MS: Final = 60_000

TICK_MS: Final = 2_000
"""How often it is looked whether there is something to do."""

MEASURE_EVERY_MS: Final = 300_000
"""How often the backlog is measured for the metrics while no run does it."""

REST_SHARE: Final = 0.1
"""How long is rested after a batch, as a part of what it took."""

SHORTEST_REST_S: Final = 0.005

_UNCONFIRMED: Final = (
    "The retention of %s waits for a confirmation: its lifetime of %s is %s, and there are many items. %s Look at a dry"
    ' run (POST .../retention/runs {"dry_run": true}), then POST .../retention/runs {"confirm": true}'
)
_DOUBTED: Final = (
    "The system clock says %d, but %d was counted (ms since the epoch): until it has run steadily for a day, or an"
    ' operator confirms it (POST .../retention/runs {"confirm": true}), nothing is deleted by it'
)


def new_run_id() -> str:
    """An id that nobody can guess or mistake for another."""
    return secrets.token_hex(8)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Outcome:
    """How far a run came with one class.

    Attributes:
        needs_confirmation: whether something waits for an operator.
        error: why the class could not be purged to its end; None when it was.
    """

    needs_confirmation: bool = False
    error: str | None = None


class Runner:
    """Carries out runs, and starts those of the schedule."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        leases: Leases,
        purgers: Mapping[RetentionClass, Purger],
        clock: ClockRecord,
        config: RetentionConfig,
    ) -> None:
        """Prepare.

        Args:
            api: of a process that runs background tasks.
            database: with the retention's tables.
            leases: of this process.
            purgers: of the classes that have a lifetime.
            clock: says what time it is.
            config: lifetimes, interval, dry run.
        """
        self._api = api
        self._database = database
        self._leases = leases
        self._purgers = purgers
        self._clock = clock
        self._config = config
        self._busy = False
        self._measured_ms: int | None = None
        self._said_doubt = False

    def start(self) -> None:
        """Begin to look for work."""
        self._api.looping_background_call(self.tick, TICK_MS, desc="synapse_bum_retention")

    async def tick(self) -> None:
        """Do what is to be done, unless the last turn still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        try:
            held = await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self._turn, keep=True)
            if held.value != "done":
                self._clock.forget()
                self._measured_ms = None
                metrics.nothing_is_known()
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn goes on
            logger.warning("The retention has to wait: %s", first_line(error))
        finally:
            self._busy = False

    async def _turn(self, lease: Lease) -> None:
        time = await self._clock.look()
        metrics.CLOCK_DOUBTED.set(time.is_doubted)
        if time.is_doubted and not self._said_doubt:
            logger.warning(_DOUBTED, time.wall_ms, time.trusted_ms)
        self._said_doubt = time.is_doubted
        await self._database.run("synapse_bum_retention_schedule", self._queue_if_due, time.now_ms)
        while lease.held:
            wall_ms = self._api.get_current_time_msec()
            run = await self._database.run("synapse_bum_retention_current", run_record.current_run, wall_ms)
            if run is None:
                break
            await self._carry_out(run, lease)
            self._measured_ms = None
        await self._measure_if_due()

    def _queue_if_due(self, txn: LoggingTransaction, trusted_ms: int) -> None:
        now_ms = self._api.get_current_time_msec()
        # A clock that was ahead has left runs in the future: they don't count, nor do they stop the schedule.
        last_ts = run_record.last_scheduled_ts(txn, now_ms)
        if last_ts is not None and now_ms - last_ts < self._config.schedule.interval_ms:
            return
        if run_record.is_any_open(txn) or not self._purgers:
            return
        run_record.drop_older(txn, self._config.audit_lifetime.before(trusted_ms))
        run = Run(
            run_id=new_run_id(),
            state=RunState.QUEUED,
            dry_run=self._config.dry_run,
            classes=tuple(self._purgers),
            confirm=False,
            started_by=None,
            created_ts=now_ms,
        )
        run_record.add_run(txn, run)

    async def _carry_out(self, run: Run, lease: Lease) -> None:
        if run.confirm and not run.dry_run:
            await self._clock.believe()
        outcomes: dict[RetentionClass, Outcome] = {}
        for kind in run.classes:
            if not lease.held or not await self._goes_on(run):
                return
            outcomes[kind] = await self._try_class(run, kind, lease)
        if lease.held:
            await self._finish(run, outcomes)

    async def _goes_on(self, run: Run) -> bool:
        return await self._database.run("synapse_bum_retention_goes_on", run_record.is_running, run.run_id)

    async def _finish(self, run: Run, outcomes: Mapping[RetentionClass, Outcome]) -> None:
        errors = [f"{kind.value}: {outcome.error}" for kind, outcome in outcomes.items() if outcome.error is not None]
        unconfirmed = [kind for kind, outcome in outcomes.items() if outcome.needs_confirmation]
        ended = await self._database.run(
            "synapse_bum_retention_finish",
            run_record.finish_run,
            run.run_id,
            unconfirmed=unconfirmed,
            error="; ".join(errors) or None,
            now_ms=self._api.get_current_time_msec(),
        )
        if ended is None:
            return
        for kind in run.classes:
            if not run.dry_run:
                metrics.NEEDS_CONFIRMATION.labels(kind.value).set(kind in unconfirmed)
        would = "would delete" if run.dry_run else "deleted"
        logger.info(
            "The retention run %s is %s: %s %d messages, %d local and %d remote files, %d bytes",
            ended.run_id,
            ended.state.value,
            would,
            ended.messages,
            ended.local_media,
            ended.remote_media,
            ended.size_bytes,
            extra={"run_id": ended.run_id, "state": ended.state.value},
        )

    async def _try_class(self, run: Run, kind: RetentionClass, lease: Lease) -> Outcome:
        """Purge one class; what is wrong with it must not stop the others."""
        purger, lifetime = self._purgers.get(kind), self._config.lifetimes.get(kind)
        if purger is None or lifetime is None:
            return Outcome(error="it has no lifetime in the configuration any more")
        try:
            if run.dry_run:
                if kind not in run.counted:
                    await self._count(run, purger, lifetime, lease)
                return Outcome()
            return await self._purge(run, purger, lifetime, lease)
        except CancelledError:
            # The lease is lost: the process that has it now goes on with the run.
            raise
        except NotReadyError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - Synapse and the database raise what they like
            reason = first_line(error)
        # A database that is gone raises here too: the turn ends, and the next one goes on with the run.
        if not await self._goes_on(run):
            return Outcome()
        metrics.FAILURES.labels(kind.value).inc()
        logger.warning("The retention run %s could not purge %s to its end: %s", run.run_id, kind.value, reason)
        return Outcome(error=reason)

    async def _count(self, run: Run, purger: Purger, lifetime: Duration, lease: Lease) -> None:
        kind = purger.retention_class
        cutoff_ts = cutoff(lifetime, (await self._clock.look()).now_ms, self._config.timezone)
        await purger.prepare(cutoff_ts, lease, thorough=run.started_by is not None)
        backlog = await purger.backlog(cutoff_ts)
        sample = await purger.sample(cutoff_ts)

        def write(txn: LoggingTransaction) -> None:
            run_record.add_counted(txn, run.run_id, kind, backlog, sample)

        await self._database.run("synapse_bum_retention_count", write)

    async def _purge(self, run: Run, purger: Purger, lifetime: Duration, lease: Lease) -> Outcome:
        kind = purger.retention_class
        now_ms = (await self._clock.look()).now_ms
        agreements = await self._database.run("synapse_bum_retention_agreements", read_agreements)
        agreed = agreements[kind].lifetime if kind in agreements else None
        zone = self._config.timezone
        decision = decide(
            lifetime,
            agreed,
            large=await purger.is_large(),
            confirmed=run.confirm,
            now_ms=now_ms,
            zone=zone,
        )
        if decision.needs_confirmation:
            what = "new" if agreed is None else "shorter than before"
            meanwhile = "Nothing is deleted." if agreed is None else "What is older than before is deleted as before."
            logger.warning(_UNCONFIRMED, kind.value, shown_lifetime(lifetime), what, meanwhile)
        # Also where nothing may be deleted: what is overdue has to be known meanwhile.
        cutoff_ts = decision.cutoff_ts or cutoff(lifetime, now_ms, zone)
        await purger.prepare(cutoff_ts, lease, thorough=run.started_by is not None)
        if decision.cutoff_ts is None:
            return Outcome(needs_confirmation=True)
        backlog = await purger.backlog(decision.cutoff_ts)
        await self._database.run("synapse_bum_retention_total", run_record.add_total, run.run_id, backlog.items)
        metrics.show_backlog(kind, backlog, now_ms)
        failed = await self._purge_batches(run, purger, decision.cutoff_ts, lease)
        if failed is None:
            return Outcome()
        gone_by = agreed if decision.needs_confirmation and agreed is not None else lifetime
        # What an operator has confirmed stays confirmed where a part failed: the next run has to go on with it.
        success_ts = None if failed else self._api.get_current_time_msec()
        agreement = Agreement(gone_by, success_ts)
        await self._database.run("synapse_bum_retention_agree", write_agreement, kind, agreement)
        if failed:
            metrics.FAILURES.labels(kind.value).inc()
            error = f"{failed} of its rooms could not be purged, see the log; the next run tries again"
            return Outcome(needs_confirmation=decision.needs_confirmation, error=error)
        show_success(kind, agreement)
        return Outcome(needs_confirmation=decision.needs_confirmation)

    async def _purge_batches(self, run: Run, purger: Purger, cutoff_ts: int, lease: Lease) -> int | None:
        """Delete all that is expired, batch by batch.

        Returns:
            How much failed; None when the run was cancelled, or the lease lost.
        """
        kind = purger.retention_class

        def confirm(txn: LoggingTransaction, items: int, size_bytes: int) -> None:
            run_record.count_deleted(txn, run.run_id, kind, items, size_bytes)
            txn.call_after(metrics.DELETED_ITEMS.labels(kind.value).inc, items)
            txn.call_after(metrics.DELETED_BYTES.labels(kind.value).inc, size_bytes)

        more, failed = True, 0
        while more:
            if not lease.held or not await self._goes_on(run):
                return None
            # Whether a hold is in force is asked of the clock that can be trusted, as the age is.
            now_ms = (await self._clock.look()).now_ms
            begun_ms = self._clock.monotonic_ms()
            batch = await purger.purge(Step(run.run_id, cutoff_ts, now_ms, lease, confirm))
            took_s = (self._clock.monotonic_ms() - begun_ms) / 1000
            if batch.items:
                logger.info(
                    "Retention of %s: deleted %d items, %d bytes%s in %.0f ms (run %s)",
                    kind.value,
                    batch.items,
                    batch.size_bytes,
                    f" in {batch.where}" if batch.where else "",
                    took_s * 1000,
                    run.run_id,
                    extra={"run_id": run.run_id, "items": batch.items, "size_bytes": batch.size_bytes},
                )
            more, failed = batch.more, failed + batch.failed
            if more:
                await self._api.sleep(max(SHORTEST_REST_S, took_s * REST_SHARE))
                await self._measure_if_due()
        return failed

    async def _measure_if_due(self) -> None:
        """Have the metrics say what is true, also while nothing is deleted."""
        time = await self._clock.look()
        if self._measured_ms is not None and 0 <= time.wall_ms - self._measured_ms < MEASURE_EVERY_MS:
            return
        agreements = await self._database.run("synapse_bum_retention_agreements", read_agreements)
        for kind, purger in self._purgers.items():
            if kind in agreements:
                show_success(kind, agreements[kind])
            cutoff_ts = cutoff(self._config.lifetimes[kind], time.now_ms, self._config.timezone)
            try:
                metrics.show_backlog(kind, await purger.backlog(cutoff_ts), time.now_ms)
            except NotReadyError as error:
                logger.debug("The backlog of %s is not known yet: %s", kind.value, error)
            except Exception as error:  # noqa: BLE001 - what can't be measured may still be deleted
                logger.warning("The backlog of %s can't be measured now: %s", kind.value, first_line(error))
        self._measured_ms = time.wall_ms


def show_success(kind: RetentionClass, agreement: Agreement) -> None:
    """Set the metric of the last success, if there was one."""
    if agreement.last_success_ts is not None:
        metrics.LAST_SUCCESS.labels(kind.value).set(agreement.last_success_ts / 1000)


def shown_lifetime(lifetime: Duration) -> str:
    """A lifetime as operators write it."""
    if lifetime.years:
        return f"{lifetime.years}y"
    for unit, unit_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if lifetime.fixed_ms % unit_ms == 0:
            return f"{lifetime.fixed_ms // unit_ms}{unit}"
    return f"{lifetime.fixed_ms // 1000}s"
