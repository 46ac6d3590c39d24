CREATE TABLE synapse_bum_retention_protected ( kind TEXT NOT NULL, source TEXT NOT NULL, user_id TEXT NOT NULL, server_name TEXT NOT NULL, media_id TEXT NOT NULL, protects INTEGER NOT NULL DEFAULT 0, generation BIGINT NOT NULL, PRIMARY KEY (kind, source, user_id, server_name, media_id));
INSERT INTO "synapse_bum_retention_protected" VALUES('kind 1','source 1','user_id 1','server_name 1','media_id 1',1,1);
INSERT INTO "synapse_bum_retention_protected" VALUES('kind 2','source 2','user_id 2','server_name 2','media_id 2',2,2);
CREATE TABLE synapse_bum_retention_protection ( only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), generation BIGINT NOT NULL, step TEXT, after_key TEXT NOT NULL, state_position BIGINT NOT NULL, account_data_position BIGINT NOT NULL, complete_ts BIGINT, rules TEXT NOT NULL);
INSERT INTO "synapse_bum_retention_protection" VALUES(1,0,NULL,'[]',0,0,NULL,'');
CREATE INDEX synapse_bum_retention_protected_file ON synapse_bum_retention_protected (server_name, media_id);
CREATE INDEX synapse_bum_retention_protected_user ON synapse_bum_retention_protected (server_name, user_id);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('retention_protected', 1);
