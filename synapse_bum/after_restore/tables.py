"""The tables of the recovery log. Queries stand in `owed.py`, `seen.py` and `position.py`; each names its index."""

from typing import Final

from synapse_bum.database import Component, Migration

_OWED: Final = (
    " line_id TEXT NOT NULL, source TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, ts BIGINT NOT NULL)"
)
_FOLLOWING: Final = (
    # What was last told of each thing: what differs from it is told next. See `seen.py`.
    (
        "CREATE TABLE synapse_bum_recovery_seen (source TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL,"
        " PRIMARY KEY (source, key))"
    ),
    # How far the file is known, and for each source up to which line it was brought up to date. See `position.py`.
    (
        "CREATE TABLE synapse_bum_recovery_log (only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),"
        " last_seq BIGINT NOT NULL, known_bytes BIGINT NOT NULL, fingerprint TEXT NOT NULL)"
    ),
    "CREATE TABLE synapse_bum_recovery_sources (source TEXT NOT NULL PRIMARY KEY, known_seq BIGINT NOT NULL)",
)

AFTER_RESTORE: Final = Component(
    "after_restore",
    (
        Migration(
            1,
            sqlite=(
                f"CREATE TABLE synapse_bum_recovery_owed (id INTEGER PRIMARY KEY AUTOINCREMENT,{_OWED}",
                *_FOLLOWING,
            ),
            postgres=(
                (f"CREATE TABLE synapse_bum_recovery_owed (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,{_OWED}"),
                *_FOLLOWING,
            ),
        ),
        Migration.both(
            2,
            # Which line the last one was; and how often the writer found file and database to agree.
            "ALTER TABLE synapse_bum_recovery_log ADD COLUMN last_line_id TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE synapse_bum_recovery_log ADD COLUMN agreed_count BIGINT NOT NULL DEFAULT 0",
        ),
    ),
)
