"""What a person has sent, and what others did to the person's membership, room by room.

Messages of others are theirs: only what names the person as the one who is invited, removed or banned is read of them.
Fields that only servers need (signatures, hashes, the graph of events) are left out.

Run on Synapse 1.133.0 and 1.163.2: `synapse/storage/databases/main/events.py`, `synapse/events/__init__.py`.
"""

from collections.abc import Iterator
from typing import Any, Final

import attr

from synapse_bum.homeserver.database_snapshot import Snapshot
from synapse_bum.homeserver.personal_source import read_json

# By the indexes on the user of both: a row for each change of a membership.
_ROOMS: Final = (
    "SELECT room_id FROM room_memberships WHERE user_id = ?"
    " UNION SELECT room_id FROM local_current_membership WHERE user_id = ? ORDER BY room_id"
)
# By unique keys: one row.
_ROOM: Final = (
    "SELECT s.name, s.canonical_alias, s.topic, s.encryption, s.room_type, m.membership"
    " FROM (SELECT ? AS room_id) AS wanted"
    " LEFT JOIN room_stats_state AS s ON s.room_id = wanted.room_id"
    " LEFT JOIN local_current_membership AS m ON m.room_id = wanted.room_id AND m.user_id = ?"
)
# Along the index on (room_id, stream_ordering): it reads all events of the room once; there is none by sender. Of those
# that are meant, one row more of `event_json` and by the index on `redacts` one of `redactions`.
_EVENTS: Final = (
    "SELECT e.event_id, j.json,"
    " (SELECT MIN(r.event_id) FROM redactions AS r WHERE r.redacts = e.event_id)"
    " FROM events AS e INNER JOIN event_json AS j ON j.event_id = e.event_id"
    " WHERE e.room_id = ? AND (e.sender = ? OR (e.type = 'm.room.member' AND e.state_key = ?))"
    " ORDER BY e.stream_ordering"
)
_SHOWN: Final = ("type", "sender", "state_key", "origin_server_ts", "content", "redacts")
ENCRYPTED: Final = "m.room.encrypted"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PersonalRoom:
    """A room that the person is or was in, or was invited to.

    Attributes:
        room_id: its id.
        name: as its members see it now; None where it has none, as conversations of two.
        canonical_alias: its address.
        topic: what it is about.
        encrypted: whether messages in it are encrypted.
        is_space: whether it holds rooms instead of messages.
        membership: of the person, now; None when the server keeps none any more.
    """

    room_id: str
    name: str | None
    canonical_alias: str | None
    topic: str | None
    encrypted: bool
    is_space: bool
    membership: str | None


def rooms_of(snapshot: Snapshot, user_id: str) -> Iterator[PersonalRoom]:
    """The rooms of a person, in the order of their ids."""
    for (room_id,) in snapshot.rows(_ROOMS, (user_id, user_id)):
        row = snapshot.row(_ROOM, (room_id, user_id))
        name, alias, topic, encryption, room_type, membership = (None,) * 6 if row is None else row
        yield PersonalRoom(room_id, name, alias, topic, encryption is not None, room_type == "m.space", membership)


def events_of(snapshot: Snapshot, room_id: str, user_id: str) -> Iterator[dict[str, Any]]:
    """What the person has sent in a room, and what others did to the person's membership, oldest first.

    Returns:
        `event_id`, `room_id`, `type`, `sender`, `origin_server_ts`, `content`; `state_key` and `redacts` where it has
        them; `redacted_by`, the id of an event, where it was deleted: Synapse keeps the content for some days still.
        In place of all but the ids, `unreadable` with the stored text, where that is no event or is nested too deep.
    """
    for event_id, text, redacted_by in snapshot.rows(_EVENTS, (room_id, user_id, user_id)):
        event: dict[str, Any] = {"event_id": event_id, "room_id": room_id}
        try:
            stored = read_json(text)
            event.update({name: stored[name] for name in _SHOWN if name in stored})
        except (ValueError, TypeError):
            event["unreadable"] = text
        if redacted_by is not None:
            event["redacted_by"] = redacted_by
        yield event
