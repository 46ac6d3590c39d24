"""Which users of other servers are in our rooms, which of our users may remove them, and removing them.

Run on Synapse 1.133.0 and 1.163.2: tables `current_state_events` and `local_current_membership`,
`synapse/event_auth.py`, `synapse/handlers/room_member.py`.
"""

from collections.abc import Sequence
from typing import Final

import attr
from synapse.api.constants import EventTypes, Membership
from synapse.api.errors import SynapseError
from synapse.event_auth import get_named_level, get_user_power_level
from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.types import UserID, create_requester

_KICK_LEVEL: Final = 50
"""Where a room says nothing (client-server API, `m.room.power_levels`)."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Member:
    """A user of another server in a room that one of our users is in.

    Attributes:
        room_id: of the room.
        user_id: of the other server's user.
        joined: False while he is only invited, or knocks.
    """

    room_id: str
    user_id: str
    joined: bool

    @property
    def server(self) -> str:
        """The server's name."""
        return self.user_id.partition(":")[2]


def remote_members(txn: LoggingTransaction, ending: str) -> list[Member]:
    """All users whose ids end in a text, in rooms that one of our users is in.

    Reads all members of all rooms once: an index can't find the end of a text. A second for each million of them.

    Args:
        txn: a transaction.
        ending: for example `:a.example`, or `.bund.example`; without `%` and `_`, as names of servers are.
    """
    txn.execute(
        "SELECT c.room_id, c.state_key, c.membership FROM current_state_events AS c WHERE c.type = 'm.room.member'"
        " AND c.membership IN ('join', 'invite', 'knock') AND c.state_key LIKE ? AND EXISTS (SELECT 1 FROM"
        " local_current_membership AS l WHERE l.room_id = c.room_id AND l.membership = 'join')"
        " ORDER BY c.room_id, c.state_key",
        (f"%{ending}",),
    )
    return [Member(room_id, user_id, kind == Membership.JOIN) for room_id, user_id, kind in txn.fetchall()]


def servers_in_rooms(txn: LoggingTransaction, own_name: str, *, postgres: bool) -> list[tuple[str, str]]:
    """All rooms that one of our users is in, each with the names of all other servers of its members.

    Reads all members of all rooms once, as `remote_members`.

    Args:
        txn: a transaction.
        own_name: name of this server.
        postgres: whether the database is PostgreSQL.

    Returns:
        Room id and server, sorted.
    """
    find = "strpos(c.state_key, ':')" if postgres else "instr(c.state_key, ':')"
    # Most members are ours. PostgreSQL expects few to be left by this, and then looks rooms up for these only; SQLite
    # would leave out names that differ in upper and lower case, too.
    not_ours, parameters = (" AND c.state_key NOT LIKE ?", (f"%:{own_name}",)) if postgres else ("", ())
    txn.execute(
        f"SELECT DISTINCT c.room_id, substr(c.state_key, {find} + 1) FROM current_state_events AS c"  # noqa: S608
        f" WHERE c.type = 'm.room.member' AND c.membership IN ('join', 'invite', 'knock'){not_ours} AND EXISTS ("
        "SELECT 1 FROM local_current_membership AS l WHERE l.room_id = c.room_id AND l.membership = 'join')"
        " ORDER BY 1, 2",
        parameters,
    )
    return [(room_id, server) for room_id, server in txn.fetchall() if server != own_name]


def own_members(txn: LoggingTransaction, room_id: str) -> list[str]:
    """Our users in a room; by the index on `local_current_membership.room_id`."""
    txn.execute(
        "SELECT user_id FROM local_current_membership WHERE room_id = ? AND membership = 'join' ORDER BY user_id",
        (room_id,),
    )
    return [user_id for (user_id,) in txn.fetchall()]


async def who_may_kick(api: ModuleApi, room_id: str, own: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Finds for each of some users one of ours who may remove him from the room: the one with the most power.

    Args:
        api: of the homeserver.
        room_id: of the room.
        own: our users in it.
        others: users in it who shall go.

    Returns:
        Our user by the other one; without those that none of ours may remove.
    """
    if not own:
        return {}
    state = await api.get_room_state(room_id, [(EventTypes.PowerLevels, ""), (EventTypes.Create, "")])
    strongest = max(own, key=lambda user_id: get_user_power_level(user_id, state))
    power = get_user_power_level(strongest, state)
    if power < get_named_level(state, "kick", _KICK_LEVEL):
        return {}
    return {other: strongest for other in others if get_user_power_level(other, state) < power}


async def kick(api: ModuleApi, by: str, member: Member, reason: str) -> int | None:
    """Removes a user of another server from a room.

    Args:
        api: of the homeserver.
        by: our user who may do that.
        member: who goes.
        reason: that the room reads.

    Returns:
        Where the kick stands in the stream of events; None when the room did not allow it after all.
    """
    try:
        _event_id, position = await api._hs.get_room_member_handler().update_membership(
            create_requester(by, authenticated_entity=api.server_name),
            UserID.from_string(member.user_id),
            member.room_id,
            "kick",
            content={"reason": reason},
            ratelimit=False,
            require_consent=False,
        )
    except SynapseError:
        return None
    return position
