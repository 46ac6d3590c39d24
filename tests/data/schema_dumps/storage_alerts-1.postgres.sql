CREATE TABLE public.synapse_bum_storage_alert_mails (
    mail_id text NOT NULL,
    reached_ts bigint NOT NULL,
    thresholds text NOT NULL,
    users bigint NOT NULL,
    used_bytes bigint NOT NULL,
    included_bytes bigint NOT NULL,
    gigabyte bigint NOT NULL,
    not_before_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_storage_alerts (
    threshold text NOT NULL,
    reached_ts bigint NOT NULL
);
INSERT INTO public.synapse_bum_storage_alert_mails (mail_id, reached_ts, thresholds, users, used_bytes, included_bytes, gigabyte, not_before_ts) VALUES ('mail_id 1', 1, 'thresholds 1', 1, 1, 1, 1, 1);
INSERT INTO public.synapse_bum_storage_alert_mails (mail_id, reached_ts, thresholds, users, used_bytes, included_bytes, gigabyte, not_before_ts) VALUES ('mail_id 2', 2, 'thresholds 2', 2, 2, 2, 2, 2);
INSERT INTO public.synapse_bum_storage_alerts (threshold, reached_ts) VALUES ('threshold 1', 1);
INSERT INTO public.synapse_bum_storage_alerts (threshold, reached_ts) VALUES ('threshold 2', 2);
ALTER TABLE ONLY public.synapse_bum_storage_alert_mails
    ADD CONSTRAINT synapse_bum_storage_alert_mails_pkey PRIMARY KEY (mail_id);
ALTER TABLE ONLY public.synapse_bum_storage_alerts
    ADD CONSTRAINT synapse_bum_storage_alerts_pkey PRIMARY KEY (threshold);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_alerts', 1);
