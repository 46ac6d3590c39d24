"""Who of a partner is in our rooms, and whether he can be removed from them."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.database import Database
from synapse_bum.federation.names import WILDCARD
from synapse_bum.homeserver.federation_rooms import Member, own_members, remote_members, who_may_kick


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Presence:
    """A partner's users in our rooms.

    Attributes:
        members: his users, by room.
        own: our users, by the same rooms.
        kickers: for each of his users who can be removed, by room: by whom of ours.
    """

    members: Mapping[str, tuple[Member, ...]]
    own: Mapping[str, tuple[str, ...]]
    kickers: Mapping[str, Mapping[str, str]]

    @property
    def rooms_without_power(self) -> list[str]:
        """Rooms in which one of his users stays, because none of ours may remove him."""
        return [room for room, found in self.members.items() if len(self.kickers[room]) < len(found)]

    def impact(self) -> dict[str, Any]:
        """What the removal of the partner would touch, as the API shows it."""
        return {
            "rooms": len(self.members),
            "local_users": len({user_id for found in self.own.values() for user_id in found}),
            "remote_users": len({member.user_id for found in self.members.values() for member in found}),
            "rooms_without_power": self.rooms_without_power,
        }


async def presence_of(api: ModuleApi, database: Database, name: str, is_meant: Callable[[str], bool]) -> Presence:
    """Finds the users of a partner in our rooms.

    Args:
        api: of the homeserver.
        database: for the transaction.
        name: of the partner, maybe a wildcard.
        is_meant: says of a server whether it belongs to what is asked for.
    """
    ending = name.removeprefix("*") if name.startswith(WILDCARD) else f":{name}"

    def read(txn: LoggingTransaction) -> tuple[dict[str, tuple[Member, ...]], dict[str, tuple[str, ...]]]:
        members: dict[str, list[Member]] = defaultdict(list)
        for member in remote_members(txn, ending):
            if is_meant(member.server):
                members[member.room_id].append(member)
        own = {room_id: tuple(own_members(txn, room_id)) for room_id in members}
        return {room_id: tuple(found) for room_id, found in members.items()}, own

    members, own = await database.run("synapse_bum_federation_presence", read)
    kickers = {
        room_id: await who_may_kick(api, room_id, own[room_id], [member.user_id for member in found])
        for room_id, found in members.items()
    }
    return Presence(members, own, kickers)
