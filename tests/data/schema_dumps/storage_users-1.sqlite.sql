CREATE TABLE synapse_bum_storage_users (user_id TEXT NOT NULL, locked INTEGER NOT NULL, from_ts BIGINT NOT NULL, until_ts BIGINT);
INSERT INTO "synapse_bum_storage_users" VALUES('user_id 1',1,1,1);
INSERT INTO "synapse_bum_storage_users" VALUES('user_id 2',2,2,2);
CREATE TABLE synapse_bum_storage_users_count ( only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), since_ts BIGINT NOT NULL, counted_ts BIGINT NOT NULL, exclude TEXT NOT NULL);
INSERT INTO "synapse_bum_storage_users_count" VALUES(1,1,1,'exclude 1');
CREATE UNIQUE INDEX synapse_bum_storage_users_now ON synapse_bum_storage_users (user_id) WHERE until_ts IS NULL;
CREATE INDEX synapse_bum_storage_users_of ON synapse_bum_storage_users (user_id, until_ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_users', 1);
