"""The duty of looking for orphans: once a week and when asked, in one process with the media volume, under a lease.

Written down first: a run is a row before it does anything. A crash, a lost lease or a lost database leaves it
`running`, and the next turn begins it anew.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from synapse.module_api import ModuleApi

from synapse_bum import audit
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database.error_text import first_line
from synapse_bum.deletion import DELETION
from synapse_bum.deletion.listings import Places, places_to_look_at
from synapse_bum.deletion.survey import Survey
from synapse_bum.homeserver import media, media_deletion
from synapse_bum.homeserver.reactor import monotonic_ms
from synapse_bum.storage.orphans import metrics
from synapse_bum.storage.orphans import run as run_record
from synapse_bum.storage.orphans.file_side import FileSide
from synapse_bum.storage.orphans.look import Look, RunOverError
from synapse_bum.storage.orphans.removal import remove_orphans
from synapse_bum.storage.orphans.report import Report
from synapse_bum.storage.orphans.row_side import RowSide
from synapse_bum.storage.orphans.run import Run
from synapse_bum.storage.orphans.tables import ORPHANS

logger = logging.getLogger(__name__)

LEASE: Final = "storage.orphans"
LEASE_TTL_MS: Final = 60_000
TICK_MS: Final = 10_000
DAY_MS: Final = 86_400_000
INTERVAL_MS: Final = 7 * DAY_MS
KEEP_MS: Final = 730 * DAY_MS
"""How long runs are kept."""

NOTE_EVERY_MS: Final = 5_000
"""How often it is written down how far a run has come, and looked whether it was cancelled."""


class OrphanDuty:
    """Carries out runs, and queues those of the schedule."""

    def __init__(self, api: ModuleApi, database: Database, leases: Leases) -> None:
        """Prepares, and begins where this process has the media volume.

        Args:
            api: of the homeserver.
            database: our tables are added to its components.
            leases: one process does it.
        """
        for component in (DELETION, audit.AUDIT, ORPHANS):
            database.add(component)
        self._api = api
        self._database = database
        self._leases = leases
        self._busy = False
        self._shown: str | None = None
        self._places: Places | None = None
        self._now_ms = steady_clock(api.get_current_time_msec, partial(monotonic_ms, api))
        if media.can_load_media(api):
            api.looping_background_call(
                self.tick, TICK_MS, desc="synapse_bum_storage_orphans", run_on_all_instances=True
            )

    async def tick(self) -> None:
        """Do what is to be done, unless the last turn still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        try:
            held = await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self._turn, keep=True)
            if held.value != "done":
                self._shown = None
                metrics.nothing_is_known()
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn begins anew
            logger.warning("The look for orphans has to wait: %s", first_line(error))
        finally:
            self._busy = False

    async def _turn(self, lease: Lease) -> None:
        now_ms = self._api.get_current_time_msec()
        await self._database.run("synapse_bum_storage_orphans_schedule", run_record.queue_if_due, now_ms, INTERVAL_MS)
        while lease.held:
            run = await self._database.run(
                "synapse_bum_storage_orphans_begin", run_record.begin, self._api.get_current_time_msec()
            )
            if run is None:
                break
            try:
                await self._carry_out(run, lease)
            except RunOverError:
                logger.info("The look for orphans %s was ended", run.run_id, extra={"run_id": run.run_id})
        await self._show_last()

    async def _show_last(self) -> None:
        last = await self._database.run("synapse_bum_storage_orphans_last", run_record.last_looked)
        if last is None or last.report is None or last.finished_ts is None or last.run_id == self._shown:
            return
        metrics.show(last.report, last.finished_ts)
        self._shown = last.run_id

    async def _carry_out(self, run: Run, lease: Lease) -> None:
        report = Report()
        if self._places is None:
            self._places = places_to_look_at(self._api)
        look = Look(
            self._api,
            self._database,
            self._places,
            report,
            self._now_ms,
            Noting(self._api, self._database, run.run_id, lease),
        )
        survey = Survey()
        files = FileSide(look)
        for place in look.lookers:
            found = await files.look_at(place)
            if place is self._places.store:
                survey = found
        await RowSide(look).look()
        errors = [] if run.dry_run else await self._remove(look, survey, run)
        if report.first_unseen is not None and report.has_failed:
            unseen = report.first_unseen
            errors.append(f"not everything could be looked at, first {unseen.what} of {unseen.place}: {unseen.reason}")
        now_ms = self._api.get_current_time_msec()
        ended = await self._database.run(
            "synapse_bum_storage_orphans_finish",
            run_record.finish,
            run.run_id,
            report=report.as_json(),
            error="; ".join(errors) or None,
            now_ms=now_ms,
        )
        await self._database.run("synapse_bum_storage_orphans_drop", run_record.drop_older, now_ms - KEEP_MS)
        if ended is not None:
            _log(ended, report)

    async def _remove(self, look: Look, survey: Survey, run: Run) -> list[str]:
        """Remove what may be removed, and say why something was not."""
        store, place = media_deletion.media_store(self._api), look.places.store
        if store is None or place is None:
            return ["nothing was removed: there is no media store, and nothing is removed from storage providers"]
        if look.report.is_unseen(place.name):
            return ["nothing was removed: not all of the media store could be looked at"]
        if not survey.is_believable:
            return ["nothing was removed: so many files have no row that the database seems not to belong to them"]
        errors = await remove_orphans(look, store, survey, run.run_id)
        return [f"{len(errors)} files could not be removed, the first because: {errors[0]}"] if errors else []


class Noting:
    """Writes down how far a run has come, every few seconds."""

    def __init__(self, api: ModuleApi, database: Database, run_id: str, lease: Lease) -> None:
        self._api = api
        self._database = database
        self._run_id = run_id
        self._lease = lease
        self._noted_ms = monotonic_ms(api)

    async def __call__(self, report: Report) -> None:
        """Between two steps.

        Raises:
            RunOverError: the run was cancelled, or the lease is lost.
        """
        if not self._lease.held:
            raise RunOverError
        if monotonic_ms(self._api) - self._noted_ms < NOTE_EVERY_MS:
            return
        self._noted_ms = monotonic_ms(self._api)
        goes_on = await self._database.run(
            "synapse_bum_storage_orphans_note", run_record.note_report, self._run_id, report.as_json()
        )
        if not goes_on:
            raise RunOverError


def steady_clock(wall_ms: Callable[[], int], counted_ms: Callable[[], float]) -> Callable[[], int]:
    """A clock that never runs ahead of what was counted since now: a jump of the system clock makes no file older.

    Args:
        wall_ms: the system clock, ms since the epoch.
        counted_ms: a clock that only counts, ms.
    """
    begun_ms, counted_from_ms = wall_ms(), counted_ms()
    return lambda: min(wall_ms(), begun_ms + int(counted_ms() - counted_from_ms))


def _log(run: Run, report: Report) -> None:
    totals = report.totals()
    level = logging.INFO if run.error is None else logging.WARNING
    logger.log(
        level,
        "The look for orphans %s is %s: %d files without rows, %d bytes; %d rows without files, %d undecided;"
        " looked at %d files and %d rows%s",
        run.run_id,
        run.state.value,
        totals.files,
        totals.file_bytes,
        totals.rows,
        report.undecided,
        report.files,
        report.rows,
        "" if run.error is None else f"; {run.error}",
        extra={"run_id": run.run_id, "state": run.state.value},
    )
