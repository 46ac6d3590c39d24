"""The routes below `federation/`: partners, what a removal would touch, and whether a server is allowed."""

from functools import partial
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.database import Database, Dialect
from synapse_bum.federation import partners
from synapse_bum.federation.allowlist import Allowlist
from synapse_bum.federation.config import FederationConfig
from synapse_bum.federation.live import LiveAllowlist
from synapse_bum.federation.members import presence_of
from synapse_bum.federation.names import WILDCARD, NameRefusedError, partner_name, server_name
from synapse_bum.federation.partner import Partner, Source
from synapse_bum.federation.removal import Removals
from synapse_bum.homeserver.federation_queues import servers_with_queues
from synapse_bum.homeserver.federation_rooms import servers_in_rooms
from synapse_bum.homeserver.federation_sending import drop_queued
from synapse_bum.reading import Path, fail, integer, option, text
from synapse_bum.rest import Access, Answer, ApiRequest, Routes, conflict, invalid_param, not_found
from synapse_bum.rest.queries import MAX_INTEGER

_PARAMETER: Final = "server_name"
_timestamp = integer(0, MAX_INTEGER)


def _reason(value: object, path: Path) -> str:
    reason = text(value, path).strip()
    if not reason:
        fail(path, "must say why")
    return reason


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Reason:
    """The body of a request that changes something on an operator's word.

    Attributes:
        reason: in the operator's words; it goes into the audit.
    """

    reason: str = option(_reason)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PartnerBody(Reason):
    """The body of PUT and DELETE.

    Attributes:
        organisation: to whom the server belongs.
        valid_from_ts: first moment, ms since the epoch; None for always.
        valid_until_ts: the first moment behind it; None for ever.
        ticket: of the request.
        requested_by: who asked for it.
    """

    organisation: str | None = option(text, default=None)
    valid_from_ts: int | None = option(_timestamp, default=None)
    valid_until_ts: int | None = option(_timestamp, default=None)
    ticket: str | None = option(text, default=None)
    requested_by: str | None = option(text, default=None)


class FederationApi:
    """The handlers of the federation routes."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        config: FederationConfig,
        live: LiveAllowlist,
        removals: Removals,
    ) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with the federation tables.
            config: of the module.
            live: the partners.
            removals: does what a removal takes.
        """
        self._api = api
        self._database = database
        self._config = config
        self._live = live
        self._removals = removals

    def add_to(self, routes: Routes) -> None:
        """Adds the routes."""
        one = "federation/partners/{partner_name}"
        routes.add("GET", "federation/partners", self.list)
        routes.add("PUT", one, self.put, access=Access.OPERATOR)
        routes.add("DELETE", one, self.remove, access=Access.OPERATOR)
        routes.add("GET", f"{one}/impact", self.impact)
        routes.add("GET", "federation/check/{partner_name}", self.check)
        routes.add("GET", "federation/outsiders", self.outsiders)

    async def list(self, request: ApiRequest) -> Answer:
        """A page of partners, by name."""
        page = request.page()
        in_force = (await self._allowlist()).in_force
        names = sorted(name for name, partner in in_force.items() if partner.leaving_until_ts is None)
        shown = [in_force[name].as_json() for name in names[page.offset :][: page.limit]]
        return Answer(page.answer("partners", shown, len(names)))

    async def put(self, request: ApiRequest) -> Answer:
        """Makes a server a partner, or changes what is known of one."""
        name = self._partner_name(request)
        body = request.body(PartnerBody)
        until = body.valid_until_ts
        if until is not None and body.valid_from_ts is not None and until <= body.valid_from_ts:
            raise invalid_param("valid_until_ts", "must be after `valid_from_ts`")
        present = await self._changeable(name)
        if present is not None and present.leaving_until_ts is not None:
            raise conflict("This partner is being removed; add it again when that is done")
        partner = Partner(
            name,
            body.organisation,
            Source.MANAGED,
            valid_from_ts=body.valid_from_ts,
            valid_until_ts=until,
            reason=body.reason,
            ticket=body.ticket,
            requested_by=body.requested_by,
            created_by=request.user_id,
            created_ts=self._api.get_current_time_msec(),
        )
        written = await self._database.run("synapse_bum_federation_put", _put, partner, self._live.latest)
        if written is None:
            raise conflict("This partner is being removed; add it again when that is done")
        await self._live.announce()
        return Answer(written.as_json())

    async def remove(self, request: ApiRequest) -> Answer:
        """Removes a partner; answers when nothing goes in or out any more."""
        name = self._partner_name(request)
        body = request.body(PartnerBody)
        if await self._changeable(name) is None:
            raise not_found("partner with this name")
        now_ms = self._api.get_current_time_msec()
        wait_ms = self._config.removal.wait_ms if self._config.removal.kick else 0
        leaving = partners.Leaving(name, now_ms + wait_ms, body.reason, request.user_id)
        if not await self._database.run("synapse_bum_federation_remove", _leave, leaving, body, now_ms):
            raise not_found("partner with this name")
        await self._live.announce()
        self._removals.wake()
        await self._removals.until_closed(name)
        return Answer({})

    async def impact(self, request: ApiRequest) -> Answer:
        """What a removal would touch."""
        name = self._partner_name(request)
        allowlist = await self._allowlist()
        partner = allowlist.in_force.get(name)
        remaining = allowlist if partner is None else allowlist.without(partner)
        alone = Allowlist([Partner(name, None, Source.MANAGED)])
        now_ms = self._api.get_current_time_msec()

        def is_meant(server: str) -> bool:
            return alone.lets_in(server, now_ms) and (partner is None or not remaining.lets_in(server, now_ms))

        return Answer((await presence_of(self._api, self._database, name, is_meant)).impact())

    async def check(self, request: ApiRequest) -> Answer:
        """Whether a server is allowed, and why."""
        try:
            name = server_name(request.path["partner_name"])
        except NameRefusedError as refusal:
            raise invalid_param(_PARAMETER, str(refusal)) from None
        await self._live.refresh()
        return Answer(self._live.decide(name).as_json())

    async def outsiders(self, request: ApiRequest) -> Answer:
        """A page of rooms with members of servers that are not allowed, by room."""
        page = request.page()
        allowlist, now_ms, own = await self._allowlist(), self._api.get_current_time_msec(), self._api.server_name
        read = partial(servers_in_rooms, own_name=own, postgres=self._database.dialect is Dialect.POSTGRES)
        rooms: dict[str, list[str]] = {}
        for room_id, server in await self._database.run("synapse_bum_federation_outsiders", read):
            if not allowlist.lets_in(server, now_ms):
                rooms.setdefault(room_id, []).append(server)
        shown = [{"room_id": room_id, "servers": rooms[room_id]} for room_id in sorted(rooms)]
        return Answer(page.answer("rooms", shown[page.offset :][: page.limit], len(shown)))

    def _partner_name(self, request: ApiRequest) -> str:
        try:
            return partner_name(
                request.path["partner_name"],
                own_name=self._api.server_name,
                allow_wildcards=self._config.allow_wildcards,
            )
        except NameRefusedError as refusal:
            raise invalid_param(_PARAMETER, str(refusal)) from None

    async def _allowlist(self) -> Allowlist:
        """The partners of now, also when this process has not heard of the last change yet."""
        await self._live.refresh()
        return self._live.latest

    async def _changeable(self, name: str) -> Partner | None:
        """The partner with this name, if there is none that can't be changed here."""
        present = (await self._allowlist()).in_force.get(name)
        if present is not None and present.source is Source.STATIC:
            raise conflict("This partner stands in the configuration (`partners`); change it there")
        if present is not None and present.source is Source.SIGNED_LIST:
            raise conflict("This partner stands in the signed list; whoever signs the list can change it")
        if not self._config.managed:
            raise conflict("Partners can't be changed at run time here (`managed: false`)")
        return present


