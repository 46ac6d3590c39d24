CREATE TABLE synapse_bum_portal_ticket_mails (mail_id TEXT NOT NULL PRIMARY KEY, ticket_id TEXT NOT NULL, kind TEXT NOT NULL, recipient TEXT, written_ts BIGINT NOT NULL, not_before_ts BIGINT NOT NULL);
INSERT INTO "synapse_bum_portal_ticket_mails" VALUES('mail_id 1','ticket_id 1','kind 1','recipient 1',1,1);
INSERT INTO "synapse_bum_portal_ticket_mails" VALUES('mail_id 2','ticket_id 2','kind 2','recipient 2',2,2);
CREATE TABLE synapse_bum_portal_tickets (ticket_id TEXT NOT NULL PRIMARY KEY, category INTEGER NOT NULL, text TEXT NOT NULL, contact TEXT NOT NULL, email TEXT, reported_by TEXT NOT NULL, reported_ts BIGINT NOT NULL, confirmed_by TEXT, confirmed_ts BIGINT, due_ts BIGINT, answered_by TEXT, answered_ts BIGINT, answer TEXT);
INSERT INTO "synapse_bum_portal_tickets" VALUES('ticket_id 1',1,'text 1','contact 1','email 1','reported_by 1',1,'confirmed_by 1',1,1,'answered_by 1',1,'answer 1');
INSERT INTO "synapse_bum_portal_tickets" VALUES('ticket_id 2',2,'text 2','contact 2','email 2','reported_by 2',2,'confirmed_by 2',2,2,'answered_by 2',2,'answer 2');
CREATE INDEX synapse_bum_portal_tickets_reported ON synapse_bum_portal_tickets (reported_ts, ticket_id);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('portal_support', 1);
