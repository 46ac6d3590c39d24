CREATE TABLE synapse_bum_storage_orphan_runs ( run_id TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, dry_run INTEGER NOT NULL, started_by TEXT, created_ts BIGINT NOT NULL, started_ts BIGINT, finished_ts BIGINT, attempts INTEGER NOT NULL DEFAULT 0, removed_files BIGINT NOT NULL DEFAULT 0, removed_bytes BIGINT NOT NULL DEFAULT 0, report TEXT, error TEXT);
INSERT INTO "synapse_bum_storage_orphan_runs" VALUES('run_id 1','state 1',1,'started_by 1',1,1,1,1,1,1,'report 1','error 1');
INSERT INTO "synapse_bum_storage_orphan_runs" VALUES('run_id 2','state 2',2,'started_by 2',2,2,2,2,2,2,'report 2','error 2');
CREATE INDEX synapse_bum_storage_orphan_runs_created ON synapse_bum_storage_orphan_runs (created_ts, run_id);
CREATE INDEX synapse_bum_storage_orphan_runs_open ON synapse_bum_storage_orphan_runs (state, created_ts, run_id) WHERE state IN ('queued', 'running');
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_orphans', 1);
