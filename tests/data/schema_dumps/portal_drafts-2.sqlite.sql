CREATE TABLE synapse_bum_portal_drafts ( name TEXT NOT NULL PRIMARY KEY, sealed TEXT NOT NULL, until_ts BIGINT NOT NULL, user_id TEXT NOT NULL DEFAULT '');
INSERT INTO "synapse_bum_portal_drafts" VALUES('name 1','sealed 1',1,'user_id 1');
INSERT INTO "synapse_bum_portal_drafts" VALUES('name 2','sealed 2',2,'user_id 2');
CREATE INDEX synapse_bum_portal_drafts_until ON synapse_bum_portal_drafts (until_ts);
CREATE INDEX synapse_bum_portal_drafts_user ON synapse_bum_portal_drafts (user_id, until_ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('portal_drafts', 2);
