CREATE TABLE synapse_bum_leases ( name TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, expires_ts BIGINT NOT NULL);
INSERT INTO "synapse_bum_leases" VALUES('name 1','owner 1',1);
INSERT INTO "synapse_bum_leases" VALUES('name 2','owner 2',2);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('leases', 1);
