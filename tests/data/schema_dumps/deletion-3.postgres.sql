CREATE TABLE public.synapse_bum_deletion_log (
    only_row integer NOT NULL,
    known_bytes bigint NOT NULL,
    fingerprint text NOT NULL,
    CONSTRAINT synapse_bum_deletion_log_only_row_check CHECK ((only_row = 1))
);
CREATE TABLE public.synapse_bum_deletion_tally (
    id bigint NOT NULL,
    media_origin text NOT NULL,
    media_id text NOT NULL,
    created_ts bigint NOT NULL,
    uploader text NOT NULL,
    file_bytes bigint NOT NULL,
    thumbnail_bytes bigint NOT NULL,
    noted_ts bigint NOT NULL
);
ALTER TABLE public.synapse_bum_deletion_tally ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.synapse_bum_deletion_tally_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.synapse_bum_deletion_tally_period (
    only_row integer NOT NULL,
    period integer NOT NULL,
    is_read integer NOT NULL,
    CONSTRAINT synapse_bum_deletion_tally_period_only_row_check CHECK ((only_row = 1))
);
CREATE TABLE public.synapse_bum_deletions (
    id bigint NOT NULL,
    kind text NOT NULL,
    server_name text NOT NULL,
    media_id text NOT NULL,
    file_id text NOT NULL,
    url_cache integer NOT NULL,
    uploader text,
    size_bytes bigint NOT NULL,
    thumbnail_bytes bigint NOT NULL,
    created_ts bigint NOT NULL,
    quarantined_by text,
    policy text NOT NULL,
    actor text NOT NULL,
    reason text,
    leaves text NOT NULL,
    state text NOT NULL,
    planned_ts bigint NOT NULL,
    done_ts bigint,
    attempts integer DEFAULT 0 NOT NULL,
    next_try_ts bigint NOT NULL,
    error text,
    logged integer DEFAULT 0 NOT NULL
);
ALTER TABLE public.synapse_bum_deletions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.synapse_bum_deletions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.synapse_bum_holds (
    target text NOT NULL,
    reason text NOT NULL,
    until_ts bigint NOT NULL,
    created_by text NOT NULL,
    created_ts bigint NOT NULL
);
INSERT INTO public.synapse_bum_deletion_log (only_row, known_bytes, fingerprint) VALUES (1, 1, 'fingerprint 1');
INSERT INTO public.synapse_bum_deletion_tally (id, media_origin, media_id, created_ts, uploader, file_bytes, thumbnail_bytes, noted_ts) OVERRIDING SYSTEM VALUE VALUES (1, 'media_origin 1', 'media_id 1', 1, 'uploader 1', 1, 1, 1);
INSERT INTO public.synapse_bum_deletion_tally (id, media_origin, media_id, created_ts, uploader, file_bytes, thumbnail_bytes, noted_ts) OVERRIDING SYSTEM VALUE VALUES (2, 'media_origin 2', 'media_id 2', 2, 'uploader 2', 2, 2, 2);
INSERT INTO public.synapse_bum_deletion_tally_period (only_row, period, is_read) VALUES (1, 0, 0);
INSERT INTO public.synapse_bum_deletions (id, kind, server_name, media_id, file_id, url_cache, uploader, size_bytes, thumbnail_bytes, created_ts, quarantined_by, policy, actor, reason, leaves, state, planned_ts, done_ts, attempts, next_try_ts, error, logged) OVERRIDING SYSTEM VALUE VALUES (1, 'kind 1', 'server_name 1', 'media_id 1', 'file_id 1', 1, 'uploader 1', 1, 1, 1, 'quarantined_by 1', 'policy 1', 'actor 1', 'reason 1', 'leaves 1', 'state 1', 1, 1, 1, 1, 'error 1', 1);
INSERT INTO public.synapse_bum_deletions (id, kind, server_name, media_id, file_id, url_cache, uploader, size_bytes, thumbnail_bytes, created_ts, quarantined_by, policy, actor, reason, leaves, state, planned_ts, done_ts, attempts, next_try_ts, error, logged) OVERRIDING SYSTEM VALUE VALUES (2, 'kind 2', 'server_name 2', 'media_id 2', 'file_id 2', 2, 'uploader 2', 2, 2, 2, 'quarantined_by 2', 'policy 2', 'actor 2', 'reason 2', 'leaves 2', 'state 2', 2, 2, 2, 2, 'error 2', 2);
INSERT INTO public.synapse_bum_holds (target, reason, until_ts, created_by, created_ts) VALUES ('target 1', 'reason 1', 1, 'created_by 1', 1);
INSERT INTO public.synapse_bum_holds (target, reason, until_ts, created_by, created_ts) VALUES ('target 2', 'reason 2', 2, 'created_by 2', 2);
SELECT pg_catalog.setval('public.synapse_bum_deletion_tally_id_seq', 2, true);
SELECT pg_catalog.setval('public.synapse_bum_deletions_id_seq', 2, true);
ALTER TABLE ONLY public.synapse_bum_deletion_log
    ADD CONSTRAINT synapse_bum_deletion_log_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.synapse_bum_deletion_tally_period
    ADD CONSTRAINT synapse_bum_deletion_tally_period_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.synapse_bum_deletion_tally
    ADD CONSTRAINT synapse_bum_deletion_tally_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.synapse_bum_deletions
    ADD CONSTRAINT synapse_bum_deletions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.synapse_bum_holds
    ADD CONSTRAINT synapse_bum_holds_pkey PRIMARY KEY (target);
CREATE INDEX synapse_bum_deletions_due ON public.synapse_bum_deletions USING btree (next_try_ts, id) WHERE (state <> 'dropped'::text);
CREATE UNIQUE INDEX synapse_bum_deletions_open ON public.synapse_bum_deletions USING btree (kind, server_name, media_id, file_id) WHERE (state <> 'dropped'::text);
CREATE INDEX synapse_bum_deletions_owed ON public.synapse_bum_deletions USING btree (id) WHERE ((logged = 0) OR ((logged = 1) AND (state = 'dropped'::text)));
CREATE INDEX synapse_bum_deletions_planned ON public.synapse_bum_deletions USING btree (planned_ts, id);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('deletion', 3);
