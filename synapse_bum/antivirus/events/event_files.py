"""Which files an event names in clear (client-server API, "Instant Messaging" and "Sticker Messages").

Pure. Only the places where clients look for a file count: its URI somewhere in a text is no attachment.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from synapse_bum.identifiers import is_media_id, is_server_name

FileName: TypeAlias = tuple[str, str]
"""Server name and media id of an mxc URI."""

ENCRYPTED_EVENT: Final = "m.room.encrypted"
"""What such an event carries, the server can't see."""

_SCHEME: Final = "mxc://"


def file_of_uri(uri: object) -> FileName | None:
    """Read an mxc URI.

    Returns:
        Server name and media id; None for anything else.
    """
    if not isinstance(uri, str) or not uri.startswith(_SCHEME):
        return None
    server_name, _slash, media_id = uri.removeprefix(_SCHEME).partition("/")
    return (server_name, media_id) if is_server_name(server_name) and is_media_id(media_id) else None


def files_in_clear(content: object) -> frozenset[FileName]:
    """The files and thumbnails of an event; those of an edit (`m.new_content`) too.

    Args:
        content: of the event, as anybody may have sent it.
    """
    event = _mapping(content)
    named = (file_of_uri(uri) for message in (event, _mapping(event.get("m.new_content"))) for uri in _uris(message))
    return frozenset(file for file in named if file is not None)


def replaced_event(content: object) -> str | None:
    """Which event this one is an edit of, also where it is encrypted (client-server API, "Event replacements")."""
    relation = _mapping(_mapping(content).get("m.relates_to"))
    replaced = relation.get("event_id")
    return replaced if relation.get("rel_type") == "m.replace" and isinstance(replaced, str) else None


def _uris(message: Mapping[str, Any]) -> Iterator[object]:
    info = _mapping(message.get("info"))
    yield message.get("url")
    yield _mapping(message.get("file")).get("url")
    yield info.get("thumbnail_url")
    yield _mapping(info.get("thumbnail_file")).get("url")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
