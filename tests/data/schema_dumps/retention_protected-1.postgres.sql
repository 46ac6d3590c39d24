CREATE TABLE public.synapse_bum_retention_protected (
    kind text NOT NULL,
    source text NOT NULL,
    user_id text NOT NULL,
    server_name text NOT NULL,
    media_id text NOT NULL,
    protects integer DEFAULT 0 NOT NULL,
    generation bigint NOT NULL
);
CREATE TABLE public.synapse_bum_retention_protection (
    only_row integer NOT NULL,
    generation bigint NOT NULL,
    step text,
    after_key text NOT NULL,
    state_position bigint NOT NULL,
    account_data_position bigint NOT NULL,
    complete_ts bigint,
    rules text NOT NULL,
    CONSTRAINT synapse_bum_retention_protection_only_row_check CHECK ((only_row = 1))
);
INSERT INTO public.synapse_bum_retention_protected (kind, source, user_id, server_name, media_id, protects, generation) VALUES ('kind 1', 'source 1', 'user_id 1', 'server_name 1', 'media_id 1', 1, 1);
INSERT INTO public.synapse_bum_retention_protected (kind, source, user_id, server_name, media_id, protects, generation) VALUES ('kind 2', 'source 2', 'user_id 2', 'server_name 2', 'media_id 2', 2, 2);
INSERT INTO public.synapse_bum_retention_protection (only_row, generation, step, after_key, state_position, account_data_position, complete_ts, rules) VALUES (1, 0, NULL, '[]', 0, 0, NULL, '');
ALTER TABLE ONLY public.synapse_bum_retention_protected
    ADD CONSTRAINT synapse_bum_retention_protected_pkey PRIMARY KEY (kind, source, user_id, server_name, media_id);
ALTER TABLE ONLY public.synapse_bum_retention_protection
    ADD CONSTRAINT synapse_bum_retention_protection_pkey PRIMARY KEY (only_row);
CREATE INDEX synapse_bum_retention_protected_file ON public.synapse_bum_retention_protected USING btree (server_name, media_id);
CREATE INDEX synapse_bum_retention_protected_user ON public.synapse_bum_retention_protected USING btree (server_name, user_id);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('retention_protected', 1);
