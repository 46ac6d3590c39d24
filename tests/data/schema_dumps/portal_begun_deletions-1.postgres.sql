CREATE TABLE public.synapse_bum_portal_begun_deletions (
    user_id text NOT NULL,
    begun_by text NOT NULL,
    begun_ts bigint NOT NULL,
    stage text NOT NULL,
    session_id text NOT NULL,
    busy_until_ts bigint NOT NULL,
    stopped text,
    sentence text
);
INSERT INTO public.synapse_bum_portal_begun_deletions (user_id, begun_by, begun_ts, stage, session_id, busy_until_ts, stopped, sentence) VALUES ('user_id 1', 'begun_by 1', 1, 'stage 1', 'session_id 1', 1, 'stopped 1', 'sentence 1');
INSERT INTO public.synapse_bum_portal_begun_deletions (user_id, begun_by, begun_ts, stage, session_id, busy_until_ts, stopped, sentence) VALUES ('user_id 2', 'begun_by 2', 2, 'stage 2', 'session_id 2', 2, 'stopped 2', 'sentence 2');
ALTER TABLE ONLY public.synapse_bum_portal_begun_deletions
    ADD CONSTRAINT synapse_bum_portal_begun_deletions_pkey PRIMARY KEY (user_id);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('portal_begun_deletions', 1);
