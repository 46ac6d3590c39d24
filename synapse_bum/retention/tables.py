"""The tables of runs, agreed lifetimes and the clocks. Queries stand beside who asks them; each says its index."""

from typing import Final

from synapse_bum.database import Component, Migration
from synapse_bum.homeserver.clock_lags import CLOCK_LAGS_TABLE

RETENTION: Final = Component(
    "retention",
    (
        Migration.both(
            1,
            "CREATE TABLE synapse_bum_retention_runs ("
            " run_id TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, dry_run INTEGER NOT NULL, classes TEXT NOT NULL,"
            " confirm INTEGER NOT NULL, started_by TEXT, created_ts BIGINT NOT NULL, started_ts BIGINT,"
            " finished_ts BIGINT, total BIGINT NOT NULL DEFAULT 0, messages BIGINT NOT NULL DEFAULT 0,"
            " local_media BIGINT NOT NULL DEFAULT 0, remote_media BIGINT NOT NULL DEFAULT 0,"
            " bytes BIGINT NOT NULL DEFAULT 0, sample TEXT NOT NULL DEFAULT '[]', counted TEXT NOT NULL DEFAULT '',"
            " unconfirmed TEXT NOT NULL DEFAULT '',"
            " error TEXT)",
            "CREATE INDEX synapse_bum_retention_runs_created ON synapse_bum_retention_runs (created_ts, run_id)",
            # A few rows: what waits and what is worked on.
            "CREATE INDEX synapse_bum_retention_runs_open ON synapse_bum_retention_runs (state, created_ts, run_id)"
            " WHERE state IN ('queued', 'running')",
            # One row a class: the lifetime that the last finished run went by.
            "CREATE TABLE synapse_bum_retention_classes ("
            " class TEXT NOT NULL PRIMARY KEY, lifetime_ms BIGINT NOT NULL, lifetime_years BIGINT NOT NULL,"
            " last_success_ts BIGINT)",
            "CREATE TABLE synapse_bum_retention_clock ("
            " only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), trusted_ts BIGINT NOT NULL,"
            " wall_ts BIGINT NOT NULL, doubted_since_ts BIGINT)",
        ),
    ),
)

_CREATE_CLOCK_LAGS: Final = (
    f"CREATE TABLE {CLOCK_LAGS_TABLE} ("
    " id BIGINT NOT NULL PRIMARY KEY, wall_from_ts BIGINT NOT NULL, wall_to_ts BIGINT NOT NULL,"
    " trusted_to_ts BIGINT NOT NULL, stream_from BIGINT NOT NULL, stream_to BIGINT NOT NULL)"
)

CLOCK_LAGS: Final = Component(
    "retention_clock_lags",
    # PostgreSQL takes a new table for a large one until it is analyzed, and no one does that to an empty one: it would
    # believe every query about the age of messages to be so dear that compiling it pays.
    (Migration(1, sqlite=(_CREATE_CLOCK_LAGS,), postgres=(_CREATE_CLOCK_LAGS, f"ANALYZE {CLOCK_LAGS_TABLE}")),),
)
"""When the system clock was behind: `homeserver/clock_lags.py`. Whoever asks for the age of anything adds it."""
