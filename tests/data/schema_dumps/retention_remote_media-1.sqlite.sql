CREATE TABLE synapse_bum_retention_remote_media (media_origin TEXT NOT NULL, media_id TEXT NOT NULL, created_ts BIGINT NOT NULL, PRIMARY KEY (media_origin, media_id));
INSERT INTO "synapse_bum_retention_remote_media" VALUES('media_origin 1','media_id 1',1);
INSERT INTO "synapse_bum_retention_remote_media" VALUES('media_origin 2','media_id 2',2);
CREATE TABLE synapse_bum_retention_remote_walk ( only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), media_origin TEXT NOT NULL, media_id TEXT NOT NULL, pages INTEGER NOT NULL, begun_ts BIGINT, completed_ts BIGINT, completed_pages INTEGER NOT NULL);
INSERT INTO "synapse_bum_retention_remote_walk" VALUES(1,'','',0,NULL,NULL,0);
CREATE INDEX synapse_bum_retention_remote_media_age ON synapse_bum_retention_remote_media (created_ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('retention_remote_media', 1);
