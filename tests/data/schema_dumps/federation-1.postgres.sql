CREATE TABLE public.synapse_bum_federation_generation (
    only_row integer NOT NULL,
    generation bigint NOT NULL,
    token text NOT NULL,
    changed_ts bigint,
    CONSTRAINT synapse_bum_federation_generation_only_row_check CHECK ((only_row = 1))
);
CREATE TABLE public.synapse_bum_federation_list (
    only_row integer NOT NULL,
    version bigint,
    expires_ts bigint,
    verified_ts bigint,
    checked_ts bigint,
    error text,
    pending text,
    pending_since_ts bigint,
    CONSTRAINT synapse_bum_federation_list_only_row_check CHECK ((only_row = 1))
);
CREATE TABLE public.synapse_bum_federation_partners (
    server_name text NOT NULL,
    source text NOT NULL,
    organisation text,
    valid_from_ts bigint,
    valid_until_ts bigint,
    reason text,
    ticket text,
    requested_by text,
    created_by text,
    created_ts bigint NOT NULL,
    leaving_until_ts bigint,
    leaving_reason text,
    leaving_by text
);
INSERT INTO public.synapse_bum_federation_generation (only_row, generation, token, changed_ts) VALUES (1, 0, '', NULL);
INSERT INTO public.synapse_bum_federation_list (only_row, version, expires_ts, verified_ts, checked_ts, error, pending, pending_since_ts) VALUES (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.synapse_bum_federation_partners (server_name, source, organisation, valid_from_ts, valid_until_ts, reason, ticket, requested_by, created_by, created_ts, leaving_until_ts, leaving_reason, leaving_by) VALUES ('server_name 1', 'source 1', 'organisation 1', 1, 1, 'reason 1', 'ticket 1', 'requested_by 1', 'created_by 1', 1, 1, 'leaving_reason 1', 'leaving_by 1');
INSERT INTO public.synapse_bum_federation_partners (server_name, source, organisation, valid_from_ts, valid_until_ts, reason, ticket, requested_by, created_by, created_ts, leaving_until_ts, leaving_reason, leaving_by) VALUES ('server_name 2', 'source 2', 'organisation 2', 2, 2, 'reason 2', 'ticket 2', 'requested_by 2', 'created_by 2', 2, 2, 'leaving_reason 2', 'leaving_by 2');
ALTER TABLE ONLY public.synapse_bum_federation_generation
    ADD CONSTRAINT synapse_bum_federation_generation_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.synapse_bum_federation_list
    ADD CONSTRAINT synapse_bum_federation_list_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.synapse_bum_federation_partners
    ADD CONSTRAINT synapse_bum_federation_partners_pkey PRIMARY KEY (server_name, source);
CREATE INDEX synapse_bum_federation_partners_leaving ON public.synapse_bum_federation_partners USING btree (leaving_until_ts) WHERE (leaving_until_ts IS NOT NULL);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('federation', 1);
