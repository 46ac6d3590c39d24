"""The routes below `retention/` but those of holds: status, runs and the record of deletions."""

import logging
from collections.abc import Mapping
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.database import Database
from synapse_bum.reading import Path, boolean, fail, list_of, one_of, option
from synapse_bum.rest import Access, Answer, ApiRequest, Routes, conflict, invalid_param, not_found
from synapse_bum.retention.agreements import read_agreements
from synapse_bum.retention.classes import NotReadyError, Purger, RetentionClass
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.retention.deletions import list_deletions
from synapse_bum.retention.policy import cutoff
from synapse_bum.retention.runs import run as run_record
from synapse_bum.retention.runs.run import MAX_QUEUED, Run, RunState
from synapse_bum.retention.runs.runner import new_run_id

logger = logging.getLogger(__name__)

_RUN: Final = "retention run with this id"


def _classes(value: object, path: Path) -> tuple[RetentionClass, ...]:
    found = list_of(one_of(RetentionClass), minimum=1)(value, path)
    if len(set(found)) < len(found):
        fail(path, "names a class twice")
    return found


@attr.s(auto_attribs=True, frozen=True, slots=True)
class RunBody:
    """The body of `POST retention/runs`; all of it may be left out.

    Attributes:
        dry_run: only count; None for what the configuration says.
        classes: which to go through; None for all that have a lifetime.
        confirm: that a new or shortened lifetime of a large class is meant, and that the system clock is right.
    """

    dry_run: bool | None = option(boolean, default=None)
    classes: tuple[RetentionClass, ...] | None = option(_classes, default=None)
    confirm: bool = option(boolean, default=False)


class RetentionApi:
    """The handlers of the retention routes; they work on every process."""

    def __init__(
        self, api: ModuleApi, database: Database, purgers: Mapping[RetentionClass, Purger], config: RetentionConfig
    ) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: with the retention's tables.
            purgers: of the classes that have a lifetime: they measure.
            config: lifetimes.
        """
        self._api = api
        self._database = database
        self._purgers = purgers
        self._config = config

    def add_to(self, routes: Routes) -> None:
        """Add the routes: what deletes is for operators, the rest for administrators."""
        routes.add("GET", "retention/status", self.status)
        routes.add("GET", "retention/runs", self.runs)
        routes.add("POST", "retention/runs", self.start, access=Access.OPERATOR)
        routes.add("GET", "retention/runs/{run_id}", self.run)
        routes.add("DELETE", "retention/runs/{run_id}", self.cancel, access=Access.OPERATOR)
        routes.add("GET", "retention/deletions", self.deletions)

    async def status(self, _request: ApiRequest) -> Answer:
        """What should be gone now, by class."""
        agreements = await self._database.run("synapse_bum_retention_agreements", read_agreements)
        answer: dict[str, Any] = {}
        for kind in RetentionClass:
            agreement = agreements.get(kind)
            answer[kind.value] = {
                **await self._measured(kind),
                "last_success_ts": None if agreement is None else agreement.last_success_ts,
            }
        return Answer(answer)

    async def _measured(self, kind: RetentionClass) -> dict[str, Any]:
        """What is overdue in one class; null is what is not known."""
        lifetime, purger = self._config.lifetimes.get(kind), self._purgers.get(kind)
        unknown = {"oldest_age_ms": None, "backlog_items": None, "backlog_bytes": None}
        if lifetime is None or purger is None:
            return {"lifetime_ms": None, "oldest_age_ms": 0, "backlog_items": 0, "backlog_bytes": 0}
        now_ms = self._api.get_current_time_msec()
        cutoff_ts = cutoff(lifetime, now_ms, self._config.timezone)
        measured: dict[str, Any] = {"lifetime_ms": now_ms - cutoff_ts}
        try:
            backlog = await purger.backlog(cutoff_ts)
        except NotReadyError:
            return {**measured, **unknown}
        except Exception as error:  # noqa: BLE001 - what is known of the other classes is still said
            logger.warning("The backlog of %s can't be measured now: %s", kind.value, type(error).__name__)
            return {**measured, **unknown}
        return {
            **measured,
            "oldest_age_ms": 0 if backlog.oldest_ts is None else max(0, now_ms - backlog.oldest_ts),
            "backlog_items": backlog.items,
            "backlog_bytes": backlog.size_bytes,
        }

    async def runs(self, request: ApiRequest) -> Answer:
        """A page of runs, newest first."""
        page = request.page()
        runs, total = await self._database.run(
            "synapse_bum_retention_runs", run_record.list_runs, page.offset, page.limit
        )
        return Answer(page.answer("runs", [run.as_json() for run in runs], total))

    async def run(self, request: ApiRequest) -> Answer:
        """How far a run has come."""
        run = await self._database.run("synapse_bum_retention_run", run_record.get_run, request.path["run_id"])
        if run is None:
            raise not_found(_RUN)
        return Answer(run.as_json())

    async def start(self, request: ApiRequest) -> Answer:
        """Queue a run."""
        body = request.body(RunBody)
        missing = [kind.value for kind in body.classes or () if kind not in self._purgers]
        if missing:
            raise invalid_param("classes", f"`{missing[0]}` has no lifetime in the configuration")
        if not self._purgers:
            raise conflict("No class has a lifetime in the configuration")
        dry_run = self._config.dry_run if body.dry_run is None else body.dry_run
        if self._config.dry_run and not dry_run:
            raise conflict("The configuration says `dry_run: true`: nothing is deleted before that is changed")
        run = Run(
            run_id=new_run_id(),
            state=RunState.QUEUED,
            dry_run=dry_run,
            classes=tuple(kind for kind in self._purgers if body.classes is None or kind in body.classes),
            confirm=body.confirm,
            started_by=request.user_id,
            created_ts=self._api.get_current_time_msec(),
        )

        def add(txn: LoggingTransaction) -> None:
            if run_record.count_queued(txn) >= MAX_QUEUED:
                raise conflict(f"{MAX_QUEUED} runs are waiting already")
            run_record.add_run(txn, run)

        await self._database.run("synapse_bum_retention_start", add)
        return Answer.accepted(run.run_id)

    async def cancel(self, request: ApiRequest) -> Answer:
        """End a run; what it has deleted stays deleted."""
        run_id, now_ms = request.path["run_id"], self._api.get_current_time_msec()

        def cancel(txn: LoggingTransaction) -> None:
            if run_record.change_run(txn, run_id, RunState.CANCELLED, request.user_id, now_ms) is None:
                run = run_record.get_run(txn, run_id)
                raise not_found(_RUN) if run is None else conflict(f"The run {run_id} is {run.state.value}: it is over")

        await self._database.run("synapse_bum_retention_cancel", cancel)
        return Answer({})

    async def deletions(self, request: ApiRequest) -> Answer:
        """A page of what was deleted, files and messages, newest first."""
        page = request.page()
        deletions, total = await self._database.run(
            "synapse_bum_retention_deletions", list_deletions, page.offset, page.limit
        )
        return Answer(page.answer("deletions", deletions, total))
