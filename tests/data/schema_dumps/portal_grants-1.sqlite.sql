CREATE TABLE synapse_bum_portal_grants ( session_id TEXT NOT NULL PRIMARY KEY, sealed TEXT NOT NULL, generation BIGINT NOT NULL, renewing_until_ts BIGINT NOT NULL, until_ts BIGINT NOT NULL);
INSERT INTO "synapse_bum_portal_grants" VALUES('session_id 1','sealed 1',1,1,1);
INSERT INTO "synapse_bum_portal_grants" VALUES('session_id 2','sealed 2',2,2,2);
CREATE INDEX synapse_bum_portal_grants_until ON synapse_bum_portal_grants (until_ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('portal_grants', 1);
