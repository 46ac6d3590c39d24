CREATE TABLE synapse_bum_recovery_deleted_files (server_name TEXT NOT NULL, media_id TEXT NOT NULL, noted_ts BIGINT NOT NULL, PRIMARY KEY (server_name, media_id));
INSERT INTO "synapse_bum_recovery_deleted_files" VALUES('server_name 1','media_id 1',1);
INSERT INTO "synapse_bum_recovery_deleted_files" VALUES('server_name 2','media_id 2',2);
CREATE TABLE synapse_bum_recovery_tidying (user_id TEXT NOT NULL PRIMARY KEY, erase INTEGER NOT NULL);
INSERT INTO "synapse_bum_recovery_tidying" VALUES('user_id 1',1);
INSERT INTO "synapse_bum_recovery_tidying" VALUES('user_id 2',2);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('recovery', 1);
