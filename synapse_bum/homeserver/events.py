"""Events and who may do what in their rooms.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/storage/databases/main/events_worker.py`, `synapse/event_auth.py`.
"""

from typing import Any

import attr
from synapse.api.constants import EventTypes, Membership
from synapse.event_auth import get_user_power_level
from synapse.module_api import EventBase, ModuleApi


@attr.s(auto_attribs=True, frozen=True, slots=True)
class EventFacts:
    """What we need of an event.

    Attributes:
        event_id: of the event.
        room_id: of its room.
        sender: user id.
        type: for example `m.room.message`.
        content: as its sender sent it; without what a redaction removed.
        is_redacted: whether a redaction of it was accepted.
        origin_server_ts: ms since the epoch, as its sender's server claims.
        state_key: None unless it is a state event.
    """

    event_id: str
    room_id: str
    sender: str
    type: str
    content: Any
    is_redacted: bool
    origin_server_ts: int
    state_key: str | None = None


def facts_of(event: EventBase) -> EventFacts:
    """Reduce an event of Synapse to what we need."""
    return EventFacts(
        event_id=event.event_id,
        room_id=event.room_id,
        sender=event.sender,
        type=event.type,
        content=event.content,
        is_redacted=event.internal_metadata.is_redacted(),
        origin_server_ts=event.origin_server_ts,
        state_key=event.get_state_key(),
    )


async def read_event(api: ModuleApi, event_id: str) -> EventFacts | None:
    """Read an accepted event; None when there is none here. A redacted one has lost most of its content."""
    event = await api._store.get_event(event_id, allow_none=True)
    return None if event is None else facts_of(event)


async def read_original(api: ModuleApi, event_id: str) -> EventFacts | None:
    """Read an event with the content that it had before it was redacted, and whether it is redacted by now.

    It is read from the database, past Synapse's cache: another process's redaction reaches that one later. Synapse
    itself removes the content from there some days after the redaction (`redaction_retention_period`).

    Returns:
        None when there is no such event here, or it was rejected.
    """
    entry = (await api._store._get_events_from_db([event_id])).get(event_id)
    if entry is None or entry.event.rejected_reason is not None:
        return None
    return attr.evolve(facts_of(entry.event), is_redacted=entry.redacted_event is not None)


async def is_joined(api: ModuleApi, room_id: str, user_id: str) -> bool:
    """Whether a local user is in a room now."""
    membership, _event_id = await api._store.get_local_current_membership_for_user_in_room(user_id, room_id)
    return membership == Membership.JOIN


async def power_level(api: ModuleApi, room_id: str, user_id: str) -> int:
    """The power level of a user in a room now; creators have the highest there is in room versions that say so."""
    wanted = [(EventTypes.PowerLevels, ""), (EventTypes.Create, "")]
    state = await api.get_room_state(room_id, wanted)
    return get_user_power_level(user_id, state)
