CREATE TABLE public.synapse_bum_leases (
    name text NOT NULL,
    owner text NOT NULL,
    expires_ts bigint NOT NULL
);
INSERT INTO public.synapse_bum_leases (name, owner, expires_ts) VALUES ('name 1', 'owner 1', 1);
INSERT INTO public.synapse_bum_leases (name, owner, expires_ts) VALUES ('name 2', 'owner 2', 2);
ALTER TABLE ONLY public.synapse_bum_leases
    ADD CONSTRAINT synapse_bum_leases_pkey PRIMARY KEY (name);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('leases', 1);
