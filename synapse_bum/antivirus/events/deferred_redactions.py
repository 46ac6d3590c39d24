"""Files that a redaction deletes once no hold keeps them any more.

All that decides is written down when the redaction is worked off: Synapse forgets the content of a redacted event after
a week, and who administers the room may change.
"""

from typing import Final

import attr

from synapse_bum.antivirus.events.links import VouchedBy
from synapse_bum.database import Cursor

ASK_AGAIN_MS: Final = 3_600_000
"""How soon a hold that was lifted early, or a failure, is noticed."""

_COLUMNS: Final = "media_id, redacts, room_id, sender, redactor, is_room_admin, vouched_by"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Deferred:
    """A file of a redacted event that is on hold.

    Attributes:
        media_id: of a file of this server.
        redacts: id of the event that carried it.
        room_id: of the event.
        sender: of the event, who has uploaded the file.
        redactor: who has redacted it; user id.
        is_room_admin: whether he administered the room then.
        vouched_by: whose word it is that the event carried the file.
    """

    media_id: str
    redacts: str
    room_id: str
    sender: str
    redactor: str
    is_room_admin: bool
    vouched_by: VouchedBy


def defer(txn: Cursor, deferred: Deferred, until_ms: int, now_ms: int) -> None:
    """Have a file looked at when its hold ends, or in an hour, whatever comes first; by primary key."""
    row = (*attr.astuple(deferred)[:5], int(deferred.is_room_admin), deferred.vouched_by.value)
    txn.execute(
        f"INSERT INTO synapse_bum_antivirus_redactions_deferred ({_COLUMNS}, next_try_ts)"  # noqa: S608
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (media_id, redacts) DO UPDATE SET next_try_ts = excluded.next_try_ts",
        (*row, min(until_ms, now_ms + ASK_AGAIN_MS)),
    )


def due(txn: Cursor, now_ms: int, limit: int) -> list[Deferred]:
    """What may be tried, a range of the index on `next_try_ts`."""
    txn.execute(
        f"SELECT {_COLUMNS} FROM synapse_bum_antivirus_redactions_deferred"  # noqa: S608
        " WHERE next_try_ts <= ? ORDER BY next_try_ts LIMIT ?",
        (now_ms, limit),
    )
    return [
        Deferred(media_id, redacts, room_id, sender, redactor, bool(is_room_admin), VouchedBy(vouched_by))
        for media_id, redacts, room_id, sender, redactor, is_room_admin, vouched_by in txn.fetchall()
    ]


def settle(txn: Cursor, media_id: str, redacts: str) -> None:
    """It is decided, one way or the other; by primary key."""
    txn.execute(
        "DELETE FROM synapse_bum_antivirus_redactions_deferred WHERE media_id = ? AND redacts = ?",
        (media_id, redacts),
    )
