CREATE TABLE public.synapse_bum_portal_ended_sessions (
    session_id text NOT NULL,
    until_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_portal_sent_forms (
    form_id text NOT NULL,
    until_ts bigint NOT NULL,
    location text
);
INSERT INTO public.synapse_bum_portal_ended_sessions (session_id, until_ts) VALUES ('session_id 1', 1);
INSERT INTO public.synapse_bum_portal_ended_sessions (session_id, until_ts) VALUES ('session_id 2', 2);
INSERT INTO public.synapse_bum_portal_sent_forms (form_id, until_ts, location) VALUES ('form_id 1', 1, 'location 1');
INSERT INTO public.synapse_bum_portal_sent_forms (form_id, until_ts, location) VALUES ('form_id 2', 2, 'location 2');
ALTER TABLE ONLY public.synapse_bum_portal_ended_sessions
    ADD CONSTRAINT synapse_bum_portal_ended_sessions_pkey PRIMARY KEY (session_id);
ALTER TABLE ONLY public.synapse_bum_portal_sent_forms
    ADD CONSTRAINT synapse_bum_portal_sent_forms_pkey PRIMARY KEY (form_id);
CREATE INDEX synapse_bum_portal_ended_sessions_until ON public.synapse_bum_portal_ended_sessions USING btree (until_ts);
CREATE INDEX synapse_bum_portal_sent_forms_until ON public.synapse_bum_portal_sent_forms USING btree (until_ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('portal', 1);