def _put(txn: LoggingTransaction, partner: Partner, before: Allowlist) -> Partner | None:
    """Writes a partner and its audit row; None while the one with this name is being removed."""
    now_ms = partner.created_ts or 0
    partners.wait_for_others(txn)
    old = partners.read_one(txn, partner.server_name, Source.MANAGED)
    if old is not None and old.leaving_until_ts is not None:
        return None
    partners.begin_change(txn, now_ms)
    if old is not None:
        partner = attr.evolve(partner, created_by=old.created_by, created_ts=old.created_ts)
    else:
        _drop_what_waited(txn, partner, before)
    partners.put(txn, partner)
    action = "federation.added" if old is None else "federation.changed"
    audit.append(txn, _entry(now_ms, action, old, partner))
    return partner


def _drop_what_waited(txn: LoggingTransaction, partner: Partner, before: Allowlist) -> None:
    """Drops what was queued for servers while they were no partners."""
    name, alone = partner.server_name, Allowlist([partner])
    for server in servers_with_queues(txn) if name.startswith(WILDCARD) else [name]:
        if alone.knows(server) and not before.knows(server):
            drop_queued(txn, server)


def _leave(txn: LoggingTransaction, leaving: partners.Leaving, body: PartnerBody, now_ms: int) -> bool:
    """Begins a removal with its audit row; one that has begun goes on. False when there is no such partner."""
    partners.wait_for_others(txn)
    old = partners.read_one(txn, leaving.server_name, Source.MANAGED)
    if old is None or old.leaving_until_ts is not None:
        return old is not None
    partners.begin_change(txn, now_ms)
    partners.begin_leaving(txn, leaving)
    new = {"state": "leaving", "ticket": body.ticket, "requested_by": body.requested_by}
    entry = audit.Entry(
        now_ms, leaving.actor, "federation.removed", leaving.server_name, old.as_json(), new, leaving.reason
    )
    audit.append(txn, entry)
    return True


def _entry(now_ms: int, action: str, old: Partner | None, new: Partner) -> audit.Entry:
    shown: dict[str, Any] | None = None if old is None else old.as_json()
    return audit.Entry(now_ms, new.created_by or "", action, new.server_name, shown, new.as_json(), new.reason)
