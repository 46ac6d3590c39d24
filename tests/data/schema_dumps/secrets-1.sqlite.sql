CREATE TABLE synapse_bum_secrets (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "synapse_bum_secrets" VALUES('name 1','value 1');
INSERT INTO "synapse_bum_secrets" VALUES('name 2','value 2');
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('secrets', 1);
