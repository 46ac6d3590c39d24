CREATE TABLE public.synapse_bum_retention_stray_files (
    only_row integer NOT NULL,
    next_ts bigint NOT NULL,
    CONSTRAINT synapse_bum_retention_stray_files_only_row_check CHECK ((only_row = 1))
);
INSERT INTO public.synapse_bum_retention_stray_files (only_row, next_ts) VALUES (1, 0);
ALTER TABLE ONLY public.synapse_bum_retention_stray_files
    ADD CONSTRAINT synapse_bum_retention_stray_files_pkey PRIMARY KEY (only_row);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('retention_stray_files', 1);
