"""The chain of audit rows: each carries the hash of the one before, so no row can change, vanish or come in unseen.

Pure. The chain shows tampering to everybody who knows a later hash. Whoever can write the whole database could compute
all hashes anew; the hash also stands in the log line of each row, which belongs on another machine.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attr

START_HASH: Final = ""
"""What the first row of all carries as the hash before it."""

Detail = str | Mapping[str, Any] | None
"""A state before or after: a word or an object with JSON values."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Entry:
    """Something that was done. It holds no file key, plaintext, message text, token or password.

    Attributes:
        ts: when, in ms since the epoch.
        actor: who: a user id, or the name of a job such as `antivirus.rescan`.
        action: what, for example `antivirus.release`; a fixed set of words.
        target: to what: an mxc URI, a server name, a user or room id, a run.
        old: its state before; None when there was none.
        new: its state afterwards; None when there is none.
        reason: why, in the words of whoever did it; None for a job that follows the configuration.
    """

    ts: int
    actor: str
    action: str
    target: str
    old: Detail = None
    new: Detail = None
    reason: str | None = None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Row:
    """An entry as it is stored.

    Attributes:
        id: counts from 1 without gaps.
        old: JSON text.
        new: JSON text.
        prev_hash: of the row before, `START_HASH` for the first.
        hash: SHA-256 over all other fields, hexadecimal.
    """

    id: int
    ts: int
    actor: str
    action: str
    target: str
    old: str | None
    new: str | None
    reason: str | None
    prev_hash: str
    hash: str

    def as_json(self) -> dict[str, Any]:
        """Returns the row as the API shows it."""
        return {
            "ts": self.ts,
            "actor": self.actor,
            "action": self.action,
            "target": self.target,
            "old": None if self.old is None else json.loads(self.old),
            "new": None if self.new is None else json.loads(self.new),
            "reason": self.reason,
            "hash": self.hash,
        }


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Head:
    """Both ends of the chain.

    Attributes:
        id: of the newest row, 0 when there was none yet.
        hash: of the newest row.
        dropped_id: of the newest row that was dropped because of its age, 0 when none was.
        dropped_hash: of that row: what the oldest row that is left carries as the hash before it.
    """

    id: int
    hash: str
    dropped_id: int
    dropped_hash: str


def link(entry: Entry, row_id: int, prev_hash: str) -> Row:
    """Makes the row that follows another one.

    Args:
        entry: what was done.
        row_id: of the new row.
        prev_hash: of the row before.

    Raises:
        ValueError: a detail has a number that JSON lacks.
        TypeError: a detail is no JSON value.
    """
    row = Row(
        id=row_id,
        ts=entry.ts,
        actor=_storable(entry.actor),
        action=_storable(entry.action),
        target=_storable(entry.target),
        old=_detail(entry.old),
        new=_detail(entry.new),
        reason=None if entry.reason is None else _storable(entry.reason),
        prev_hash=prev_hash,
        hash="",
    )
    return attr.evolve(row, hash=hash_of(row))


def hash_of(row: Row) -> str:
    """Computes the hash that a row must carry."""
    fields = {name: value for name, value in attr.asdict(row).items() if name != "hash"}
    return hashlib.sha256(_canonical(fields).encode()).hexdigest()


def first_broken(head: Head, rows: Iterable[Row]) -> int | None:
    """Looks for the first place where the chain is not as it was written.

    Args:
        head: both ends.
        rows: all that are left, oldest first.

    Returns:
        the id of the first row that was changed, added or is missing; None when the chain is whole.
    """
    row_id, row_hash = head.dropped_id, head.dropped_hash
    for row in rows:
        if row.id != row_id + 1 or row.prev_hash != row_hash or row.hash != hash_of(row):
            return row_id + 1
        row_id, row_hash = row.id, row.hash
    if row_id > head.id:
        return head.id + 1
    if row_id < head.id:
        return row_id + 1
    return None if row_hash == head.hash else row_id


def _detail(detail: Detail) -> str | None:
    return None if detail is None else _storable(_canonical(detail))


def _canonical(value: object) -> str:
    plain = dict(value) if isinstance(value, Mapping) else value
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _storable(text: str) -> str:
    """Replaces what PostgreSQL can't store: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
