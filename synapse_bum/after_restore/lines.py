"""The lines of the recovery log: what one says, and reading it again. Pure.

A line is a JSON object (RFC 8259, ASCII) that ends with a newline. It says in which state a thing was left: an account,
a session, a partner. It holds no password, no token, no content; of a password it holds a digest of the salt of its
hash. Lines are numbered without gaps, so that a missing part is noticed. A file that another one was rotated away from
begins with a line that says where that ended, so that it is none that somebody has emptied.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import attr

from synapse_bum.reading.torn_json import ends_too_early

State: TypeAlias = Mapping[str, Any] | None
"""What is logged of a thing; None when it is gone."""

_MAX_INT: Final = 2**53


class DamagedLineError(ValueError):
    """A line of the log can't be believed; the text says how, without the line itself."""


class TornLineError(ValueError):
    """A line ends in its midst: the machine stopped while it was written, so it was never relied on."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        seq: counts the lines of a log from 1.
        line_id: of this line alone, also after the database was restored and counts the same numbers again.
        ts: when the change was seen, ms since the epoch.
        server: name of the homeserver.
        source: which of the sources wrote it.
        key: of the thing, for example a user id.
        state: in which it was left.
    """

    seq: int
    line_id: str
    ts: int
    server: str
    source: str
    key: str
    state: State

    def encoded(self) -> bytes:
        """The line as it stands in the log, newline included."""
        fields = {
            "seq": self.seq,
            "id": self.line_id,
            "ts": self.ts,
            "server": self.server,
            "source": self.source,
            "key": self.key,
            "state": self.state,
        }
        return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode() + b"\n"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Beginning:
    """The first line of a file that another one was rotated away from, or lost.

    Attributes:
        after: number of the last line before it.
        after_id: id of that line; empty where that is not known.
        server: name of the homeserver.
    """

    after: int
    after_id: str
    server: str

    def encoded(self) -> bytes:
        """The line as it stands in the log, with a newline on both sides: what it is joined to may be torn."""
        fields = {"after": self.after, "id": self.after_id, "server": self.server}
        return b"\n" + json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def read_line(raw: bytes) -> Line | Beginning:
    """Read one line, without its newline.

    Raises:
        TornLineError: it ends in its midst.
        DamagedLineError: it is something else than a line of this log.
    """
    try:
        fields = json.loads(raw)
    except json.JSONDecodeError as error:
        if ends_too_early(raw, error):
            raise TornLineError("it ends in its midst") from None
        raise DamagedLineError("it is no JSON") from None
    except (ValueError, RecursionError):
        raise DamagedLineError("it is no JSON") from None
    if not isinstance(fields, dict):
        raise DamagedLineError("it is no JSON object")
    if "after" in fields and "seq" not in fields:
        return Beginning(_number(fields, "after"), _text(fields, "id"), _text(fields, "server"))
    state = fields.get("state")
    if "state" not in fields or not (state is None or isinstance(state, dict)):
        raise DamagedLineError("its `state` is none")
    return Line(
        seq=_number(fields, "seq"),
        line_id=_text(fields, "id"),
        ts=_number(fields, "ts"),
        server=_text(fields, "server"),
        source=_text(fields, "source"),
        key=_text(fields, "key"),
        state=state,
    )


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise DamagedLineError(f"its `{name}` is no text")
    return value


def _number(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MAX_INT:
        raise DamagedLineError(f"its `{name}` is no number")
    return value
