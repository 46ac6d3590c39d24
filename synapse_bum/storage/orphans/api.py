"""The routes below `storage/orphans`: runs that look for orphans."""

from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.database import Database, Leases
from synapse_bum.reading import boolean, option
from synapse_bum.rest import Access, Answer, ApiRequest, Routes, conflict, not_found
from synapse_bum.storage.orphans import run as run_record
from synapse_bum.storage.orphans.duty import OrphanDuty
from synapse_bum.storage.orphans.run import MAX_QUEUED, Run, RunState

_RUN: Final = "look for orphans with this id"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class OrphansBody:
    """The body of `POST storage/orphans`; all of it may be left out.

    Attributes:
        dry_run: only look; otherwise files without rows that are older than a week are removed from the media store.
    """

    dry_run: bool = option(boolean, default=True)


class OrphansApi:
    """The handlers of these routes; they work on every process. The runs are carried out where the media volume is.

    Attributes:
        duty: carries them out.
    """

    def __init__(self, api: ModuleApi, database: Database, leases: Leases) -> None:
        """Prepares, and begins to look where this process has the media volume.

        Args:
            api: of the homeserver.
            database: our tables are added to its components.
            leases: of this process.
        """
        self._api = api
        self._database = database
        self.duty = OrphanDuty(api, database, leases)

    def add_to(self, routes: Routes) -> None:
        """Add the routes: what begins or ends a run is for operators, the rest for administrators."""
        routes.add("GET", "storage/orphans", self.runs)
        routes.add("POST", "storage/orphans", self.start, access=Access.OPERATOR)
        routes.add("GET", "storage/orphans/{run_id}", self.run)
        routes.add("DELETE", "storage/orphans/{run_id}", self.cancel, access=Access.OPERATOR)

    async def runs(self, request: ApiRequest) -> Answer:
        """A page of runs, newest first."""
        page = request.page()
        runs, total = await self._database.run(
            "synapse_bum_storage_orphans_runs", run_record.list_runs, page.offset, page.limit
        )
        return Answer(page.answer("runs", [run.as_json() for run in runs], total))

    async def run(self, request: ApiRequest) -> Answer:
        """How far a run has come, and what it has found."""
        run = await self._database.run("synapse_bum_storage_orphans_run", run_record.get_run, request.path["run_id"])
        if run is None:
            raise not_found(_RUN)
        return Answer(run.as_json())

    async def start(self, request: ApiRequest) -> Answer:
        """Queue a run."""
        body = request.body(OrphansBody)
        now_ms = self._api.get_current_time_msec()

        def add(txn: LoggingTransaction) -> Run:
            if run_record.count_queued(txn) >= MAX_QUEUED:
                raise conflict(f"{MAX_QUEUED} looks for orphans are waiting already")
            return run_record.add_run(txn, dry_run=body.dry_run, started_by=request.user_id, now_ms=now_ms)

        return Answer.accepted((await self._database.run("synapse_bum_storage_orphans_start", add)).run_id)

    async def cancel(self, request: ApiRequest) -> Answer:
        """End a run; what it has removed stays removed."""
        run_id, now_ms = request.path["run_id"], self._api.get_current_time_msec()

        def cancel(txn: LoggingTransaction) -> None:
            if run_record.change_run(txn, run_id, RunState.CANCELLED, request.user_id, now_ms) is None:
                run = run_record.get_run(txn, run_id)
                raise not_found(_RUN) if run is None else conflict(f"The run {run_id} is {run.state.value}: it is over")

        await self._database.run("synapse_bum_storage_orphans_cancel", cancel)
        return Answer({})
