"""Removing a partner on an operator's word: nothing comes in any more, kicks leave, then nothing goes out any more.

| state | what is true |
|---|---|
| in force | both directions are open |
| leaving | nothing comes in; our users remove the partner's from rooms; until `leaving_until_ts` that may leave |
| gone | nothing goes out; what was queued is dropped; the row is gone and the audit says what was done |

The end of *leaving* stands in the row, and every process keeps to it by its clock, whatever becomes of the process that
does the work. That one holds a lease; another one goes on where it ended, because all steps can be done twice.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi
from twisted.internet.defer import CancelledError

from synapse_bum import audit
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database.error_text import traced
from synapse_bum.federation import partners
from synapse_bum.federation.allowlist import Allowlist
from synapse_bum.federation.live import LiveAllowlist
from synapse_bum.federation.members import Presence, presence_of
from synapse_bum.federation.names import WILDCARD
from synapse_bum.federation.partner import Partner, Source
from synapse_bum.federation.partners import Leaving
from synapse_bum.homeserver import federation_rooms
from synapse_bum.homeserver.federation_rooms import Member
from synapse_bum.homeserver.federation_sending import (
    drop_queued,
    drop_queues_in_memory,
    known_servers,
    received_up_to,
)
from synapse_bum.homeserver.time_limit import within

logger = logging.getLogger(__name__)

TICK_MS: Final = 5_000
_LEASE_MS: Final = 30_000
_LOOK_EVERY_S: Final = 0.1
_KICK_S: Final = 30
_MAX_LISTED: Final = 100
_REASON: Final = "The server is no partner of this one any more"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Kick:
    """A user who was removed.

    Attributes:
        member: who.
        position: of his removal in the stream of events.
    """

    member: Member
    position: int


class Removals:
    """The removals that are under way."""

    def __init__(
        self, api: ModuleApi, database: Database, leases: Leases, live: LiveAllowlist, *, may_kick: bool
    ) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with the federation tables.
            leases: of this process.
            live: the partners.
            may_kick: whether users of a removed partner are removed from rooms.
        """
        self._api = api
        self._database = database
        self._leases = leases
        self._live = live
        self._may_kick = may_kick
        self._busy: set[str] = set()

    def start(self) -> None:
        """Has removals finished that another process has left."""
        self._live.on_change(self._drop_queues)
        self._api.looping_background_call(
            self.tick, TICK_MS, desc="synapse_bum_federation_removals", run_on_all_instances=True
        )

    def wake(self) -> None:
        """Has a removal begun at once."""
        self._api.delayed_background_call(0, self.tick, desc="synapse_bum_federation_removals")

    async def until_closed(self, name: str) -> None:
        """Waits until nothing goes out to a partner any more: at most until his `leaving_until_ts`."""
        while (allowlist := self._live.current.allowlist) is not None:
            partner = allowlist.in_force.get(name)
            until_ts = None if partner is None else partner.leaving_until_ts
            if until_ts is None or until_ts <= self._live.latest_time_ms():
                return
            await self._api.sleep(_LOOK_EVERY_S)

    async def tick(self) -> None:
        """Does what is left to do of each removal, unless another process does it."""
        allowlist = self._live.current.allowlist
        if allowlist is None or not any(one.leaving_until_ts is not None for one in allowlist.in_force.values()):
            return
        for leaving in await self._database.run("synapse_bum_federation_leaving", partners.read_leaving):
            name = leaving.server_name
            if name in self._busy:
                continue
            self._busy.add(name)
            self._api.delayed_background_call(0, self._remove, leaving, desc="synapse_bum_federation_remove")

    async def _remove(self, leaving: Leaving) -> None:
        async def work(_lease: Lease) -> None:
            await self._kick_and_finish(leaving)

        try:
            await self._leases.run_while_held(f"federation.removal {leaving.server_name}", _LEASE_MS, work)
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            logger.error("The removal of %s goes on in a moment: %s", leaving.server_name, traced(error))
        finally:
            self._busy.discard(leaving.server_name)

    async def _kick_and_finish(self, leaving: Leaving) -> None:
        scope = await self._scope(leaving.server_name)
        if scope is None:
            return
        presence = await presence_of(self._api, self._database, leaving.server_name, scope)
        kicks = await self._kick(presence) if self._may_kick else []
        await self._wait_for_kicks(kicks, leaving.until_ts)

        def finish(txn: LoggingTransaction) -> bool:
            return self._finish(txn, leaving, scope, presence, kicks)

        if await self._database.run("synapse_bum_federation_removed", finish):
            await self._live.announce()

    async def _scope(self, name: str) -> Callable[[str], bool] | None:
        """Which servers are out when this partner is: not those that another partner lets in. None when he is gone."""
        allowlist = await self._live.refresh()
        partner = None if allowlist is None else allowlist.in_force.get(name)
        if allowlist is None or partner is None or partner.leaving_until_ts is None:
            return None
        remaining = allowlist.without(partner)
        alone = Allowlist([Partner(name, None, Source.MANAGED)])
        now_ms = self._api.get_current_time_msec()
        return lambda server: alone.lets_in(server, now_ms) and not remaining.lets_in(server, now_ms)

    async def _kick(self, presence: Presence) -> list[_Kick]:
        """Removes whom our users may remove."""
        kicks = []
        for room_id, members in presence.members.items():
            for member in members:
                by = presence.kickers[room_id].get(member.user_id)
                position = by and await self._kick_one(by, member)
                if position:
                    kicks.append(_Kick(member, position))
        return kicks

    async def _kick_one(self, by: str, member: Member) -> int | None:
        """As `federation_rooms.kick`; a room in which it does not work keeps no other one waiting."""
        try:
            return await within(self._api, _KICK_S, federation_rooms.kick, self._api, by, member, _REASON)
        except CancelledError:
            # The lease is gone: another process goes on.
            raise
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            logger.error("%s could not be removed from %s: %s", member.user_id, member.room_id, traced(error))
            return None

    async def _wait_for_kicks(self, kicks: Sequence[_Kick], until_ts: int) -> None:
        def outstanding(txn: LoggingTransaction) -> int:
            return _undelivered(txn, kicks)

        while self._live.latest_time_ms() < until_ts:
            if not await self._database.run("synapse_bum_federation_kicks_left", outstanding):
                return
            await self._api.sleep(_LOOK_EVERY_S)

    def _finish(
        self,
        txn: LoggingTransaction,
        leaving: Leaving,
        scope: Callable[[str], bool],
        presence: Presence,
        kicks: Sequence[_Kick],
    ) -> bool:
        name, now_ms = leaving.server_name, self._api.get_current_time_msec()
        partners.begin_change(txn, now_ms)
        found = partners.read_one(txn, name, Source.MANAGED)
        if found is None or found.leaving_until_ts is None:
            return False
        servers = known_servers(txn, name.removeprefix("*")) if name.startswith(WILDCARD) else [name]
        members = [member for found in presence.members.values() for member in found]
        dropped = sum(drop_queued(txn, one) for one in {*servers, *(m.server for m in members)} if scope(one))
        partners.delete(txn, name, Source.MANAGED)
        done = {
            "kicked": len(kicks),
            "undelivered_kicks": _undelivered(txn, kicks),
            "rooms": len(presence.members),
            "rooms_without_power": presence.rooms_without_power[:_MAX_LISTED],
            "dropped_messages": dropped,
        }
        entry = audit.Entry(now_ms, leaving.actor, "federation.closed", name, "leaving", done, leaving.reason)
        audit.append(txn, entry)
        return True

    def _drop_queues(self) -> None:
        allowlist, now_ms = self._live.current.allowlist, self._api.get_current_time_msec()
        drop_queues_in_memory(self._api, lambda name: allowlist is not None and allowlist.lets_out(name, now_ms))


def _undelivered(txn: LoggingTransaction, kicks: Iterable[_Kick]) -> int:
    """How many removed users their servers go on to take for members; who was only invited is not waited for."""
    positions_of: dict[str, list[int]] = {}
    for kick in kicks:
        if kick.member.joined:
            positions_of.setdefault(kick.member.server, []).append(kick.position)
    received = {server: received_up_to(txn, server) or 0 for server in positions_of}
    return sum(position > received[server] for server, positions in positions_of.items() for position in positions)
