"""The lines of the deletion log: what one says, and reading it again. Pure.

A line is a JSON object (UTF-8, RFC 8259) that ends with a newline. It tells which class of data was deleted, when, by
whom, under which policy and how many bytes; never any content and no name that a user gave a file. The same line may
stand there twice after a crash, so readers take the last one of each `id`.

A file that another one was rotated away from begins with a line that says how that ended (`follows`), so that a part
that is missing between the two is noticed. An operator who has lost a part for good writes a line `lost` in its place.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import attr

from synapse_bum.deletion.journal import POLICY, After, Kind
from synapse_bum.deletion.log_file import Position
from synapse_bum.identifiers import is_media_id, is_server_name
from synapse_bum.reading.torn_json import ends_too_early

LOST: Final = b"lost"
"""The line by which an operator says that what stood before it is lost for good."""

_FILES: Final = frozenset(kind.value for kind in Kind)
_NO_FILES: Final = frozenset({"messages"})
_BEGINNING: Final = "log"


class UnreadableLineError(ValueError):
    """A line of the log is damaged; the text says how, without the line itself."""


class TornLineError(ValueError):
    """A line ends in its midst: the machine stopped while it was written, so it was never relied on."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Line:
    """One line to write, and which row it is about.

    Attributes:
        row_id: in the outbox that it comes from.
        done: whether it says that nothing is left; otherwise that the deletion was decided.
        fields: the JSON object.
    """

    row_id: int
    done: bool
    fields: Mapping[str, Any]

    def encoded(self) -> bytes:
        """The line as it stands in the log, newline included; ASCII, so that a torn one stays readable text."""
        return json.dumps(self.fields, separators=(",", ":"), allow_nan=False).encode() + b"\n"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class LoggedFile:
    """A file that the log says was deleted.

    Attributes:
        kind: of the file.
        server_name: where it was uploaded.
        media_id: as in the mxc URI.
        planned_ts: when that was decided, in ms since the epoch.
        policy: which rule deleted it.
        actor: who.
        reason: why, in his words.
        after: what Synapse's table was to hold afterwards.
    """

    kind: Kind
    server_name: str
    media_id: str
    planned_ts: int
    policy: str
    actor: str
    reason: str | None
    after: After


def beginning_line(own_name: str, known: Position, now_ms: int) -> bytes:
    """The first line of a file that another one was rotated away from, with a newline on both sides.

    Put behind the older part again, it must not run into a line that was never finished there.

    Args:
        own_name: our server's name.
        known: how that other one ended.
        now_ms: ms since the epoch.
    """
    follows = {"bytes": known.size, "sha256": known.fingerprint}
    fields = {"id": f"log-{now_ms}", "server": own_name, "kind": _BEGINNING, "follows": follows}
    return b"\n" + json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def read_beginning(raw: bytes) -> Position | None:
    """Read the first line of a file: how the one before it ended; None when it is another line."""
    try:
        fields = json.loads(raw)
        if fields["kind"] != _BEGINNING:
            return None
        size, fingerprint = fields["follows"]["bytes"], fields["follows"]["sha256"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    if not isinstance(size, int) or not isinstance(fingerprint, str):
        return None
    return Position(size, fingerprint)


def read_line(raw: bytes, own_name: str) -> LoggedFile | None:
    """Read one line.

    Args:
        raw: with or without its newline.
        own_name: our server's name; what another server has logged is none of our business.

    Returns:
        The deleted file; None for an empty line, another server's, and what is no file (purges of messages).

    Raises:
        TornLineError: it ends in its midst.
        UnreadableLineError: it is damaged.
    """
    raw = raw.strip()
    if not raw or raw == LOST:
        return None
    fields = _object(raw)
    name = _text(fields, "kind")
    if _text(fields, "server") != own_name or name in _NO_FILES:
        return None
    if name not in _FILES:
        raise UnreadableLineError("its `kind` is unknown")
    kind, after = Kind(name), _text(fields, "after")
    server_name, media_id = _mxc(_text(fields, "target"))
    if (kind is Kind.LOCAL_MEDIA) is not (server_name == own_name):
        raise UnreadableLineError("its `kind` does not belong to its `target`")
    if after not in {member.value for member in After} or (kind is Kind.LOCAL_MEDIA and after != After.DROP.value):
        raise UnreadableLineError("its `after` is unknown")
    if POLICY.fullmatch(_text(fields, "policy")) is None:
        raise UnreadableLineError("its `policy` is none")
    return LoggedFile(
        kind=kind,
        server_name=server_name,
        media_id=media_id,
        planned_ts=_time(fields, "planned_ts"),
        policy=fields["policy"],
        actor=_text(fields, "actor"),
        reason=_text(fields, "reason") if fields.get("reason") is not None else None,
        after=After(after),
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(raw)
    except json.JSONDecodeError as error:
        if ends_too_early(raw, error):
            raise TornLineError("it ends in its midst") from None
        raise UnreadableLineError("it is no JSON") from None
    except (ValueError, RecursionError):
        raise UnreadableLineError("it is no JSON") from None
    if not isinstance(fields, dict):
        raise UnreadableLineError("it is no JSON object")
    return fields


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not _is_storable(value):
        raise UnreadableLineError(f"its `{name}` is no text")
    return value


def _is_storable(text: str) -> bool:
    """PostgreSQL takes neither NUL nor lone surrogates."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _time(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise UnreadableLineError(f"its `{name}` is no time")
    return value


def _mxc(target: str) -> tuple[str, str]:
    scheme, _, path = target.partition("://")
    server_name, _, media_id = path.partition("/")
    if scheme != "mxc" or not is_server_name(server_name) or not is_media_id(media_id):
        raise UnreadableLineError("its `target` is no mxc URI")
    return server_name, media_id
