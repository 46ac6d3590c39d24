"""How much is expired and still there, also where the discovery has not been yet.

Three parts without anything in common: what lies above the mark along the stream; what lies below it in rooms that are
due; what was fetched from the past since the last run. So the cost is that of the backlog, after the first run.
"""

from typing import Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.deletion.holds import list_holds
from synapse_bum.homeserver import message_listing
from synapse_bum.homeserver.message_listing import Part
from synapse_bum.homeserver.sql_lists import marks
from synapse_bum.identifiers import is_room_id
from synapse_bum.retention.classes import SAMPLE, Backlog, Item
from synapse_bum.retention.messages.candidates import Mark, read_mark
from synapse_bum.retention.messages.discovery import read_forward, read_reach
from synapse_bum.retention.messages.tables import EMPTIED

_ALL_HOLDS: Final = 1_000_000


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Scope:
    parts: tuple[Part, ...]
    rooms: frozenset[str]
    users: frozenset[str]


def measure(txn: LoggingTransaction, cutoff_ts: int, now_ms: int) -> Backlog:
    """Count what is expired, held neither by room nor by sender.

    Args:
        txn: of `Database.run`.
        cutoff_ts: ms since the epoch.
        now_ms: for the holds.
    """
    scope = _scope(txn, cutoff_ts, now_ms)
    totals = [
        message_listing.total(
            txn, part, cutoff_ts, emptied=EMPTIED, without_rooms=scope.rooms, without_senders=scope.users
        )
        for part in scope.parts
    ]
    return Backlog(
        items=sum(found.count for found in totals),
        size_bytes=sum(found.size_bytes for found in totals),
        oldest_ts=min((found.oldest_ts for found in totals if found.oldest_ts is not None), default=None),
    )


def sample(txn: LoggingTransaction, cutoff_ts: int, now_ms: int) -> list[Item]:
    """The oldest of what `measure` counts."""
    scope = _scope(txn, cutoff_ts, now_ms)
    found = [
        Item(event_id, ts, size_bytes)
        for part in scope.parts
        for event_id, ts, size_bytes in message_listing.oldest(
            txn, part, cutoff_ts, SAMPLE, emptied=EMPTIED, without_rooms=scope.rooms, without_senders=scope.users
        )
    ]
    return sorted(found, key=lambda item: (item.ts, item.target))[:SAMPLE]


def _scope(txn: LoggingTransaction, cutoff_ts: int, now_ms: int) -> _Scope:
    # Without the lock of `holds_in_force`: nothing is deleted here, and who sets a hold must not wait for a long count.
    held = {hold.target for hold in list_holds(txn, 0, _ALL_HOLDS)[0] if hold.is_in_force(now_ms)}
    rooms = frozenset(filter(is_room_id, held))
    reach = read_reach(txn, cutoff_ts)
    forward, backward = read_forward(txn, reach), read_mark(txn, Mark.BACKWARD) or 0
    # A room that is held for years stays a candidate with all its events: it is left out before they are read.
    is_free = f" AND c.room_id NOT IN ({marks(len(rooms))})" if rooms else ""
    parts = (
        # A range of the unique index on stream_ordering: what became expired since the last run, and a day.
        Part("events AS e", "e.stream_ordering > ? AND e.stream_ordering <= ?", (forward, reach.upto)),
        # The candidates by (oldest_ts, room_id), their events by (room_id, stream_ordering).
        Part(
            "synapse_bum_retention_message_rooms AS c JOIN events AS e ON e.room_id = c.room_id",
            f"c.oldest_ts <= ? AND e.stream_ordering <= ?{is_free}",
            (cutoff_ts, forward, *rooms),
        ),
        # A range of the unique index on stream_ordering: what was fetched from the past since the last run.
        Part(
            "events AS e",
            "e.stream_ordering < ? AND NOT EXISTS (SELECT 1 FROM synapse_bum_retention_message_rooms AS c"
            " WHERE c.room_id = e.room_id AND c.oldest_ts <= ?)",
            (backward, cutoff_ts),
        ),
    )
    return _Scope(parts, rooms, frozenset(held - rooms))
