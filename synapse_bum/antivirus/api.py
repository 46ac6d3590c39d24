"""The routes below `antivirus/`: status and findings, answered from tables by every process."""

from synapse.module_api import ModuleApi

from synapse_bum.antivirus.findings import get_finding, list_findings
from synapse_bum.antivirus.monitor import read_status
from synapse_bum.database import Database
from synapse_bum.rest import Answer, ApiRequest, Routes, not_found


class AntivirusApi:
    """The handlers of the antivirus routes."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database

    def add_to(self, routes: Routes) -> None:
        """Add the routes, all of them for administrators."""
        routes.add("GET", "antivirus/status", self.status)
        routes.add("GET", "antivirus/findings", self.findings)
        routes.add("GET", "antivirus/findings/{server_name}/{media_id}", self.finding)

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
