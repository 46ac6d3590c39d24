"""Messages of a person: for each room a file of JSON and a page, written while they are read."""

from collections.abc import Mapping
from typing import Any

from synapse_bum.cli.export_user import pages
from synapse_bum.cli.export_user.destination import Destination
from synapse_bum.cli.export_user.json_array import JsonArray
from synapse_bum.homeserver.database_snapshot import Snapshot
from synapse_bum.homeserver.personal_events import ENCRYPTED, PersonalRoom, events_of, rooms_of

_MESSAGE = "m.room.message"


def write_rooms(
    destination: Destination, snapshot: Snapshot, user_id: str, numbers: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Write `data/rooms.json`, and `rooms/N.json` and `rooms/N.html` for each room with something of the person.

    Args:
        destination: of the export.
        snapshot: of the homeserver's database.
        user_id: of the person.
        numbers: of files, by their addresses.

    Returns:
        The elements of `data/rooms.json`.
    """
    destination.folder("rooms")
    written: list[dict[str, Any]] = []
    with JsonArray(destination.text("data/rooms.json")) as array:
        for number, room in enumerate(rooms_of(snapshot, user_id), 1):
            entry = _write_room(destination, snapshot, user_id, room, number, numbers)
            array.add(entry)
            written.append(entry)
    return written


def _write_room(
    destination: Destination,
    snapshot: Snapshot,
    user_id: str,
    room: PersonalRoom,
    number: int,
    numbers: Mapping[str, int],
) -> dict[str, Any]:
    path = f"rooms/{number:05}"
    counts = {"messages": 0, "encrypted_messages": 0, "other_events": 0}
    title = f"Nachrichten in {room.name or room.canonical_alias or room.room_id}"
    with JsonArray(destination.text(f"{path}.json")) as array, destination.text(f"{path}.html") as page:
        page.write(pages.head(title))
        for event in events_of(snapshot, room.room_id, user_id):
            array.add(event)
            page.write(pages.event(event, numbers))
            kind = event.get("type")
            counts["messages" if kind in {_MESSAGE, ENCRYPTED} else "other_events"] += 1
            counts["encrypted_messages"] += kind == ENCRYPTED
        page.write(pages.foot())
    return {
        "room_id": room.room_id,
        "name": room.name,
        "canonical_alias": room.canonical_alias,
        "topic": room.topic,
        "encrypted": room.encrypted,
        "is_space": room.is_space,
        "membership": room.membership,
        **counts,
        "events": f"{path}.json",
        "page": f"{path}.html",
    }
