"""Finding the events of one user that name a file, and what is still in force of them.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: tables `events`, `event_json`, `room_memberships`, `current_state_events`
and `users`.
"""

from typing import Final

import attr
from synapse.storage.database import LoggingTransaction

_CHUNK: Final = 500
"""Events in one query: SQLite takes at most 999 parameters before 3.32."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Found:
    """What one page of a room's events holds.

    Attributes:
        event_ids: those of the sender that have the text somewhere in them.
        last: where the next page begins; None behind the last one.
    """

    event_ids: tuple[str, ...]
    last: tuple[int, str] | None


def rooms_of(txn: LoggingTransaction, user_id: str) -> list[str]:
    """All rooms in which a user ever was or was invited to; a range of the index on `room_memberships.user_id`."""
    txn.execute("SELECT DISTINCT room_id FROM room_memberships WHERE user_id = ? ORDER BY room_id", (user_id,))
    return [room_id for (room_id,) in txn.fetchall()]


def sets_own_times(txn: LoggingTransaction, user_id: str) -> bool:
    """Whether a user's events may claim any time: those of application services may. By the unique index on name."""
    txn.execute("SELECT 1 FROM users WHERE name = ? AND COALESCE(appservice_id, '') <> ''", (user_id,))
    return txn.fetchone() is not None


def events_with_text(
    txn: LoggingTransaction, room_id: str, sender: str, text: str, *, after: tuple[int, str], limit: int
) -> Found:
    """Look through a page of a room's events for some text.

    A range of the index on (room_id, origin_server_ts), `limit` rows; `event_json` by its unique index for the sender's
    own events among them only.

    Args:
        txn: a transaction.
        room_id: of the room.
        sender: whose events.
        text: without characters that JSON escapes; case counts.
        after: time (ms since the epoch) and event id behind which the page begins.
        limit: events of anybody in one page.
    """
    txn.execute(
        "SELECT event_id, sender, origin_server_ts FROM events WHERE room_id = ? AND NOT outlier"
        " AND origin_server_ts >= ? AND (origin_server_ts, event_id) > (?, ?)"
        " ORDER BY origin_server_ts, event_id LIMIT ?",
        (room_id, after[0], *after, limit),
    )
    page = txn.fetchall()
    own = [event_id for event_id, by, _ts in page if by == sender]
    found: list[str] = []
    for start in range(0, len(own), _CHUNK):
        chunk = own[start : start + _CHUNK]
        places = ", ".join("?" * len(chunk))
        txn.execute(f"SELECT event_id, json FROM event_json WHERE event_id IN ({places})", chunk)  # noqa: S608
        found += [event_id for event_id, json in txn.fetchall() if text in json]
    last = (page[-1][2], page[-1][0]) if len(page) == limit else None
    return Found(tuple(found), last)


def is_current_state(txn: LoggingTransaction, event_id: str) -> bool:
    """Whether a state event is in force, by the unique index on its id."""
    txn.execute("SELECT 1 FROM current_state_events WHERE event_id = ?", (event_id,))
    return txn.fetchone() is not None
