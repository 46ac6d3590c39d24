CREATE TABLE synapse_bum_storage_uploads ( ticket TEXT NOT NULL PRIMARY KEY, process TEXT NOT NULL, run TEXT NOT NULL, user_id TEXT NOT NULL, size_bytes BIGINT NOT NULL, reserved_ts BIGINT NOT NULL, finished INTEGER NOT NULL DEFAULT 0);
INSERT INTO "synapse_bum_storage_uploads" VALUES('ticket 1','process 1','run 1','user_id 1',1,1,1);
INSERT INTO "synapse_bum_storage_uploads" VALUES('ticket 2','process 2','run 2','user_id 2',2,2,2);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_limit', 1);
