CREATE TABLE synapse_bum_storage_alert_mails ( mail_id TEXT NOT NULL PRIMARY KEY, reached_ts BIGINT NOT NULL, thresholds TEXT NOT NULL, users BIGINT NOT NULL, used_bytes BIGINT NOT NULL, included_bytes BIGINT NOT NULL, gigabyte BIGINT NOT NULL, not_before_ts BIGINT NOT NULL);
INSERT INTO "synapse_bum_storage_alert_mails" VALUES('mail_id 1',1,'thresholds 1',1,1,1,1,1);
INSERT INTO "synapse_bum_storage_alert_mails" VALUES('mail_id 2',2,'thresholds 2',2,2,2,2,2);
CREATE TABLE synapse_bum_storage_alerts ( threshold TEXT NOT NULL PRIMARY KEY, reached_ts BIGINT NOT NULL);
INSERT INTO "synapse_bum_storage_alerts" VALUES('threshold 1',1);
INSERT INTO "synapse_bum_storage_alerts" VALUES('threshold 2',2);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_alerts', 1);
