"""The tables of the ledger. Queries stand in `book.py`, `uploaders.py` and `watched.py`; each says what it costs."""

from typing import Final

from synapse_bum.database import Component, Migration

_SHARE: Final = "files BIGINT NOT NULL, file_bytes BIGINT NOT NULL, thumbnail_bytes BIGINT NOT NULL"
_SHARES: Final = ", ".join(
    f"{part}_{number} BIGINT NOT NULL"
    for part in ("local", "remote", "recent_local", "recent_remote")
    for number in ("files", "file_bytes", "thumbnail_bytes")
)

LEDGER: Final = Component(
    "storage_ledger",
    (
        Migration.both(
            1,
            # One row once something was counted: what is stored of files that came until settled_ts, and of later ones.
            "CREATE TABLE synapse_bum_storage_ledger (only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),"
            " settled_ts BIGINT NOT NULL, as_of_ts BIGINT NOT NULL, recounted_ts BIGINT NOT NULL, period INTEGER,"
            f" {_SHARES}, drift_local BIGINT, drift_remote BIGINT, drift_thumbnails BIGINT)",
            # The same by uploader; '' stands for nobody. Uploaders of whom nothing is stored have no row.
            f"CREATE TABLE synapse_bum_storage_uploaders (user_id TEXT NOT NULL PRIMARY KEY, {_SHARE})",
            f"CREATE TABLE synapse_bum_storage_recent (user_id TEXT NOT NULL PRIMARY KEY, {_SHARE})",
            # Files whose share of what is settled may change, with what it is now: see `settling.py`.
            "CREATE TABLE synapse_bum_storage_watched (media_origin TEXT NOT NULL, media_id TEXT NOT NULL,"
            f" created_ts BIGINT NOT NULL, uploader TEXT NOT NULL, {_SHARE}, until_ts BIGINT NOT NULL,"
            " PRIMARY KEY (media_origin, media_id, created_ts))",
            # Which copies of files of other servers came lately: Synapse's table has no index on the time.
            "CREATE TABLE synapse_bum_storage_arrivals (media_origin TEXT NOT NULL, media_id TEXT NOT NULL,"
            " created_ts BIGINT NOT NULL, PRIMARY KEY (media_origin, media_id, created_ts))",
        ),
    ),
)
