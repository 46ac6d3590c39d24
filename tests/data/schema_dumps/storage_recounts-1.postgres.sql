CREATE TABLE public.synapse_bum_storage_recounts (
    run_id text NOT NULL,
    state text NOT NULL,
    started_by text NOT NULL,
    created_ts bigint NOT NULL,
    started_ts bigint,
    finished_ts bigint,
    drift_bytes text,
    error text
);
INSERT INTO public.synapse_bum_storage_recounts (run_id, state, started_by, created_ts, started_ts, finished_ts, drift_bytes, error) VALUES ('run_id 1', 'state 1', 'started_by 1', 1, 1, 1, 'drift_bytes 1', 'error 1');
INSERT INTO public.synapse_bum_storage_recounts (run_id, state, started_by, created_ts, started_ts, finished_ts, drift_bytes, error) VALUES ('run_id 2', 'state 2', 'started_by 2', 2, 2, 2, 'drift_bytes 2', 'error 2');
ALTER TABLE ONLY public.synapse_bum_storage_recounts
    ADD CONSTRAINT synapse_bum_storage_recounts_pkey PRIMARY KEY (run_id);
CREATE INDEX synapse_bum_storage_recounts_finished ON public.synapse_bum_storage_recounts USING btree (finished_ts);
CREATE INDEX synapse_bum_storage_recounts_open ON public.synapse_bum_storage_recounts USING btree (created_ts, run_id) WHERE (finished_ts IS NULL);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_recounts', 1);
