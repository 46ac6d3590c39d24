"""The tables of deletions, holds and the deletion log.

Queries stand in `journal.py`, `holds.py`, `file_outbox.py`, `log_position.py`, `held_again.py` and `tally.py`; each
says which index it uses.
"""

from typing import Final

from synapse_bum.database import Component, Migration

_COLUMNS: Final = (
    " kind TEXT NOT NULL, server_name TEXT NOT NULL, media_id TEXT NOT NULL, file_id TEXT NOT NULL,"
    " url_cache INTEGER NOT NULL, uploader TEXT, size_bytes BIGINT NOT NULL, thumbnail_bytes BIGINT NOT NULL,"
    " created_ts BIGINT NOT NULL, quarantined_by TEXT, policy TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT,"
    " leaves TEXT NOT NULL, state TEXT NOT NULL, planned_ts BIGINT NOT NULL, done_ts BIGINT,"
    " attempts INTEGER NOT NULL DEFAULT 0, next_try_ts BIGINT NOT NULL, error TEXT)"
)
_FOLLOWING: Final = (
    # One open deletion for each file; also finds it. Open rows are few: what the last seconds planned, and what fails.
    # A remote file that was fetched anew has another name on disk, and is another file.
    (
        "CREATE UNIQUE INDEX synapse_bum_deletions_open ON synapse_bum_deletions (kind, server_name, media_id, file_id)"
        " WHERE state <> 'dropped'"
    ),
    "CREATE INDEX synapse_bum_deletions_due ON synapse_bum_deletions (next_try_ts, id) WHERE state <> 'dropped'",
    "CREATE INDEX synapse_bum_deletions_planned ON synapse_bum_deletions (planned_ts, id)",
    (
        "CREATE TABLE synapse_bum_holds (target TEXT NOT NULL PRIMARY KEY, reason TEXT NOT NULL,"
        " until_ts BIGINT NOT NULL, created_by TEXT NOT NULL, created_ts BIGINT NOT NULL)"
    ),
)

OWED_TO_LOG: Final = "(logged = 0 OR (logged = 1 AND state = 'dropped'))"
"""Rows of the journal that still have to be written to the deletion log, in the words of their index.

`logged` counts the lines that were written: 1 once the deletion was decided, 2 once nothing was left. Only where a log
is kept are rows owed to it: while `synapse_bum_deletion_log` has its row.
"""

_FOR_THE_LOG: Final = (
    "ALTER TABLE synapse_bum_deletions ADD COLUMN logged INTEGER NOT NULL DEFAULT 0",
    f"CREATE INDEX synapse_bum_deletions_owed ON synapse_bum_deletions (id) WHERE {OWED_TO_LOG}",
    (
        "CREATE TABLE synapse_bum_deletion_log (only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),"
        " known_bytes BIGINT NOT NULL, fingerprint TEXT NOT NULL)"
    ),
)

_TALLIED: Final = (
    " media_origin TEXT NOT NULL, media_id TEXT NOT NULL, created_ts BIGINT NOT NULL, uploader TEXT NOT NULL,"
    " file_bytes BIGINT NOT NULL, thumbnail_bytes BIGINT NOT NULL, noted_ts BIGINT NOT NULL)"
)
_TALLY_PERIOD: Final = (
    # Whether somebody reads the tally; `period` counts how often that has begun.
    (
        "CREATE TABLE synapse_bum_deletion_tally_period (only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),"
        " period INTEGER NOT NULL, is_read INTEGER NOT NULL)"
    ),
    "INSERT INTO synapse_bum_deletion_tally_period VALUES (1, 0, 0)",
)

# Files that a restore brought back and that a hold keeps: deleted again when it ends.
_HELD: Final = (
    "CREATE TABLE synapse_bum_deletion_held (server_name TEXT NOT NULL, media_id TEXT NOT NULL, kind TEXT NOT NULL,"
    " planned_ts BIGINT NOT NULL, policy TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT, leaves TEXT NOT NULL,"
    " PRIMARY KEY (server_name, media_id))"
)

DELETION: Final = Component(
    "deletion",
    (
        Migration(
            1,
            sqlite=(
                f"CREATE TABLE synapse_bum_deletions (id INTEGER PRIMARY KEY AUTOINCREMENT,{_COLUMNS}",
                *_FOLLOWING,
            ),
            postgres=(
                f"CREATE TABLE synapse_bum_deletions (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,{_COLUMNS}",
                *_FOLLOWING,
            ),
        ),
        Migration.both(2, *_FOR_THE_LOG),
        Migration(
            3,
            sqlite=(
                f"CREATE TABLE synapse_bum_deletion_tally (id INTEGER PRIMARY KEY AUTOINCREMENT,{_TALLIED}",
                *_TALLY_PERIOD,
            ),
            postgres=(
                (
                    "CREATE TABLE synapse_bum_deletion_tally"
                    f" (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,{_TALLIED}"
                ),
                *_TALLY_PERIOD,
            ),
        ),
        Migration.both(4, _HELD),
    ),
)
