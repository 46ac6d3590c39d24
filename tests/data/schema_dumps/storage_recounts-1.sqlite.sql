CREATE TABLE synapse_bum_storage_recounts (run_id TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, started_by TEXT NOT NULL, created_ts BIGINT NOT NULL, started_ts BIGINT, finished_ts BIGINT, drift_bytes TEXT, error TEXT);
INSERT INTO "synapse_bum_storage_recounts" VALUES('run_id 1','state 1','started_by 1',1,1,1,'drift_bytes 1','error 1');
INSERT INTO "synapse_bum_storage_recounts" VALUES('run_id 2','state 2','started_by 2',2,2,2,'drift_bytes 2','error 2');
CREATE INDEX synapse_bum_storage_recounts_open ON synapse_bum_storage_recounts (created_ts, run_id) WHERE finished_ts IS NULL;
CREATE INDEX synapse_bum_storage_recounts_finished ON synapse_bum_storage_recounts (finished_ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_recounts', 1);
