"""The tables by which messages are found again and remembered; queries stand in `candidates.py` and `room_purge.py`."""

from typing import Final

from synapse_bum.database import Component, Migration

EMPTIED: Final = "synapse_bum_retention_expired_events"
"""The messages that are expired but stand where they can't be purged: without content, and counted already."""

MESSAGES: Final = Component(
    "retention_messages",
    (
        Migration.both(
            1,
            # Rooms with messages to delete, now or when the cut-off has come to the oldest of them.
            "CREATE TABLE synapse_bum_retention_message_rooms ("
            " room_id TEXT NOT NULL PRIMARY KEY, oldest_ts BIGINT NOT NULL)",
            "CREATE INDEX synapse_bum_retention_message_rooms_due"
            " ON synapse_bum_retention_message_rooms (oldest_ts, room_id)",
            # How far the discovery has come, and when something was done last: a few rows.
            "CREATE TABLE synapse_bum_retention_message_marks (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)",
            f"CREATE TABLE {EMPTIED} (room_id TEXT NOT NULL, event_id TEXT NOT NULL, stream_ordering BIGINT NOT NULL,"
            " PRIMARY KEY (room_id, event_id))",
            # Rooms that nobody here is in any more and that may be removed.
            "CREATE TABLE synapse_bum_retention_left_rooms ("
            " room_id TEXT NOT NULL PRIMARY KEY, removing INTEGER NOT NULL DEFAULT 0)",
        ),
    ),
)
