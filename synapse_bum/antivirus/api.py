"""The routes below `antivirus/`: status, findings and rescans, answered from tables by every process."""

from typing import Final, NoReturn

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.antivirus.findings.finding import Finding, get_finding, list_findings
from synapse_bum.antivirus.findings.finding_deletion import delete_found
from synapse_bum.antivirus.findings.release import Refusal, Release, release_file, release_signature
from synapse_bum.antivirus.scanning.monitor import read_status
from synapse_bum.antivirus.stored import rescan_runs
from synapse_bum.antivirus.stored.rescan import new_run_id
from synapse_bum.antivirus.stored.rescan_runs import Run, RunState
from synapse_bum.database import Database
from synapse_bum.deletion import FileRemover, Hold
from synapse_bum.reading import Path, fail, option, text
from synapse_bum.rest import Access, Answer, ApiRequest, Routes, conflict, not_found

_CONFLICTS: Final = {
    Refusal.NOTHING_STORED: "This file was refused: nothing of it is stored",
    Refusal.STILL_UPLOADING: "This file is still being uploaded; try again in a moment",
    Refusal.DELETED: "This file was deleted",
}


def _reason(value: object, path: Path) -> str:
    reason = text(value, path).strip()
    if not reason:
        fail(path, "must say why")
    return reason


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ReasonBody:
    """The body of a request that changes something on an operator's word.

    Attributes:
        reason: in the operator's words; it goes into the audit.
    """

    reason: str = option(_reason)


