CREATE TABLE public.synapse_bum_portal_drafts (
    name text NOT NULL,
    sealed text NOT NULL,
    until_ts bigint NOT NULL
);
INSERT INTO public.synapse_bum_portal_drafts (name, sealed, until_ts) VALUES ('name 1', 'sealed 1', 1);
INSERT INTO public.synapse_bum_portal_drafts (name, sealed, until_ts) VALUES ('name 2', 'sealed 2', 2);
ALTER TABLE ONLY public.synapse_bum_portal_drafts
    ADD CONSTRAINT synapse_bum_portal_drafts_pkey PRIMARY KEY (name);
CREATE INDEX synapse_bum_portal_drafts_until ON public.synapse_bum_portal_drafts USING btree (until_ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('portal_drafts', 1);
