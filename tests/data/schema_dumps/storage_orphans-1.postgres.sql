CREATE TABLE public.synapse_bum_storage_orphan_runs (
    run_id text NOT NULL,
    state text NOT NULL,
    dry_run integer NOT NULL,
    started_by text,
    created_ts bigint NOT NULL,
    started_ts bigint,
    finished_ts bigint,
    attempts integer DEFAULT 0 NOT NULL,
    removed_files bigint DEFAULT 0 NOT NULL,
    removed_bytes bigint DEFAULT 0 NOT NULL,
    report text,
    error text
);
INSERT INTO public.synapse_bum_storage_orphan_runs (run_id, state, dry_run, started_by, created_ts, started_ts, finished_ts, attempts, removed_files, removed_bytes, report, error) VALUES ('run_id 1', 'state 1', 1, 'started_by 1', 1, 1, 1, 1, 1, 1, 'report 1', 'error 1');
INSERT INTO public.synapse_bum_storage_orphan_runs (run_id, state, dry_run, started_by, created_ts, started_ts, finished_ts, attempts, removed_files, removed_bytes, report, error) VALUES ('run_id 2', 'state 2', 2, 'started_by 2', 2, 2, 2, 2, 2, 2, 'report 2', 'error 2');
ALTER TABLE ONLY public.synapse_bum_storage_orphan_runs
    ADD CONSTRAINT synapse_bum_storage_orphan_runs_pkey PRIMARY KEY (run_id);
CREATE INDEX synapse_bum_storage_orphan_runs_created ON public.synapse_bum_storage_orphan_runs USING btree (created_ts, run_id);
CREATE INDEX synapse_bum_storage_orphan_runs_open ON public.synapse_bum_storage_orphan_runs USING btree (state, created_ts, run_id) WHERE (state = ANY (ARRAY['queued'::text, 'running'::text]));
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_orphans', 1);