class AntivirusApi:
    """The handlers of the antivirus routes."""

    def __init__(self, api: ModuleApi, database: Database, remover: FileRemover | None) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: with the antivirus tables.
            remover: of deleted files, where this process has the media volume.
        """
        self._api = api
        self._database = database
        self._remover = remover

    def add_to(self, routes: Routes) -> None:
        """Add the routes: what changes something is for operators, the rest for administrators."""
        finding, operator = "antivirus/findings/{server_name}/{media_id}", Access.OPERATOR
        routes.add("GET", "antivirus/status", self.status)
        routes.add("GET", "antivirus/findings", self.findings)
        routes.add("GET", finding, self.finding)
        routes.add("DELETE", finding, self.delete, access=operator)
        routes.add("POST", f"{finding}/release", self.release, access=operator)
        routes.add("POST", "antivirus/signatures/{signature}/release", self.release_signature, access=operator)
        routes.add("POST", "antivirus/rescan", self.start_rescan, access=operator)
        routes.add("GET", "antivirus/rescan/{run_id}", self.rescan)
        routes.add("DELETE", "antivirus/rescan/{run_id}", self.cancel_rescan, access=operator)
        routes.add("POST", "antivirus/rescan/{run_id}/confirm", self.confirm_rescan, access=operator)

    async def status(self, _request: ApiRequest) -> Answer:
        """What the scanner is, what it can do, and what was scanned so far."""
        now_ms = self._api.get_current_time_msec()
        return Answer(await self._database.run("synapse_bum_antivirus_status", read_status, now_ms))

    async def findings(self, request: ApiRequest) -> Answer:
        """A page of findings, newest first."""
        page = request.page()
        findings, total = await self._database.run(
            "synapse_bum_antivirus_findings", list_findings, page.offset, page.limit
        )
        return Answer(page.answer("findings", [finding.as_json() for finding in findings], total))

    async def finding(self, request: ApiRequest) -> Answer:
        """The finding about one file."""
        found = await self._database.run(
            "synapse_bum_antivirus_get_finding", get_finding, request.path["server_name"], request.path["media_id"]
        )
        if found is None:
            raise not_found("finding about this file")
        return Answer(found.as_json())

    async def release(self, request: ApiRequest) -> Answer:
        """Release a false positive; a second time it changes nothing."""
        file = request.path["server_name"], request.path["media_id"]
        release = self._release(request)
        found: Finding | Refusal = await self._database.run(
            "synapse_bum_antivirus_release", release_file, *file, release
        )
        if isinstance(found, Refusal):
            _explain(found)
        return Answer(found.as_json())

    async def delete(self, request: ApiRequest) -> Answer:
        """Delete the file of a finding; the record stays."""
        file = request.path["server_name"], request.path["media_id"]
        now_ms = self._api.get_current_time_msec()
        found: Finding | Refusal | Hold = await self._database.run(
            "synapse_bum_antivirus_delete",
            delete_found,
            *file,
            own_name=self._api.server_name,
            actor=request.user_id,
            now_ms=now_ms,
        )
        if isinstance(found, Refusal):
            _explain(found)
        if isinstance(found, Hold):
            raise conflict(f"This file must be kept: {found.target} is on hold ({found.reason})")
        if self._remover is not None:
            self._remover.kick()
        return Answer({})

    async def release_signature(self, request: ApiRequest) -> Answer:
        """Release everything that one signature hit."""
        signature, release = request.path["signature"], self._release(request)
        released = await release_signature(self._database, signature, release)
        if released is None:
            raise not_found("finding with this signature")
        return Answer({"released": released})

    def _release(self, request: ApiRequest) -> Release:
        reason = request.body(ReasonBody).reason
        return Release(request.user_id, reason, self._api.server_name, self._api.get_current_time_msec())

    async def start_rescan(self, request: ApiRequest) -> Answer:
        """Have all stored files scanned again; the run that is queued for that already is the answer to a second."""
        now_ms = self._api.get_current_time_msec()
        run = await self._database.run(
            "synapse_bum_antivirus_rescan_start",
            rescan_runs.start_by_operator,
            new_run_id(),
            request.user_id,
            now_ms,
        )
        if run.state is RunState.NEEDS_CONFIRMATION:
            raise conflict(f"The rescan {run.run_id} waits for a decision about {run.paused_by}: confirm or cancel it")
        return Answer.accepted(run.run_id)

    async def rescan(self, request: ApiRequest) -> Answer:
        """How far a rescan has come."""
        run = await self._database.run("synapse_bum_antivirus_get_rescan", rescan_runs.get_run, request.path["run_id"])
        if run is None:
            raise not_found("rescan with this id")
        return Answer(run.as_json())

    async def confirm_rescan(self, request: ApiRequest) -> Answer:
        """Let a paused rescan go on: what it found is no mishap."""
        run_id, now_ms = request.path["run_id"], self._api.get_current_time_msec()

        def confirm(txn: LoggingTransaction) -> Run:
            run = rescan_runs.confirm(txn, run_id, request.user_id, now_ms)
            return run or _refuse(txn, run_id, "nothing has to be confirmed")

        return Answer((await self._database.run("synapse_bum_antivirus_confirm_rescan", confirm)).as_json())

    async def cancel_rescan(self, request: ApiRequest) -> Answer:
        """End a rescan; what it has blocked stays blocked."""
        run_id, now_ms = request.path["run_id"], self._api.get_current_time_msec()

        def cancel(txn: LoggingTransaction) -> Run:
            run = rescan_runs.change_run(txn, run_id, RunState.CANCELLED, request.user_id, now_ms)
            return run or _refuse(txn, run_id, "it is over")

        await self._database.run("synapse_bum_antivirus_cancel_rescan", cancel)
        return Answer({})


def _explain(refusal: Refusal) -> NoReturn:
    if refusal is Refusal.UNKNOWN:
        raise not_found("finding about this file")
    raise conflict(_CONFLICTS[refusal])


def _refuse(txn: LoggingTransaction, run_id: str, because: str) -> NoReturn:
    run = rescan_runs.get_run(txn, run_id)
    if run is None:
        raise not_found("rescan with this id")
    raise conflict(f"The rescan {run_id} is {run.state.value}: {because}")
