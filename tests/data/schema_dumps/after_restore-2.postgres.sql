CREATE TABLE public.synapse_bum_recovery_log (
    only_row integer NOT NULL,
    last_seq bigint NOT NULL,
    known_bytes bigint NOT NULL,
    fingerprint text NOT NULL,
    last_line_id text DEFAULT ''::text NOT NULL,
    agreed_count bigint DEFAULT 0 NOT NULL,
    CONSTRAINT synapse_bum_recovery_log_only_row_check CHECK ((only_row = 1))
);
CREATE TABLE public.synapse_bum_recovery_owed (
    id bigint NOT NULL,
    line_id text NOT NULL,
    source text NOT NULL,
    key text NOT NULL,
    state text NOT NULL,
    ts bigint NOT NULL
);
ALTER TABLE public.synapse_bum_recovery_owed ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.synapse_bum_recovery_owed_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.synapse_bum_recovery_seen (
    source text NOT NULL,
    key text NOT NULL,
    state text NOT NULL
);
CREATE TABLE public.synapse_bum_recovery_sources (
    source text NOT NULL,
    known_seq bigint NOT NULL
);
INSERT INTO public.synapse_bum_recovery_log (only_row, last_seq, known_bytes, fingerprint, last_line_id, agreed_count) VALUES (1, 1, 1, 'fingerprint 1', 'last_line_id 1', 1);
INSERT INTO public.synapse_bum_recovery_owed (id, line_id, source, key, state, ts) OVERRIDING SYSTEM VALUE VALUES (1, 'line_id 1', 'source 1', 'key 1', 'state 1', 1);
INSERT INTO public.synapse_bum_recovery_owed (id, line_id, source, key, state, ts) OVERRIDING SYSTEM VALUE VALUES (2, 'line_id 2', 'source 2', 'key 2', 'state 2', 2);
INSERT INTO public.synapse_bum_recovery_seen (source, key, state) VALUES ('source 1', 'key 1', 'state 1');
INSERT INTO public.synapse_bum_recovery_seen (source, key, state) VALUES ('source 2', 'key 2', 'state 2');
INSERT INTO public.synapse_bum_recovery_sources (source, known_seq) VALUES ('source 1', 1);
INSERT INTO public.synapse_bum_recovery_sources (source, known_seq) VALUES ('source 2', 2);
SELECT pg_catalog.setval('public.synapse_bum_recovery_owed_id_seq', 2, true);
ALTER TABLE ONLY public.synapse_bum_recovery_log
    ADD CONSTRAINT synapse_bum_recovery_log_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.synapse_bum_recovery_owed
    ADD CONSTRAINT synapse_bum_recovery_owed_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.synapse_bum_recovery_seen
    ADD CONSTRAINT synapse_bum_recovery_seen_pkey PRIMARY KEY (source, key);
ALTER TABLE ONLY public.synapse_bum_recovery_sources
    ADD CONSTRAINT synapse_bum_recovery_sources_pkey PRIMARY KEY (source);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('after_restore', 2);
