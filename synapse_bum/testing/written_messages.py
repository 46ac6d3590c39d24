"""Messages that nobody sent: rows as Synapse writes them, thousands in a second and of any age.

The rooms are real ones, and each message follows the one before it with the right edges, depth, state group and event
id (which is a hash of the event), so that Synapse serves, searches and purges them as its own. Signatures and content
hashes are those of the room's newest message before; nobody checks them again. Run on Synapse 1.133.0 and 1.163.2.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import attr
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, RoomVersion
from synapse.events import make_event_from_dict

from synapse_bum.testing.server_database import ServerDatabase

_CHUNK: Final = 20_000

_EVENTS: Final = (
    "event_id",
    "room_id",
    "type",
    "sender",
    "stream_ordering",
    "topological_ordering",
    "depth",
    "received_ts",
    "origin_server_ts",
    "processed",
    "outlier",
    "contains_url",
    "instance_name",
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class NewMessage:
    """What is to be written.

    Attributes:
        room_id: of a room in which somebody has sent a message, which is the pattern; its events have no forks.
        ts: when it was sent and received, ms since the epoch.
        body: plain words, separated by spaces.
    """

    room_id: str
    ts: int
    body: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class WrittenMessage:
    """What was written.

    Attributes:
        event_id: the hash of it.
        previous: event id of the message before it in its room.
        stream_ordering: the next free one.
        depth: one more than that of the message before it in its room.
        json: as it stands in `event_json`.
        message: what it was to be.
    """

    event_id: str
    previous: str
    stream_ordering: int
    depth: int
    json: str
    message: NewMessage


@attr.s(auto_attribs=True, slots=True)
class _Room:
    """A room and its newest message, which the next one follows."""

    version: RoomVersion
    pattern: Mapping[str, Any]
    state_group: int
    format_version: int
    event_id: str
    depth: int
    stream_ordering: int = 0


class MessageWriter:
    """Writes to the database of a stopped homeserver that has no workers."""

    def __init__(self, database: ServerDatabase) -> None:
        self._database = database
        self._rooms: dict[str, _Room] = {}

    def write(self, messages: Iterable[NewMessage]) -> Iterator[WrittenMessage]:
        """Write messages; each is in the database, and its room complete, when all were taken from the iterator.

        Args:
            messages: in the order in which they are to stand in the stream of events.
        """
        ((last,),) = self._database.rows("SELECT max(stream_ordering) FROM events")
        remaining = iter(messages)
        while chunk := list(islice(remaining, _CHUNK)):
            written = [self._follow(message, last + number) for number, message in enumerate(chunk, start=1)]
            last += len(written)
            self._insert(written)
            yield from written
        self._complete(last)

    def _follow(self, message: NewMessage, stream_ordering: int) -> WrittenMessage:
        room = self._rooms.get(message.room_id)
        if room is None:
            room = self._rooms[message.room_id] = self._room(message.room_id)
        event = {
            **room.pattern,
            "content": {"body": message.body, "msgtype": "m.text"},
            "depth": room.depth + 1,
            "origin_server_ts": message.ts,
            "prev_events": [room.event_id],
        }
        as_json = json.dumps(event, separators=(",", ":"))
        previous, room.event_id = room.event_id, make_event_from_dict(event, room.version).event_id
        room.depth += 1
        room.stream_ordering = stream_ordering
        return WrittenMessage(room.event_id, previous, stream_ordering, room.depth, as_json, message)

    def _room(self, room_id: str) -> _Room:
        rows = self._database.rows
        ((event_id, depth, state_group, version),) = rows(
            """
            SELECT event_id, depth, state_group, room_version
            FROM event_forward_extremities AS newest
            INNER JOIN events USING (event_id)
            INNER JOIN event_to_state_groups USING (event_id)
            INNER JOIN rooms ON rooms.room_id = newest.room_id
            WHERE newest.room_id = ?
            """,
            room_id,
        )
        ((as_json, format_version),) = rows(
            """
            SELECT json, format_version
            FROM events
            INNER JOIN event_json USING (event_id)
            WHERE events.room_id = ? AND type = 'm.room.message'
            ORDER BY depth DESC LIMIT 1
            """,
            room_id,
        )
        pattern = {**json.loads(as_json), "unsigned": {}}
        return _Room(KNOWN_ROOM_VERSIONS[version], pattern, state_group, format_version, event_id, depth)

    def _insert(self, written: Sequence[WrittenMessage]) -> None:
        insert = self._database.insert
        rooms = self._rooms
        senders = {room_id: room.pattern["sender"] for room_id, room in rooms.items()}
        insert(
            "events",
            _EVENTS,
            (
                (
                    one.event_id,
                    one.message.room_id,
                    "m.room.message",
                    senders[one.message.room_id],
                    one.stream_ordering,
                    one.depth,
                    one.depth,
                    one.message.ts,
                    one.message.ts,
                    True,
                    False,
                    False,
                    "master",
                )
                for one in written
            ),
        )
        insert(
            "event_json",
            ("event_id", "room_id", "internal_metadata", "json", "format_version"),
            (
                (one.event_id, one.message.room_id, "{}", one.json, rooms[one.message.room_id].format_version)
                for one in written
            ),
        )
        insert(
            "event_edges",
            ("event_id", "prev_event_id", "is_state"),
            ((one.event_id, one.previous, False) for one in written),
        )
        insert(
            "event_to_state_groups",
            ("event_id", "state_group"),
            ((one.event_id, rooms[one.message.room_id].state_group) for one in written),
        )
        self._insert_words(written)

    def _insert_words(self, written: Sequence[WrittenMessage]) -> None:
        """The search index: a full-text table on SQLite, vectors on PostgreSQL."""
        if not self._database.is_postgres:
            self._database.insert(
                "event_search",
                ("event_id", "room_id", "key", "value"),
                ((one.event_id, one.message.room_id, "content.body", one.message.body) for one in written),
            )
            return
        self._database.insert(
            "event_search",
            ("event_id", "room_id", "key", "vector", "stream_ordering", "origin_server_ts"),
            (
                (
                    one.event_id,
                    one.message.room_id,
                    "content.body",
                    _vector(one.message.body),
                    one.stream_ordering,
                    one.message.ts,
                )
                for one in written
            ),
        )

    def _complete(self, last: int) -> None:
        """Say in each room, and to the stream of events, which message is the newest."""
        execute = self._database.execute
        for room_id, room in self._rooms.items():
            execute("UPDATE event_forward_extremities SET event_id = ? WHERE room_id = ?", room.event_id, room_id)
            execute(
                "UPDATE sliding_sync_joined_rooms SET event_stream_ordering = ?, bump_stamp = ? WHERE room_id = ?",
                room.stream_ordering,
                room.stream_ordering,
                room_id,
            )
        if self._database.is_postgres:
            self._database.rows("SELECT setval('events_stream_seq', ?)", last)
            execute("UPDATE stream_positions SET stream_id = ? WHERE stream_name = 'events'", last)


def _vector(body: str) -> str:
    """A `tsvector` as text (PostgreSQL: "Text Search Types"): each word with its places."""
    places: dict[str, list[str]] = {}
    for place, word in enumerate(body.lower().split(), start=1):
        places.setdefault(word, []).append(str(place))
    return " ".join(f"'{word}':{','.join(numbers)}" for word, numbers in places.items())
