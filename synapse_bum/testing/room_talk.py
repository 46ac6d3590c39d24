"""What people do in rooms, as a test says it: each call is one request of a client, or a page of what it sees."""

import time
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from synapse_bum.testing.http_client import HttpClient, Json, MatrixClient, Response

CLIENT: Final = "/_matrix/client/v3"
ROOM_VERSION: Final = "10"
"""Known to all versions of Synapse that are tested, so that old and new ones can share a room."""

_PAGE: Final = 100


def ok(answer: Response) -> Response:
    """Return an answer that is a 200.

    Raises:
        AssertionError: it is another one.
    """
    assert answer.status == HTTPStatus.OK, (answer.status, answer.body)
    return answer


def room_path(room_id: str, *more: str) -> str:
    """Path of a room, or of something below it; each part is escaped."""
    return "/".join([f"{CLIENT}/rooms", *(quote(part, safe="") for part in (room_id, *more))])


def new_room(owner: MatrixClient, *invited: str, **options: Any) -> str:  # noqa: ANN401 - of createRoom
    """Create a room and return its id.

    Args:
        owner: who creates it.
        *invited: user ids.
        **options: of the request.
    """
    created = owner.create_room(room_version=ROOM_VERSION, invite=list(invited), **options)
    room_id: str = ok(created).json["room_id"]
    return room_id


def join(user: MatrixClient, room_id: str, via: str) -> bool:
    """Join a room through a server that is in it; returns whether that was possible."""
    path = f"{CLIENT}/join/{quote(room_id, safe='')}?server_name={via}&via={via}"
    return user.post(path, {}).status == HTTPStatus.OK


def say(user: MatrixClient, room_id: str, event_type: str = "m.room.message", **content: Json) -> str:
    """Send an event, a text unless told otherwise, and return its id."""
    sent = user.send(room_id, event_type, {"msgtype": "m.text", **content}, f"{time.monotonic_ns()}")
    event_id: str = ok(sent).json["event_id"]
    return event_id


def events(user: HttpClient, room_id: str) -> dict[str, Json]:
    """The newest events of a room, by id."""
    chunk = ok(user.get(room_path(room_id, "messages"), dir="b", limit=_PAGE)).json["chunk"]
    return {event["event_id"]: event for event in chunk}


def bodies(user: HttpClient, room_id: str) -> set[str]:
    """The texts of the newest messages of a room."""
    return {event["content"].get("body", "") for event in events(user, room_id).values()}


def texts_among(user: HttpClient, room_id: str, wanted: set[str]) -> set[str]:
    """Which of these texts a member finds in a room, page by page into the past."""
    found: set[str] = set()
    query: dict[str, str | int] = {"dir": "b", "limit": _PAGE}
    while True:
        page = ok(user.get(room_path(room_id, "messages"), **query)).json
        found |= {event["content"].get("body", "") for event in page["chunk"]} & wanted
        if found == wanted or "end" not in page:
            return found
        query["from"] = page["end"]
