CREATE TABLE synapse_bum_storage_snapshots (day TEXT NOT NULL PRIMARY KEY, ts BIGINT NOT NULL, users INTEGER NOT NULL, locked_users INTEGER NOT NULL, local_files BIGINT NOT NULL, local_bytes BIGINT NOT NULL, local_thumbnail_bytes BIGINT NOT NULL, remote_files BIGINT NOT NULL, remote_bytes BIGINT NOT NULL, remote_thumbnail_bytes BIGINT NOT NULL, used_bytes BIGINT NOT NULL, included_bytes BIGINT NOT NULL, gigabyte BIGINT NOT NULL);
INSERT INTO "synapse_bum_storage_snapshots" VALUES('day 1',1,1,1,1,1,1,1,1,1,1,1,1);
INSERT INTO "synapse_bum_storage_snapshots" VALUES('day 2',2,2,2,2,2,2,2,2,2,2,2,2);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_snapshots', 1);
