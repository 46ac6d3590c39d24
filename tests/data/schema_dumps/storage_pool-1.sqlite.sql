CREATE TABLE synapse_bum_storage_pool ( only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), users INTEGER NOT NULL);
INSERT INTO "synapse_bum_storage_pool" VALUES(1,1);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_pool', 1);
