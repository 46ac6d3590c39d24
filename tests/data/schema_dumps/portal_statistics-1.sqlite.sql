CREATE TABLE synapse_bum_portal_statistics (day TEXT NOT NULL PRIMARY KEY, ts BIGINT NOT NULL, counted_ts BIGINT NOT NULL, rooms BIGINT, messages BIGINT NOT NULL, sent_messages BIGINT NOT NULL, active_users BIGINT);
INSERT INTO "synapse_bum_portal_statistics" VALUES('day 1',1,1,1,1,1,1);
INSERT INTO "synapse_bum_portal_statistics" VALUES('day 2',2,2,2,2,2,2);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('portal_statistics', 1);
