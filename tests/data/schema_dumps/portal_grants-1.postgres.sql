CREATE TABLE public.synapse_bum_portal_grants (
    session_id text NOT NULL,
    sealed text NOT NULL,
    generation bigint NOT NULL,
    renewing_until_ts bigint NOT NULL,
    until_ts bigint NOT NULL
);
INSERT INTO public.synapse_bum_portal_grants (session_id, sealed, generation, renewing_until_ts, until_ts) VALUES ('session_id 1', 'sealed 1', 1, 1, 1);
INSERT INTO public.synapse_bum_portal_grants (session_id, sealed, generation, renewing_until_ts, until_ts) VALUES ('session_id 2', 'sealed 2', 2, 2, 2);
ALTER TABLE ONLY public.synapse_bum_portal_grants
    ADD CONSTRAINT synapse_bum_portal_grants_pkey PRIMARY KEY (session_id);
CREATE INDEX synapse_bum_portal_grants_until ON public.synapse_bum_portal_grants USING btree (until_ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('portal_grants', 1);
