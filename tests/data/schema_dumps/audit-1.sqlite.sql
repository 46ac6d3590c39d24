CREATE TABLE synapse_bum_audit ( id BIGINT NOT NULL PRIMARY KEY, ts BIGINT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, old TEXT, new TEXT, reason TEXT, prev_hash TEXT NOT NULL, hash TEXT NOT NULL);
INSERT INTO "synapse_bum_audit" VALUES(1,1,'actor 1','action 1','target 1','old 1','new 1','reason 1','prev_hash 1','hash 1');
INSERT INTO "synapse_bum_audit" VALUES(2,2,'actor 2','action 2','target 2','old 2','new 2','reason 2','prev_hash 2','hash 2');
CREATE TABLE synapse_bum_audit_head ( only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), id BIGINT NOT NULL, hash TEXT NOT NULL, dropped_id BIGINT NOT NULL, dropped_hash TEXT NOT NULL);
INSERT INTO "synapse_bum_audit_head" VALUES(1,0,'',0,'');
CREATE INDEX synapse_bum_audit_action ON synapse_bum_audit (action, id);
CREATE INDEX synapse_bum_audit_ts ON synapse_bum_audit (ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('audit', 1);
