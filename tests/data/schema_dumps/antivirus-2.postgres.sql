CREATE TABLE public.synapse_bum_antivirus_arrivals (
    server_name text NOT NULL,
    media_id text NOT NULL,
    sha256 text,
    since_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_antivirus_births (
    media_id text NOT NULL,
    created_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_antivirus_findings (
    server_name text NOT NULL,
    media_id text NOT NULL,
    sha256 text NOT NULL,
    signature text NOT NULL,
    state text NOT NULL,
    source text NOT NULL,
    uploader text,
    reporter text,
    found_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_antivirus_held (
    server_name text NOT NULL,
    media_id text NOT NULL,
    sha256 text NOT NULL,
    since_ts bigint NOT NULL,
    marked smallint DEFAULT 0 NOT NULL
);
CREATE TABLE public.synapse_bum_antivirus_key_verdicts (
    binding text NOT NULL,
    server_name text NOT NULL,
    media_id text NOT NULL,
    verdict text NOT NULL,
    signature text,
    signature_version text,
    proved smallint NOT NULL,
    expires_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_antivirus_links (
    server_name text NOT NULL,
    media_id text NOT NULL,
    event_id text NOT NULL,
    room_id text NOT NULL,
    sender text NOT NULL,
    vouched_by text NOT NULL,
    noted_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_antivirus_scanner (
    instance text NOT NULL,
    status text NOT NULL,
    updated_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_antivirus_suspects (
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    strikes integer NOT NULL,
    last_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_antivirus_totals (
    result text NOT NULL,
    files bigint NOT NULL
);
CREATE TABLE public.synapse_bum_antivirus_verdicts (
    server_name text NOT NULL,
    media_id text NOT NULL,
    state text NOT NULL,
    signature_version text,
    scanned_ts bigint,
    noted_ts bigint NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_try_ts bigint DEFAULT 0 NOT NULL
);
CREATE TABLE public.synapse_bum_antivirus_walks (
    kind text NOT NULL,
    server_name text NOT NULL,
    media_id text NOT NULL,
    finished_ts bigint
);
INSERT INTO public.synapse_bum_antivirus_arrivals (server_name, media_id, sha256, since_ts) VALUES ('server_name 1', 'media_id 1', 'sha256 1', 1);
INSERT INTO public.synapse_bum_antivirus_arrivals (server_name, media_id, sha256, since_ts) VALUES ('server_name 2', 'media_id 2', 'sha256 2', 2);
INSERT INTO public.synapse_bum_antivirus_births (media_id, created_ts) VALUES ('media_id 1', 1);
INSERT INTO public.synapse_bum_antivirus_births (media_id, created_ts) VALUES ('media_id 2', 2);
INSERT INTO public.synapse_bum_antivirus_findings (server_name, media_id, sha256, signature, state, source, uploader, reporter, found_ts) VALUES ('server_name 1', 'media_id 1', 'sha256 1', 'signature 1', 'state 1', 'source 1', 'uploader 1', 'reporter 1', 1);
INSERT INTO public.synapse_bum_antivirus_findings (server_name, media_id, sha256, signature, state, source, uploader, reporter, found_ts) VALUES ('server_name 2', 'media_id 2', 'sha256 2', 'signature 2', 'state 2', 'source 2', 'uploader 2', 'reporter 2', 2);
INSERT INTO public.synapse_bum_antivirus_held (server_name, media_id, sha256, since_ts, marked) VALUES ('server_name 1', 'media_id 1', 'sha256 1', 1, 1);
INSERT INTO public.synapse_bum_antivirus_held (server_name, media_id, sha256, since_ts, marked) VALUES ('server_name 2', 'media_id 2', 'sha256 2', 2, 2);
INSERT INTO public.synapse_bum_antivirus_key_verdicts (binding, server_name, media_id, verdict, signature, signature_version, proved, expires_ts) VALUES ('binding 1', 'server_name 1', 'media_id 1', 'verdict 1', 'signature 1', 'signature_version 1', 1, 1);
INSERT INTO public.synapse_bum_antivirus_key_verdicts (binding, server_name, media_id, verdict, signature, signature_version, proved, expires_ts) VALUES ('binding 2', 'server_name 2', 'media_id 2', 'verdict 2', 'signature 2', 'signature_version 2', 2, 2);
INSERT INTO public.synapse_bum_antivirus_links (server_name, media_id, event_id, room_id, sender, vouched_by, noted_ts) VALUES ('server_name 1', 'media_id 1', 'event_id 1', 'room_id 1', 'sender 1', 'vouched_by 1', 1);
INSERT INTO public.synapse_bum_antivirus_links (server_name, media_id, event_id, room_id, sender, vouched_by, noted_ts) VALUES ('server_name 2', 'media_id 2', 'event_id 2', 'room_id 2', 'sender 2', 'vouched_by 2', 2);
INSERT INTO public.synapse_bum_antivirus_scanner (instance, status, updated_ts) VALUES ('instance 1', 'status 1', 1);
INSERT INTO public.synapse_bum_antivirus_scanner (instance, status, updated_ts) VALUES ('instance 2', 'status 2', 2);
INSERT INTO public.synapse_bum_antivirus_suspects (sha256, size_bytes, strikes, last_ts) VALUES ('sha256 1', 1, 1, 1);
INSERT INTO public.synapse_bum_antivirus_suspects (sha256, size_bytes, strikes, last_ts) VALUES ('sha256 2', 2, 2, 2);
INSERT INTO public.synapse_bum_antivirus_totals (result, files) VALUES ('result 1', 1);
INSERT INTO public.synapse_bum_antivirus_totals (result, files) VALUES ('result 2', 2);
INSERT INTO public.synapse_bum_antivirus_verdicts (server_name, media_id, state, signature_version, scanned_ts, noted_ts, attempts, next_try_ts) VALUES ('server_name 1', 'media_id 1', 'state 1', 'signature_version 1', 1, 1, 1, 1);
INSERT INTO public.synapse_bum_antivirus_verdicts (server_name, media_id, state, signature_version, scanned_ts, noted_ts, attempts, next_try_ts) VALUES ('server_name 2', 'media_id 2', 'state 2', 'signature_version 2', 2, 2, 2, 2);
INSERT INTO public.synapse_bum_antivirus_walks (kind, server_name, media_id, finished_ts) VALUES ('kind 1', 'server_name 1', 'media_id 1', 1);
INSERT INTO public.synapse_bum_antivirus_walks (kind, server_name, media_id, finished_ts) VALUES ('kind 2', 'server_name 2', 'media_id 2', 2);
ALTER TABLE ONLY public.synapse_bum_antivirus_arrivals
    ADD CONSTRAINT synapse_bum_antivirus_arrivals_pkey PRIMARY KEY (server_name, media_id);
ALTER TABLE ONLY public.synapse_bum_antivirus_births
    ADD CONSTRAINT synapse_bum_antivirus_births_pkey PRIMARY KEY (media_id);
ALTER TABLE ONLY public.synapse_bum_antivirus_findings
    ADD CONSTRAINT synapse_bum_antivirus_findings_pkey PRIMARY KEY (server_name, media_id);
ALTER TABLE ONLY public.synapse_bum_antivirus_held
    ADD CONSTRAINT synapse_bum_antivirus_held_pkey PRIMARY KEY (server_name, media_id);
ALTER TABLE ONLY public.synapse_bum_antivirus_key_verdicts
    ADD CONSTRAINT synapse_bum_antivirus_key_verdicts_pkey PRIMARY KEY (binding);
ALTER TABLE ONLY public.synapse_bum_antivirus_links
    ADD CONSTRAINT synapse_bum_antivirus_links_pkey PRIMARY KEY (server_name, media_id, event_id);
ALTER TABLE ONLY public.synapse_bum_antivirus_scanner
    ADD CONSTRAINT synapse_bum_antivirus_scanner_pkey PRIMARY KEY (instance);
ALTER TABLE ONLY public.synapse_bum_antivirus_suspects
    ADD CONSTRAINT synapse_bum_antivirus_suspects_pkey PRIMARY KEY (sha256);
ALTER TABLE ONLY public.synapse_bum_antivirus_totals
    ADD CONSTRAINT synapse_bum_antivirus_totals_pkey PRIMARY KEY (result);
ALTER TABLE ONLY public.synapse_bum_antivirus_verdicts
    ADD CONSTRAINT synapse_bum_antivirus_verdicts_pkey PRIMARY KEY (server_name, media_id);
ALTER TABLE ONLY public.synapse_bum_antivirus_walks
    ADD CONSTRAINT synapse_bum_antivirus_walks_pkey PRIMARY KEY (kind);
CREATE INDEX synapse_bum_antivirus_findings_sha256 ON public.synapse_bum_antivirus_findings USING btree (sha256);
CREATE INDEX synapse_bum_antivirus_findings_ts ON public.synapse_bum_antivirus_findings USING btree (found_ts, server_name, media_id);
CREATE INDEX synapse_bum_antivirus_held_unmarked ON public.synapse_bum_antivirus_held USING btree (since_ts) WHERE (marked = 0);
CREATE INDEX synapse_bum_antivirus_key_verdicts_end ON public.synapse_bum_antivirus_key_verdicts USING btree (expires_ts);
CREATE INDEX synapse_bum_antivirus_key_verdicts_media ON public.synapse_bum_antivirus_key_verdicts USING btree (server_name, media_id);
CREATE INDEX synapse_bum_antivirus_links_event ON public.synapse_bum_antivirus_links USING btree (event_id);
CREATE INDEX synapse_bum_antivirus_unscanned ON public.synapse_bum_antivirus_verdicts USING btree (next_try_ts) WHERE (state = 'unscanned'::text);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('antivirus', 2);
