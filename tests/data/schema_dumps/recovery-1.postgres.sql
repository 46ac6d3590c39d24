CREATE TABLE public.synapse_bum_recovery_deleted_files (
    server_name text NOT NULL,
    media_id text NOT NULL,
    noted_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_recovery_tidying (
    user_id text NOT NULL,
    erase integer NOT NULL
);
INSERT INTO public.synapse_bum_recovery_deleted_files (server_name, media_id, noted_ts) VALUES ('server_name 1', 'media_id 1', 1);
INSERT INTO public.synapse_bum_recovery_deleted_files (server_name, media_id, noted_ts) VALUES ('server_name 2', 'media_id 2', 2);
INSERT INTO public.synapse_bum_recovery_tidying (user_id, erase) VALUES ('user_id 1', 1);
INSERT INTO public.synapse_bum_recovery_tidying (user_id, erase) VALUES ('user_id 2', 2);
ALTER TABLE ONLY public.synapse_bum_recovery_deleted_files
    ADD CONSTRAINT synapse_bum_recovery_deleted_files_pkey PRIMARY KEY (server_name, media_id);
ALTER TABLE ONLY public.synapse_bum_recovery_tidying
    ADD CONSTRAINT synapse_bum_recovery_tidying_pkey PRIMARY KEY (user_id);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('recovery', 1);
