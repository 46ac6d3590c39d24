CREATE TABLE public.synapse_bum_storage_pool (
    only_row integer NOT NULL,
    users integer NOT NULL,
    CONSTRAINT synapse_bum_storage_pool_only_row_check CHECK ((only_row = 1))
);
INSERT INTO public.synapse_bum_storage_pool (only_row, users) VALUES (1, 1);
ALTER TABLE ONLY public.synapse_bum_storage_pool
    ADD CONSTRAINT synapse_bum_storage_pool_pkey PRIMARY KEY (only_row);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_pool', 1);
