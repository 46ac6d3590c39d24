"""The routes below `availability/` but those of probes: the report of a month, and its outages."""

from http import HTTPStatus
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.module_api.errors import Codes, SynapseError

from synapse_bum import audit
from synapse_bum.availability import outages
from synapse_bum.availability.bodies import OutageBody, Reason
from synapse_bum.availability.config import AvailabilityConfig
from synapse_bum.availability.documents import Head, ReportFormat, as_csv, as_text
from synapse_bum.availability.outages import Outage, Source
from synapse_bum.availability.report import read_report, service_begin_text
from synapse_bum.availability.turn import take_turn
from synapse_bum.database import Database
from synapse_bum.months import Month, MonthError
from synapse_bum.rest import Access, Answer, ApiRequest, Document, Routes, conflict, invalid_param, not_found

_CSV: Final = "text/csv; charset=utf-8; header=present"
_TEXT: Final = "text/plain; charset=utf-8"
_MEASURED: Final = (
    "This outage was measured: its begin and end can't be changed. To excuse a part of it, enter an excused event"
)


class AvailabilityApi:
    """The handlers; they work on every process and read our own tables only."""

    def __init__(self, api: ModuleApi, database: Database, config: AvailabilityConfig) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: with the tables of the availability.
            config: what was promised.
        """
        self._api = api
        self._database = database
        self._config = config

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        one = "availability/outages/{outage_id}"
        routes.add("GET", "availability", self.report)
        routes.add("GET", "availability/outages", self.list)
        routes.add("POST", "availability/outages", self.enter, access=Access.OPERATOR)
        routes.add("GET", one, self.show)
        routes.add("PUT", one, self.change, access=Access.OPERATOR)
        routes.add("DELETE", one, self.remove, access=Access.OPERATOR)

    async def report(self, request: ApiRequest) -> Answer | Document:
        """The availability of a month."""
        month = _month(request)
        shape = request.query.choice("format", ReportFormat) or ReportFormat.JSON
        now_ms = self._api.get_current_time_msec()
        try:
            found = await self._database.run(
                "synapse_bum_availability_report", read_report, self._config, month, now_ms
            )
        except MonthError as error:
            raise invalid_param("month", str(error)) from None
        if shape is ReportFormat.JSON:
            return Answer(found.as_json())
        head = Head(self._api.server_name, service_begin_text(self._config), self._config.timezone)
        name = f"availability-{month}"
        if shape is ReportFormat.CSV:
            return Document(as_csv(found, head).encode(), _CSV, f"{name}.csv")
        return Document(as_text(found, head).encode(), _TEXT, f"{name}.txt")

    async def list(self, request: ApiRequest) -> Answer:
        """A page of outages, the latest first."""
        page = request.page()
        found, total = await self._database.run(
            "synapse_bum_availability_outages", outages.read_page, page.offset, page.limit
        )
        return Answer(page.answer("outages", [outage.as_json() for outage in found], total))

    async def show(self, request: ApiRequest) -> Answer:
        """One outage."""
        found = await self._database.run("synapse_bum_availability_outage", outages.read_one, request.path["outage_id"])
        if found is None:
            raise _no_outage()
        return Answer(found.as_json())

    async def enter(self, request: ApiRequest) -> Answer:
        """Enters an outage that no probe has measured, or an excused event."""
        body, now_ms = request.body(OutageBody), self._api.get_current_time_msec()
        body.check(now_ms)
        outage = Outage(
            outages.new_id(),
            body.from_ts,
            body.to_ts,
            body.ticket,
            body.excuse,
            body.reason,
            Source.ENTERED,
            created_by=request.user_id,
            created_ts=now_ms,
            changed_ts=now_ms,
        )
        await self._database.run("synapse_bum_availability_enter", _enter, outage)
        return Answer(outage.as_json())

    async def change(self, request: ApiRequest) -> Answer:
        """Replaces what is known of an outage; of a measured one its ticket, excuse and reason."""
        body, now_ms = request.body(OutageBody), self._api.get_current_time_msec()
        body.check(now_ms)
        outage_id, actor = request.path["outage_id"], request.user_id
        changed = await self._database.run("synapse_bum_availability_change", _change, outage_id, body, actor, now_ms)
        return Answer(changed.as_json())

    async def remove(self, request: ApiRequest) -> Answer:
        """Removes an outage; a measured one does not come back."""
        body, now_ms = request.body(Reason), self._api.get_current_time_msec()
        outage_id, actor = request.path["outage_id"], request.user_id
        await self._database.run("synapse_bum_availability_remove", _remove, outage_id, body.reason, actor, now_ms)
        return Answer({})


def _enter(txn: LoggingTransaction, outage: Outage) -> None:
    take_turn(txn)
    outages.add(txn, outage)
    entered = audit.Entry(
        outage.created_ts,
        outage.created_by,
        "availability.entered",
        outage.outage_id,
        new=outage.as_json(),
        reason=outage.reason,
    )
    audit.append(txn, entered)


def _change(txn: LoggingTransaction, outage_id: str, body: OutageBody, actor: str, now_ms: int) -> Outage:
    take_turn(txn)
    old = outages.read_one(txn, outage_id)
    if old is None:
        raise _no_outage()
    if old.source is Source.MEASURED and (body.from_ts, body.to_ts) != (old.from_ts, old.to_ts):
        raise conflict(_MEASURED)
    new = attr.evolve(
        old,
        from_ts=body.from_ts,
        to_ts=body.to_ts,
        ticket=body.ticket,
        excuse=body.excuse,
        reason=body.reason,
        changed_ts=now_ms,
    )
    outages.change(txn, new)
    audit.append(
        txn,
        audit.Entry(now_ms, actor, "availability.changed", outage_id, old.as_json(), new.as_json(), body.reason),
    )
    return new


def _remove(txn: LoggingTransaction, outage_id: str, reason: str, actor: str, now_ms: int) -> None:
    take_turn(txn)
    old = outages.read_one(txn, outage_id)
    if old is None:
        raise _no_outage()
    outages.remove(txn, old, now_ms)
    audit.append(txn, audit.Entry(now_ms, actor, "availability.removed", outage_id, old.as_json(), reason=reason))


def _month(request: ApiRequest) -> Month:
    text = request.query.text("month")
    if text is None:
        remedy = "`month`: write it as YYYY-MM, for example 2026-02"
        raise SynapseError(HTTPStatus.BAD_REQUEST, remedy, Codes.MISSING_PARAM)
    try:
        return Month.parse(text)
    except MonthError as error:
        raise invalid_param("month", str(error)) from None


def _no_outage() -> SynapseError:
    return not_found("outage with this id")
