"""The tables of registered users. Queries stand in `registered_users.py`; each says which index it uses."""

from typing import Final

from synapse_bum.database import Component, Migration

USERS: Final = Component(
    "storage_users",
    (
        Migration.both(
            1,
            # From when until when somebody was registered, both ends included. Who is registered now has no end, and
            # one such row. Who is locked or unlocked begins a new row, so that a past month keeps its numbers.
            "CREATE TABLE synapse_bum_storage_users (user_id TEXT NOT NULL, locked INTEGER NOT NULL,"
            " from_ts BIGINT NOT NULL, until_ts BIGINT)",
            "CREATE UNIQUE INDEX synapse_bum_storage_users_now ON synapse_bum_storage_users (user_id)"
            " WHERE until_ts IS NULL",
            "CREATE INDEX synapse_bum_storage_users_of ON synapse_bum_storage_users (user_id, until_ts)",
            # Since when and until when users have been counted, and by which list of exceptions the last time.
            "CREATE TABLE synapse_bum_storage_users_count ("
            " only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), since_ts BIGINT NOT NULL,"
            " counted_ts BIGINT NOT NULL, exclude TEXT NOT NULL)",
        ),
    ),
)
