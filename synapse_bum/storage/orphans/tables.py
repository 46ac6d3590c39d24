"""The table of orphan runs; its queries stand in `run.py`."""

from typing import Final

from synapse_bum.database import Component, Migration

ORPHANS: Final = Component(
    "storage_orphans",
    (
        Migration.both(
            1,
            "CREATE TABLE synapse_bum_storage_orphan_runs ("
            " run_id TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, dry_run INTEGER NOT NULL, started_by TEXT,"
            " created_ts BIGINT NOT NULL, started_ts BIGINT, finished_ts BIGINT, attempts INTEGER NOT NULL DEFAULT 0,"
            " removed_files BIGINT NOT NULL DEFAULT 0, removed_bytes BIGINT NOT NULL DEFAULT 0, report TEXT,"
            " error TEXT)",
            "CREATE INDEX synapse_bum_storage_orphan_runs_created"
            " ON synapse_bum_storage_orphan_runs (created_ts, run_id)",
            # A few rows: what waits and what is worked on.
            "CREATE INDEX synapse_bum_storage_orphan_runs_open"
            " ON synapse_bum_storage_orphan_runs (state, created_ts, run_id) WHERE state IN ('queued', 'running')",
        ),
    ),
)
