CREATE TABLE synapse_bum_retention_clock_lags ( id BIGINT NOT NULL PRIMARY KEY, wall_from_ts BIGINT NOT NULL, wall_to_ts BIGINT NOT NULL, trusted_to_ts BIGINT NOT NULL, stream_from BIGINT NOT NULL, stream_to BIGINT NOT NULL);
INSERT INTO "synapse_bum_retention_clock_lags" VALUES(1,1,1,1,1,1);
INSERT INTO "synapse_bum_retention_clock_lags" VALUES(2,2,2,2,2,2);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('retention_clock_lags', 1);
