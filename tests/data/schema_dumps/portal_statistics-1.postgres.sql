CREATE TABLE public.synapse_bum_portal_statistics (
    day text NOT NULL,
    ts bigint NOT NULL,
    counted_ts bigint NOT NULL,
    rooms bigint,
    messages bigint NOT NULL,
    sent_messages bigint NOT NULL,
    active_users bigint
);
INSERT INTO public.synapse_bum_portal_statistics (day, ts, counted_ts, rooms, messages, sent_messages, active_users) VALUES ('day 1', 1, 1, 1, 1, 1, 1);
INSERT INTO public.synapse_bum_portal_statistics (day, ts, counted_ts, rooms, messages, sent_messages, active_users) VALUES ('day 2', 2, 2, 2, 2, 2, 2);
ALTER TABLE ONLY public.synapse_bum_portal_statistics
    ADD CONSTRAINT synapse_bum_portal_statistics_pkey PRIMARY KEY (day);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('portal_statistics', 1);
