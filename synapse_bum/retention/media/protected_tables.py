"""The tables of what protects files. Queries stand in `protected_store.py` and `protection_progress.py`."""

from typing import Final

from synapse_bum.database import Component, Migration

PROTECTED: Final = Component(
    "retention_protected",
    (
        Migration.both(
            1,
            # A row for each file that a source refers to. `kind` and `source` tell the source: the owner of a profile,
            # a member, a state event (a digest of its place) or an entry of account data. `user_id` is who answers for
            # it with his allowance. `protects` is 1 for a local file within that allowance.
            (
                "CREATE TABLE synapse_bum_retention_protected ("
                " kind TEXT NOT NULL, source TEXT NOT NULL, user_id TEXT NOT NULL, server_name TEXT NOT NULL,"
                " media_id TEXT NOT NULL, protects INTEGER NOT NULL DEFAULT 0, generation BIGINT NOT NULL,"
                " PRIMARY KEY (kind, source, user_id, server_name, media_id))"
            ),
            (
                "CREATE INDEX synapse_bum_retention_protected_file"
                " ON synapse_bum_retention_protected (server_name, media_id)"
            ),
            (
                "CREATE INDEX synapse_bum_retention_protected_user"
                " ON synapse_bum_retention_protected (server_name, user_id)"
            ),
            # One row: how far these are read, and up to which changes they are right.
            (
                "CREATE TABLE synapse_bum_retention_protection ("
                " only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), generation BIGINT NOT NULL,"
                " step TEXT, after_key TEXT NOT NULL, state_position BIGINT NOT NULL,"
                " account_data_position BIGINT NOT NULL, complete_ts BIGINT, rules TEXT NOT NULL)"
            ),
            "INSERT INTO synapse_bum_retention_protection VALUES (1, 0, NULL, '[]', 0, 0, NULL, '')",
        ),
    ),
)
