CREATE TABLE public.synapse_bum_storage_uploads (
    ticket text NOT NULL,
    process text NOT NULL,
    run text NOT NULL,
    user_id text NOT NULL,
    size_bytes bigint NOT NULL,
    reserved_ts bigint NOT NULL,
    finished integer DEFAULT 0 NOT NULL
);
INSERT INTO public.synapse_bum_storage_uploads (ticket, process, run, user_id, size_bytes, reserved_ts, finished) VALUES ('ticket 1', 'process 1', 'run 1', 'user_id 1', 1, 1, 1);
INSERT INTO public.synapse_bum_storage_uploads (ticket, process, run, user_id, size_bytes, reserved_ts, finished) VALUES ('ticket 2', 'process 2', 'run 2', 'user_id 2', 2, 2, 2);
ALTER TABLE ONLY public.synapse_bum_storage_uploads
    ADD CONSTRAINT synapse_bum_storage_uploads_pkey PRIMARY KEY (ticket);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_limit', 1);
