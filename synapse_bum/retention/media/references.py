"""Which files profiles, room state and account data refer to in a way that protects them. Pure.

Sources: client-server API, "Profiles", "m.room.member", "m.room.avatar"; MSC2545 for image packs, by all names that its
revisions and clients use. Any other key protects nothing: whoever may write account data could keep every file for
ever. All input is what anybody may have sent: nothing in it raises, and what is no `mxc://` URI refers to nothing.
"""

import json
from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import islice
from typing import Any, Final, TypeAlias

from synapse_bum.identifiers import is_media_id, is_server_name

FileName: TypeAlias = tuple[str, str]
"""Server name and media id of an mxc URI."""

MEMBER: Final = "m.room.member"
ROOM_AVATAR: Final = "m.room.avatar"
ROOM_PACKS: Final = frozenset({"m.room.image_pack", "m.image_pack", "im.ponies.room_emotes"})
"""Types of state events that hold an image pack of a room."""

USER_PACKS: Final = frozenset({"m.image_pack", "im.ponies.user_emotes"})
"""Types of global account data that hold an image pack of a user."""

MOST_REFERENCES: Final = 5_000
"""Files that one state event or entry of account data can refer to; an event of 64 KiB has no room for so many."""

_SCHEME: Final = "mxc://"


class Kind(Enum):
    """In which way a file is referred to; the values are stored."""

    PROFILE = "profile"
    """Avatar of a user of this server, in his profile."""
    MEMBER = "member"
    """Avatar of a member, as his rooms show it."""
    ROOM_AVATAR = "room_avatar"
    ROOM_PACK = "room_pack"
    USER_PACK = "user_pack"

    @property
    def is_avatar(self) -> bool:
        """Whether it is an avatar; otherwise it is an image of a pack."""
        return self in {Kind.PROFILE, Kind.MEMBER, Kind.ROOM_AVATAR}

    @classmethod
    def of_state(cls, event_type: str) -> "Kind":
        """Which kind a state event has that is no membership.

        Args:
            event_type: `m.room.avatar`, or one of `ROOM_PACKS`.
        """
        return cls.ROOM_AVATAR if event_type == ROOM_AVATAR else cls.ROOM_PACK


def file_of_uri(uri: object) -> FileName | None:
    """Reads an mxc URI; a fragment, which old clients append to avatars, is no part of the name.

    Returns:
        Server name and media id; None for anything else.
    """
    if not isinstance(uri, str) or not uri.startswith(_SCHEME):
        return None
    server_name, _slash, media_id = uri.removeprefix(_SCHEME).partition("#")[0].partition("/")
    return (server_name, media_id) if is_server_name(server_name) and is_media_id(media_id) else None


def uri_of_file(server_name: str, media_id: str) -> str:
    """The mxc URI of a file."""
    return f"{_SCHEME}{server_name}/{media_id}"


def files_of_state(event_type: str, content: object) -> frozenset[FileName]:
    """The files that a state event refers to.

    Args:
        event_type: `m.room.avatar`, or one of `ROOM_PACKS`.
        content: of the event.
    """
    return files_of_room_avatar(content) if event_type == ROOM_AVATAR else files_of_pack(content)


def files_of_room_avatar(content: object) -> frozenset[FileName]:
    """The file of `m.room.avatar`, without the smaller picture that its `info` may name: clients show the file."""
    return _files(iter([_mapping(content).get("url")]))


def files_of_pack(content: object) -> frozenset[FileName]:
    """The images of an image pack, and the picture that stands for it."""
    return _files(_uris_of_pack(_mapping(content)))


def parsed(text: object) -> object:
    """Reads JSON out of the database; None when it is none."""
    if not isinstance(text, str | bytes):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def sender_and_content(text: object) -> tuple[str, object]:
    """Reads the sender and the content of an event as it is stored; an empty sender when there is none."""
    event = _mapping(parsed(text))
    sender = event.get("sender")
    return (sender if isinstance(sender, str) else ""), event.get("content")


def _uris_of_pack(content: Mapping[str, Any]) -> Iterator[object]:
    yield _mapping(content.get("pack")).get("avatar_url")
    for image in _mapping(content.get("images")).values():
        yield _mapping(image).get("url")


def _files(uris: Iterator[object]) -> frozenset[FileName]:
    named = map(file_of_uri, islice(uris, MOST_REFERENCES))
    return frozenset(file for file in named if file is not None)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
