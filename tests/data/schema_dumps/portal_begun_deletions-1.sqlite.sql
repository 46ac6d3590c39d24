CREATE TABLE synapse_bum_portal_begun_deletions (user_id TEXT NOT NULL PRIMARY KEY, begun_by TEXT NOT NULL, begun_ts BIGINT NOT NULL, stage TEXT NOT NULL, session_id TEXT NOT NULL, busy_until_ts BIGINT NOT NULL, stopped TEXT, sentence TEXT);
INSERT INTO "synapse_bum_portal_begun_deletions" VALUES('user_id 1','begun_by 1',1,'stage 1','session_id 1',1,'stopped 1','sentence 1');
INSERT INTO "synapse_bum_portal_begun_deletions" VALUES('user_id 2','begun_by 2',2,'stage 2','session_id 2',2,'stopped 2','sentence 2');
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('portal_begun_deletions', 1);
