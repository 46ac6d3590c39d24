CREATE TABLE public.synapse_bum_retention_classes (
    class text NOT NULL,
    lifetime_ms bigint NOT NULL,
    lifetime_years bigint NOT NULL,
    last_success_ts bigint
);
CREATE TABLE public.synapse_bum_retention_clock (
    only_row integer NOT NULL,
    trusted_ts bigint NOT NULL,
    wall_ts bigint NOT NULL,
    doubted_since_ts bigint,
    CONSTRAINT synapse_bum_retention_clock_only_row_check CHECK ((only_row = 1))
);
CREATE TABLE public.synapse_bum_retention_runs (
    run_id text NOT NULL,
    state text NOT NULL,
    dry_run integer NOT NULL,
    classes text NOT NULL,
    confirm integer NOT NULL,
    started_by text,
    created_ts bigint NOT NULL,
    started_ts bigint,
    finished_ts bigint,
    total bigint DEFAULT 0 NOT NULL,
    messages bigint DEFAULT 0 NOT NULL,
    local_media bigint DEFAULT 0 NOT NULL,
    remote_media bigint DEFAULT 0 NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL,
    sample text DEFAULT '[]'::text NOT NULL,
    counted text DEFAULT ''::text NOT NULL,
    unconfirmed text DEFAULT ''::text NOT NULL,
    error text
);
INSERT INTO public.synapse_bum_retention_classes (class, lifetime_ms, lifetime_years, last_success_ts) VALUES ('class 1', 1, 1, 1);
INSERT INTO public.synapse_bum_retention_classes (class, lifetime_ms, lifetime_years, last_success_ts) VALUES ('class 2', 2, 2, 2);
INSERT INTO public.synapse_bum_retention_clock (only_row, trusted_ts, wall_ts, doubted_since_ts) VALUES (1, 1, 1, 1);
INSERT INTO public.synapse_bum_retention_runs (run_id, state, dry_run, classes, confirm, started_by, created_ts, started_ts, finished_ts, total, messages, local_media, remote_media, bytes, sample, counted, unconfirmed, error) VALUES ('run_id 1', 'state 1', 1, 'classes 1', 1, 'started_by 1', 1, 1, 1, 1, 1, 1, 1, 1, 'sample 1', 'counted 1', 'unconfirmed 1', 'error 1');
INSERT INTO public.synapse_bum_retention_runs (run_id, state, dry_run, classes, confirm, started_by, created_ts, started_ts, finished_ts, total, messages, local_media, remote_media, bytes, sample, counted, unconfirmed, error) VALUES ('run_id 2', 'state 2', 2, 'classes 2', 2, 'started_by 2', 2, 2, 2, 2, 2, 2, 2, 2, 'sample 2', 'counted 2', 'unconfirmed 2', 'error 2');
ALTER TABLE ONLY public.synapse_bum_retention_classes
    ADD CONSTRAINT synapse_bum_retention_classes_pkey PRIMARY KEY (class);
ALTER TABLE ONLY public.synapse_bum_retention_clock
    ADD CONSTRAINT synapse_bum_retention_clock_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.synapse_bum_retention_runs
    ADD CONSTRAINT synapse_bum_retention_runs_pkey PRIMARY KEY (run_id);
CREATE INDEX synapse_bum_retention_runs_created ON public.synapse_bum_retention_runs USING btree (created_ts, run_id);
CREATE INDEX synapse_bum_retention_runs_open ON public.synapse_bum_retention_runs USING btree (state, created_ts, run_id) WHERE (state = ANY (ARRAY['queued'::text, 'running'::text]));
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('retention', 1);
