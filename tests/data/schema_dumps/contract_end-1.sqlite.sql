CREATE TABLE synapse_bum_contract_end (only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), closing_id TEXT NOT NULL, closed_ts BIGINT NOT NULL, closed_by TEXT NOT NULL, grace_days INTEGER NOT NULL);
INSERT INTO "synapse_bum_contract_end" VALUES(1,'closing_id 1',1,'closed_by 1',1);
CREATE TABLE synapse_bum_contract_taken (kind TEXT NOT NULL, key TEXT NOT NULL, before TEXT NOT NULL, PRIMARY KEY (kind, key));
INSERT INTO "synapse_bum_contract_taken" VALUES('kind 1','key 1','before 1');
INSERT INTO "synapse_bum_contract_taken" VALUES('kind 2','key 2','before 2');
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('contract_end', 1);
