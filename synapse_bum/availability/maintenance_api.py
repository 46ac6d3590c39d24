"""The routes of announced maintenance: operators announce, every user reads."""

from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.module_api.errors import SynapseError

from synapse_bum import audit
from synapse_bum.availability import maintenance, outages
from synapse_bum.availability.bodies import MaintenanceBody, Reason
from synapse_bum.availability.maintenance import Maintenance
from synapse_bum.availability.turn import take_turn
from synapse_bum.database import Database
from synapse_bum.rest import Access, Answer, ApiRequest, Routes, conflict, invalid_param, not_found

_ENDED: Final = "This maintenance is over; what was announced stays as it was"
_BEGUN: Final = "has passed already: maintenance is announced before it begins"


class MaintenanceApi:
    """The handlers; they work on every process."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: with the tables of the availability.
        """
        self._api = api
        self._database = database

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        one = "maintenance/{maintenance_id}"
        routes.add("GET", "maintenance", self.list, access=Access.USER)
        routes.add("POST", "maintenance", self.announce, access=Access.OPERATOR)
        routes.add("GET", one, self.show, access=Access.USER)
        routes.add("PUT", one, self.change, access=Access.OPERATOR)
        routes.add("DELETE", one, self.withdraw, access=Access.OPERATOR)

    async def list(self, request: ApiRequest) -> Answer:
        """A page of announcements, the next one first; without `since_ts` those that are not over."""
        page, since_ts = request.page(), request.query.integer("since_ts")
        since_ts = self._api.get_current_time_msec() if since_ts is None else since_ts
        found, total = await self._database.run(
            "synapse_bum_availability_announced", maintenance.read_page, since_ts, page.offset, page.limit
        )
        return Answer(page.answer("maintenance", [one.as_json() for one in found], total))

    async def show(self, request: ApiRequest) -> Answer:
        """One announcement."""
        found = await self._database.run(
            "synapse_bum_availability_announcement", maintenance.read_one, request.path["maintenance_id"]
        )
        if found is None:
            raise _nothing_announced()
        return Answer(found.as_json())

    async def announce(self, request: ApiRequest) -> Answer:
        """Announces maintenance."""
        body, now_ms = request.body(MaintenanceBody), self._api.get_current_time_msec()
        body.check()
        if body.from_ts < now_ms:
            raise invalid_param("from_ts", _BEGUN)
        announced = Maintenance(outages.new_id(), body.from_ts, body.to_ts, body.text, now_ms)
        await self._database.run("synapse_bum_availability_announce", _announce, announced, request.user_id)
        return Answer(announced.as_json())

    async def change(self, request: ApiRequest) -> Answer:
        """Changes an announcement; of maintenance that has begun its end and its text."""
        body, now_ms = request.body(MaintenanceBody), self._api.get_current_time_msec()
        body.check()
        changed = await self._database.run(
            "synapse_bum_availability_reannounce",
            _reannounce,
            request.path["maintenance_id"],
            body,
            request.user_id,
            now_ms,
        )
        return Answer(changed.as_json())

    async def withdraw(self, request: ApiRequest) -> Answer:
        """Takes an announcement back."""
        body, now_ms = request.body(Reason), self._api.get_current_time_msec()
        maintenance_id, actor = request.path["maintenance_id"], request.user_id
        await self._database.run(
            "synapse_bum_availability_withdraw", _withdraw, maintenance_id, body.reason, actor, now_ms
        )
        return Answer({})


def _announce(txn: LoggingTransaction, announced: Maintenance, actor: str) -> None:
    take_turn(txn)
    _refuse_overlap(txn, announced)
    maintenance.put(txn, announced)
    entry = audit.Entry(
        announced.created_ts,
        actor,
        "availability.announced",
        announced.maintenance_id,
        new=announced.as_json(),
        reason=announced.text,
    )
    audit.append(txn, entry)


def _reannounce(
    txn: LoggingTransaction, maintenance_id: str, body: MaintenanceBody, actor: str, now_ms: int
) -> Maintenance:
    take_turn(txn)
    old = _changeable(txn, maintenance_id, now_ms)
    if body.from_ts != old.from_ts and min(body.from_ts, old.from_ts) < now_ms:
        raise invalid_param("from_ts", _BEGUN)
    if body.to_ts <= now_ms:
        raise invalid_param("to_ts", "must be in the future")
    new = attr.evolve(old, from_ts=body.from_ts, to_ts=body.to_ts, text=body.text)
    _refuse_overlap(txn, new)
    maintenance.put(txn, new)
    entry = audit.Entry(
        now_ms, actor, "availability.reannounced", maintenance_id, old.as_json(), new.as_json(), body.text
    )
    audit.append(txn, entry)
    return new


def _withdraw(txn: LoggingTransaction, maintenance_id: str, reason: str, actor: str, now_ms: int) -> None:
    take_turn(txn)
    old = _changeable(txn, maintenance_id, now_ms)
    maintenance.delete(txn, maintenance_id)
    entry = audit.Entry(now_ms, actor, "availability.withdrawn", maintenance_id, old.as_json(), reason=reason)
    audit.append(txn, entry)


def _changeable(txn: LoggingTransaction, maintenance_id: str, now_ms: int) -> Maintenance:
    found = maintenance.read_one(txn, maintenance_id)
    if found is None:
        raise _nothing_announced()
    if found.to_ts <= now_ms:
        raise conflict(_ENDED)
    return found


def _refuse_overlap(txn: LoggingTransaction, wanted: Maintenance) -> None:
    other = maintenance.overlapping(txn, wanted)
    if other is not None:
        raise conflict(f"The maintenance {other.maintenance_id} is announced for a part of this time; change that one")


def _nothing_announced() -> SynapseError:
    return not_found("maintenance with this id")
