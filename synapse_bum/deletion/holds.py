"""Holds: files of a user, or of a room, that nothing may delete until a day that is always named.

A hold counts when a deletion is planned. One that was planned before goes on: its file is hidden from everybody already
and may be gone.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.identifiers import is_room_id, is_user_id

_COLUMNS: Final = "target, reason, until_ts, created_by, created_ts"
# By primary key: one row for each target.
_PUT: Final = (
    f"INSERT INTO synapse_bum_holds ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
    " ON CONFLICT (target) DO UPDATE SET reason = excluded.reason, until_ts = excluded.until_ts,"
    " created_by = excluded.created_by, created_ts = excluded.created_ts"
)
_GET: Final = f"SELECT {_COLUMNS} FROM synapse_bum_holds WHERE target = ?"  # noqa: S608
_DELETE: Final = "DELETE FROM synapse_bum_holds WHERE target = ?"
# Along the primary key; there are as many rows as people have set holds.
_LIST: Final = f"SELECT {_COLUMNS} FROM synapse_bum_holds ORDER BY target LIMIT ? OFFSET ?"  # noqa: S608
_COUNT: Final = "SELECT count(*) FROM synapse_bum_holds"

_CHUNK: Final = 500
"""Targets in one query: SQLite takes at most 999 parameters before 3.32."""


def _room_or_user(_hold: object, _attribute: object, target: str) -> None:
    if not is_user_id(target) and not is_room_id(target):
        raise ValueError(f"a hold is on a room id or a user id, not on {target!r}")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Hold:
    """One hold.

    Attributes:
        target: room id or user id. A user's hold is on what he has uploaded, a room's on what is known to be used
            there.
        reason: why, in the words of whoever set it.
        until_ts: when it ends, in ms since the epoch; at this very moment it holds no more.
        created_by: user id of who set it.
        created_ts: when, in ms since the epoch.
    """

    target: str = attr.ib(validator=_room_or_user)
    reason: str
    until_ts: int
    created_by: str
    created_ts: int

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return attr.asdict(self)


def is_held(holds: Iterable[Hold], targets: Collection[str], now_ms: int) -> Hold | None:
    """Whether something with these owners and rooms must stay.

    Args:
        holds: all that may matter.
        targets: the uploader, and the rooms in which the file is known to be used.
        now_ms: ms since the epoch.

    Returns:
        The hold that lasts longest; None when nothing holds it.
    """
    in_force = [hold for hold in holds if hold.target in targets and hold.until_ts > now_ms]
    return max(in_force, key=lambda hold: (hold.until_ts, hold.target), default=None)


def holds_on(txn: Cursor, targets: Sequence[str]) -> Iterator[Hold]:
    """Reads the holds on some targets, those that have ended included."""
    for start in range(0, len(targets), _CHUNK):
        chunk = targets[start : start + _CHUNK]
        places = ", ".join("?" * len(chunk))
        txn.execute(f"SELECT {_COLUMNS} FROM synapse_bum_holds WHERE target IN ({places})", chunk)  # noqa: S608
        yield from [Hold(*row) for row in txn.fetchall()]


def put_hold(txn: Cursor, hold: Hold) -> None:
    """Sets a hold, in the place of the one that this target may have."""
    txn.execute(_PUT, attr.astuple(hold))


def get_hold(txn: Cursor, target: str) -> Hold | None:
    """Reads one hold, also when it has ended; None when nobody set one."""
    txn.execute(_GET, (target,))
    row = txn.fetchone()
    return None if row is None else Hold(*row)


def list_holds(txn: Cursor, offset: int, limit: int) -> tuple[list[Hold], int]:
    """Reads a page of holds, ordered by target, those that have ended included.

    Returns:
        The page, and how many holds there are in all.
    """
    txn.execute(_COUNT)
    counted = txn.fetchone()
    txn.execute(_LIST, (limit, offset))
    return [Hold(*row) for row in txn.fetchall()], counted[0] if counted else 0


def delete_hold(txn: Cursor, target: str) -> bool:
    """Lifts a hold.

    Returns:
        Whether there was one.
    """
    txn.execute(_DELETE, (target,))
    return txn.rowcount == 1
