CREATE TABLE public.synapse_bum_secrets (
    name text NOT NULL,
    value text NOT NULL
);
INSERT INTO public.synapse_bum_secrets (name, value) VALUES ('name 1', 'value 1');
INSERT INTO public.synapse_bum_secrets (name, value) VALUES ('name 2', 'value 2');
ALTER TABLE ONLY public.synapse_bum_secrets
    ADD CONSTRAINT synapse_bum_secrets_pkey PRIMARY KEY (name);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('secrets', 1);
