"""The tables of the recovery module: what is to be finished after a restore, and what Synapse itself deletes.

The latter is `deleted_files.py`'s, the former `owed.py`'s.
"""

from typing import Final

from synapse_bum.database import Component, Migration

RECOVERY: Final = Component(
    "recovery",
    (
        Migration.both(
            1,
            "CREATE TABLE synapse_bum_recovery_tidying (user_id TEXT NOT NULL PRIMARY KEY, erase INTEGER NOT NULL)",
            "CREATE TABLE synapse_bum_recovery_deleted_files (server_name TEXT NOT NULL, media_id TEXT NOT NULL,"
            " noted_ts BIGINT NOT NULL, PRIMARY KEY (server_name, media_id))",
        ),
        Migration.both(
            2,
            # Whom nobody has told yet that a device is gone.
            "CREATE TABLE synapse_bum_recovery_devices (user_id TEXT NOT NULL, device_id TEXT NOT NULL,"
            " PRIMARY KEY (user_id, device_id))",
            # Who has to leave a room, or is to be banned from it by whom.
            "CREATE TABLE synapse_bum_recovery_memberships (room_id TEXT NOT NULL, user_id TEXT NOT NULL,"
            " membership TEXT NOT NULL, set_by TEXT NOT NULL, PRIMARY KEY (room_id, user_id))",
            # What goes once nobody holds it any more; of events the text that was taken away.
            "CREATE TABLE synapse_bum_recovery_held_rooms (room_id TEXT NOT NULL PRIMARY KEY)",
            "CREATE TABLE synapse_bum_recovery_held_events (event_id TEXT NOT NULL PRIMARY KEY, room_id TEXT NOT NULL,"
            " sender TEXT NOT NULL, json TEXT NOT NULL)",
        ),
    ),
)
