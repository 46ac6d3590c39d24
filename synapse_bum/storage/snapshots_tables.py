"""The table of daily snapshots. Queries stand in `snapshots.py`; each says which index it uses."""

from typing import Final

from synapse_bum.database import Component, Migration

SNAPSHOTS: Final = Component(
    "storage_snapshots",
    (
        Migration.both(
            1,
            # One row a day, the day as ISO 8601 writes it: the order of the texts is that of the days.
            "CREATE TABLE synapse_bum_storage_snapshots (day TEXT NOT NULL PRIMARY KEY, ts BIGINT NOT NULL,"
            " users INTEGER NOT NULL, locked_users INTEGER NOT NULL, local_files BIGINT NOT NULL,"
            " local_bytes BIGINT NOT NULL, local_thumbnail_bytes BIGINT NOT NULL, remote_files BIGINT NOT NULL,"
            " remote_bytes BIGINT NOT NULL, remote_thumbnail_bytes BIGINT NOT NULL, used_bytes BIGINT NOT NULL,"
            " included_bytes BIGINT NOT NULL, gigabyte BIGINT NOT NULL)",
        ),
    ),
)
