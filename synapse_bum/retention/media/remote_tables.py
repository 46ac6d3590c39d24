"""The tables of remote media by age. Queries stand in `remote_index.py`; each says which index it uses."""

from typing import Final

from synapse_bum.database import Component, Migration

REMOTE_MEDIA: Final = Component(
    "retention_remote_media",
    (
        Migration.both(
            1,
            # When which remote file came here: Synapse's own table has no index on it. Only a hint where to look.
            "CREATE TABLE synapse_bum_retention_remote_media (media_origin TEXT NOT NULL, media_id TEXT NOT NULL,"
            " created_ts BIGINT NOT NULL, PRIMARY KEY (media_origin, media_id))",
            "CREATE INDEX synapse_bum_retention_remote_media_age ON synapse_bum_retention_remote_media (created_ts)",
            # How far the walk over Synapse's table has come; begun_ts is null between two passes.
            "CREATE TABLE synapse_bum_retention_remote_walk ("
            " only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), media_origin TEXT NOT NULL,"
            " media_id TEXT NOT NULL, pages INTEGER NOT NULL, begun_ts BIGINT, completed_ts BIGINT,"
            " completed_pages INTEGER NOT NULL)",
            "INSERT INTO synapse_bum_retention_remote_walk VALUES (1, '', '', 0, NULL, NULL, 0)",
        ),
    ),
)
