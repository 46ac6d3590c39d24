"""The routes below `retention/holds`: what nobody may delete until a day, set and lifted by operators."""

from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit, deletion, reading
from synapse_bum.database import Database
from synapse_bum.deletion import holds
from synapse_bum.deletion.holds import Hold
from synapse_bum.homeserver import room_members
from synapse_bum.identifiers import is_room_id
from synapse_bum.reading import option
from synapse_bum.rest import Access, Answer, ApiRequest, Routes, invalid_param, not_found

SET_ACTION: Final = "retention.hold.set"
LIFT_ACTION: Final = "retention.hold.lift"
"""The actions of the audit rows."""

MAX_YEARS: Final = 100
_MAX_MS: Final = 36_525 * 86_400_000
_LATEST_TS: Final = 2**53 - 1
"""The greatest whole number that every JSON reader keeps (RFC 8259 section 6)."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class HoldBody:
    """The body of a request that sets a hold.

    Attributes:
        reason: why, in the operator's words; it goes into the audit.
        until_ts: when it ends, in ms since the epoch.
    """

    reason: str = option(reading.text)
    until_ts: int = option(reading.integer(0, _LATEST_TS))


class HoldsApi:
    """The handlers of the routes about holds."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: the tables of deletions and of the audit are added to its components.
        """
        database.add(deletion.DELETION)
        database.add(audit.AUDIT)
        self._api = api
        self._database = database

    def add_to(self, routes: Routes) -> None:
        """Add the routes: setting and lifting is for operators, reading for administrators."""
        hold, operator = "retention/holds/{room_or_user_id}", Access.OPERATOR
        routes.add("GET", "retention/holds", self.list)
        routes.add("GET", hold, self.get)
        routes.add("PUT", hold, self.put, access=operator)
        routes.add("DELETE", hold, self.lift, access=operator)
        routes.add("GET", "retention/holding/{room_or_user_id}", self.holding)

    async def list(self, request: ApiRequest) -> Answer:
        """A page of holds, ordered by target; one that has ended stays until it is lifted."""
        page = request.page()
        found, total = await self._database.run(
            "synapse_bum_retention_holds", holds.list_holds, page.offset, page.limit
        )
        return Answer(page.answer("holds", [self._shown(hold) for hold in found], total))

    async def get(self, request: ApiRequest) -> Answer:
        """One hold."""
        target = request.path["room_or_user_id"]
        hold = await self._database.run("synapse_bum_retention_hold", holds.get_hold, target)
        if hold is None:
            raise not_found(f"hold on {target}")
        return Answer(self._shown(hold))

    async def holding(self, request: ApiRequest) -> Answer:
        """The holds by which something of a room or a user must stay, the one that lasts longest first."""
        target, now_ms = request.path["room_or_user_id"], self._api.get_current_time_msec()
        page = request.page()
        found = await self._database.run("synapse_bum_retention_holding", holds.holds_over, target, now_ms)
        shown = [self._shown(hold) for hold in found[page.offset : page.offset + page.limit]]
        return Answer(page.answer("holds", shown, len(found)))

    async def put(self, request: ApiRequest) -> Answer:
        """Set a hold, in the place of the one that the target may have."""
        body, now_ms = request.body(HoldBody), self._api.get_current_time_msec()
        if not now_ms < body.until_ts <= now_ms + _MAX_MS:
            raise invalid_param(
                "until_ts", f"must be in the future and at most {MAX_YEARS} years ahead, in ms since 1970"
            )
        hold = Hold(request.path["room_or_user_id"], body.reason, body.until_ts, request.user_id, now_ms)
        await self._database.run("synapse_bum_retention_set_hold", self._set, hold)
        return Answer(self._shown(hold))

    async def lift(self, request: ApiRequest) -> Answer:
        """Lift a hold, whether or not it has ended."""
        target, now_ms = request.path["room_or_user_id"], self._api.get_current_time_msec()
        await self._database.run("synapse_bum_retention_lift_hold", _lift, target, request.user_id, now_ms)
        return Answer({})

    def _set(self, txn: LoggingTransaction, hold: Hold) -> None:
        self._check_is_known(txn, hold.target)
        holds.take_turn(txn)
        replaced = holds.get_hold(txn, hold.target)
        holds.put_hold(txn, hold)
        old = None if replaced is None else replaced.as_json()
        audit.append(
            txn,
            audit.Entry(
                ts=hold.created_ts,
                actor=hold.created_by,
                action=SET_ACTION,
                target=hold.target,
                old=old,
                new=hold.as_json(),
                reason=hold.reason,
            ),
        )

    def _check_is_known(self, txn: LoggingTransaction, target: str) -> None:
        """Refuse what this server has never seen: a hold with a typing error in it would silently hold nothing."""
        if is_room_id(target):
            if not room_members.is_known_room(txn, target):
                raise not_found(f"room {target} that this server knows; nothing would be held")
        elif not room_members.is_known_user(txn, target, self._api.server_name):
            raise not_found(f"user {target} that this server knows; nothing would be held")

    def _shown(self, hold: Hold) -> dict[str, Any]:
        return {**hold.as_json(), "in_force": hold.is_in_force(self._api.get_current_time_msec())}


def _lift(txn: LoggingTransaction, target: str, actor: str, now_ms: int) -> None:
    holds.take_turn(txn)
    lifted = holds.get_hold(txn, target)
    if lifted is None:
        raise not_found(f"hold on {target}")
    holds.delete_hold(txn, target)
    audit.append(
        txn, audit.Entry(ts=now_ms, actor=actor, action=LIFT_ACTION, target=target, old=lifted.as_json(), new=None)
    )
