"""The routes of probes: they deliver results with a secret of their own, and administrators read them."""

import logging

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.availability import probes
from synapse_bum.availability.bodies import ProbesBody
from synapse_bum.availability.measuring import Slices
from synapse_bum.availability.probe_token import ProbeToken
from synapse_bum.availability.recording import JOB, deliver
from synapse_bum.database import Database
from synapse_bum.rest import Access, Answer, ApiRequest, Routes, RouteSecret, conflict

logger = logging.getLogger(__name__)


class ProbesApi:
    """The handlers; they work on every process."""

    def __init__(self, api: ModuleApi, database: Database, slices: Slices, token: ProbeToken) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: with the tables of the availability.
            slices: how time is cut.
            token: of the probe.
        """
        self._api = api
        self._database = database
        self._slices = slices
        self._token = token

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", "availability/probes", self.list)
        routes.add("POST", "availability/probe_token", self.show_token, access=Access.OPERATOR)
        routes.add_for_program("POST", "availability/probes", self.receive, RouteSecret(JOB, self._token.read))

    async def receive(self, request: ApiRequest) -> Answer:
        """Takes results over, and says what became of them."""
        body, now_ms = request.body(ProbesBody), self._api.get_current_time_msec()
        body.check()
        results = [result.received(now_ms) for result in body.results]
        offset_ms = body.sent_ts - now_ms
        delivered = await self._database.run(
            "synapse_bum_availability_deliver", deliver, results, offset_ms, self._slices, now_ms
        )
        if delivered.clock_wrong:
            logger.warning(
                "%d results of a probe do not count: its clock is wrong, by %.0f s now",
                delivered.clock_wrong,
                offset_ms / 1000,
            )
        return Answer(attr.asdict(delivered))

    async def list(self, request: ApiRequest) -> Answer:
        """A page of results, newest first."""
        page = request.page()
        found, total = await self._database.run(
            "synapse_bum_availability_results", probes.read_page, page.offset, page.limit
        )
        return Answer(page.answer("probes", [result.as_json() for result in found], total))

    async def show_token(self, request: ApiRequest) -> Answer:
        """Hands over the secret that was made here, to be written into the probe's file."""
        if self._token.is_from_file:
            raise conflict("The token of the probe stands in the file of `probe_token_path`")
        secret = await self._token.read()
        entry = audit.Entry(
            self._api.get_current_time_msec(), request.user_id, "availability.token_shown", "availability.probe_token"
        )

        def note(txn: LoggingTransaction) -> None:
            audit.append(txn, entry)

        await self._database.run("synapse_bum_availability_token", note)
        return Answer({"token": secret.value})
