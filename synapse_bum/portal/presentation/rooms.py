"""Rooms as Synapse's admin API has them, read for the pages. Pure.

Source: `synapse/rest/admin/rooms.py`; the same in 1.133.0 and 1.163.2.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import attr

from synapse_bum.portal.homeserver_api.homeserver_client import ADMIN

ROOMS: Final = ADMIN + "/v1/rooms"
ROOM: Final = ROOMS + "/{room_id}"
BLOCK: Final = ROOM + "/block"
MEMBERS: Final = ROOM + "/members"
STATE: Final = ROOM + "/state"
FILES: Final = ADMIN + "/v1/room/{room_id}/media"
SIZES: Final = ADMIN + "/v1/statistics/database/rooms"
DELETION: Final = ADMIN + "/v2/rooms/{room_id}"
DELETIONS: Final = DELETION + "/delete_status"

ORDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "": "name",
        "members": "joined_members",
        "local": "joined_local_members",
        "encryption": "encryption",
        "creator": "creator",
    }
)
"""What the list may be ordered by: the value in our address, and Synapse's `order_by`."""

JOIN_RULES: Final = frozenset({"public", "invite", "knock", "restricted", "knock_restricted", "private"})
_CREATORS_ARE_ABOVE: Final = frozenset({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"})
"""Room versions whose creators have no power but what the power levels give them (MSC4289 came with 12)."""

_USUAL_POWER: Final = 0
_CREATOR_POWER: Final = 100


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Room:
    """A room.

    Attributes:
        room_id: which.
        name: as its members have chosen it; empty for none.
        alias: its main address; empty for none.
        topic: as its members have chosen it; empty for none, and in lists.
        members: how many are joined.
        local_members: how many of them are of this server.
        is_encrypted: whether messages are encrypted from end to end.
        is_federated: whether users of other servers may join.
        is_public: whether it is in the server's list of public rooms.
        is_space: whether it is a space: a folder of rooms.
        creator: user id; empty when it is not known.
        version: of the room's rules.
        join_rule: who may join, a key of `JOIN_RULES`; empty for any other.
    """

    room_id: str
    name: str
    alias: str
    topic: str
    members: int
    local_members: int
    is_encrypted: bool
    is_federated: bool
    is_public: bool
    is_space: bool
    creator: str
    version: str
    join_rule: str

    @property
    def label(self) -> str:
        """What it is called where there is room for one name only."""
        return self.name or self.alias or self.room_id


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Member:
    """Who is joined to a room.

    Attributes:
        user_id: who.
        is_local: whether the account is of this server.
        power: in the room; None for more than any number: a creator, from room version 12 on.
    """

    user_id: str
    is_local: bool
    power: int | None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Deletion:
    """How far the deletion of a room has come.

    Attributes:
        state: `running`, `done` or `failed`.
        removed: users of this server who were taken out of the room, so far.
        failures: user ids of those who could not be.
        new_room_id: where those who were removed are told; empty for nowhere.
    """

    state: str
    removed: int
    failures: tuple[str, ...]
    new_room_id: str


def room(found: Mapping[str, Any]) -> Room:
    """Reads one room of an answer, a list's or its own."""
    rule = found.get("join_rules") or ""
    return Room(
        room_id=found["room_id"],
        name=found.get("name") or "",
        alias=found.get("canonical_alias") or "",
        topic=found.get("topic") or "",
        members=found.get("joined_members") or 0,
        local_members=found.get("joined_local_members") or 0,
        is_encrypted=bool(found.get("encryption")),
        is_federated=bool(found.get("federatable")),
        is_public=bool(found.get("public")),
        is_space=found.get("room_type") == "m.space",
        creator=found.get("creator") or "",
        version=found.get("version") or "",
        join_rule=rule if rule in JOIN_RULES else "",
    )


def search_term(typed: str) -> str | None:
    """Returns what to ask Synapse for, None for everything.

    Synapse looks for a text in names and in the first part of addresses; `#name:server` as a whole it never finds.
    """
    if typed.startswith("#"):
        typed = typed[1:].partition(":")[0]
    return typed or None


def members(joined: Sequence[str], state: Sequence[Mapping[str, Any]], *, version: str, server: str) -> list[Member]:
    """Returns the members of a room: the most powerful first, then those of this server, then by name.

    Args:
        joined: user ids.
        state: its events `m.room.power_levels` and `m.room.create`, as far as there are any.
        version: of the room.
        server: the name of this one.
    """
    contents = {event["type"]: event["content"] for event in state}
    creators = _creators(state)
    levels = contents.get("m.room.power_levels")
    above = creators if version not in _CREATORS_ARE_ABOVE else frozenset()

    def power(user_id: str) -> int | None:
        if user_id in above:
            return None
        if levels is None:
            return _CREATOR_POWER if user_id in creators else _USUAL_POWER
        users = levels.get("users")
        given = users.get(user_id) if isinstance(users, Mapping) else None
        return _level(levels.get("users_default") if given is None else given)

    found = [Member(user_id, user_id.endswith(f":{server}"), power(user_id)) for user_id in joined]
    return sorted(found, key=lambda m: (m.power is not None, -(m.power or 0), not m.is_local, m.user_id))


def deletion(results: Sequence[Mapping[str, Any]]) -> Deletion:
    """Reads Synapse's list of the deletions of one room, oldest first: the one that runs counts, else the last."""
    running = [result for result in results if result["status"] not in {"complete", "failed", "cancelled"}]
    last = (running or results)[-1]
    states = {"complete": "done", "failed": "failed", "cancelled": "failed"}
    told = last.get("shutdown_room") or {}
    return Deletion(
        states.get(last["status"], "running"),
        len(told.get("kicked_users", ())),
        tuple(told.get("failed_to_kick_users", ())),
        told.get("new_room_id") or "",
    )


def _creators(state: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    found: set[str] = set()
    for event in state:
        if event["type"] == "m.room.create":
            more = event["content"].get("additional_creators")
            found |= (
                {event["sender"], *(name for name in more if isinstance(name, str))}
                if isinstance(more, list)
                else {event["sender"]}
            )
    return frozenset(found)


def _level(value: object) -> int:
    # Old room versions allow levels that are texts.
    if isinstance(value, str):
        value = int(value) if value.strip().lstrip("+-").isdecimal() and len(value) <= len(str(2**53)) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else _USUAL_POWER
