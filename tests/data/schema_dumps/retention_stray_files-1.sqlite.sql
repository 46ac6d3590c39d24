CREATE TABLE synapse_bum_retention_stray_files ( only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), next_ts BIGINT NOT NULL);
INSERT INTO "synapse_bum_retention_stray_files" VALUES(1,0);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('retention_stray_files', 1);
