CREATE TABLE public.synapse_bum_storage_arrivals (
    media_origin text NOT NULL,
    media_id text NOT NULL,
    created_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_storage_ledger (
    only_row integer NOT NULL,
    settled_ts bigint NOT NULL,
    as_of_ts bigint NOT NULL,
    recounted_ts bigint NOT NULL,
    period integer,
    local_files bigint NOT NULL,
    local_file_bytes bigint NOT NULL,
    local_thumbnail_bytes bigint NOT NULL,
    remote_files bigint NOT NULL,
    remote_file_bytes bigint NOT NULL,
    remote_thumbnail_bytes bigint NOT NULL,
    recent_local_files bigint NOT NULL,
    recent_local_file_bytes bigint NOT NULL,
    recent_local_thumbnail_bytes bigint NOT NULL,
    recent_remote_files bigint NOT NULL,
    recent_remote_file_bytes bigint NOT NULL,
    recent_remote_thumbnail_bytes bigint NOT NULL,
    drift_local bigint,
    drift_remote bigint,
    drift_thumbnails bigint,
    CONSTRAINT synapse_bum_storage_ledger_only_row_check CHECK ((only_row = 1))
);
CREATE TABLE public.synapse_bum_storage_recent (
    user_id text NOT NULL,
    files bigint NOT NULL,
    file_bytes bigint NOT NULL,
    thumbnail_bytes bigint NOT NULL
);
CREATE TABLE public.synapse_bum_storage_uploaders (
    user_id text NOT NULL,
    files bigint NOT NULL,
    file_bytes bigint NOT NULL,
    thumbnail_bytes bigint NOT NULL
);
CREATE TABLE public.synapse_bum_storage_watched (
    media_origin text NOT NULL,
    media_id text NOT NULL,
    created_ts bigint NOT NULL,
    uploader text NOT NULL,
    files bigint NOT NULL,
    file_bytes bigint NOT NULL,
    thumbnail_bytes bigint NOT NULL,
    until_ts bigint NOT NULL
);
INSERT INTO public.synapse_bum_storage_arrivals (media_origin, media_id, created_ts) VALUES ('media_origin 1', 'media_id 1', 1);
INSERT INTO public.synapse_bum_storage_arrivals (media_origin, media_id, created_ts) VALUES ('media_origin 2', 'media_id 2', 2);
INSERT INTO public.synapse_bum_storage_ledger (only_row, settled_ts, as_of_ts, recounted_ts, period, local_files, local_file_bytes, local_thumbnail_bytes, remote_files, remote_file_bytes, remote_thumbnail_bytes, recent_local_files, recent_local_file_bytes, recent_local_thumbnail_bytes, recent_remote_files, recent_remote_file_bytes, recent_remote_thumbnail_bytes, drift_local, drift_remote, drift_thumbnails) VALUES (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
INSERT INTO public.synapse_bum_storage_recent (user_id, files, file_bytes, thumbnail_bytes) VALUES ('user_id 1', 1, 1, 1);
INSERT INTO public.synapse_bum_storage_recent (user_id, files, file_bytes, thumbnail_bytes) VALUES ('user_id 2', 2, 2, 2);
INSERT INTO public.synapse_bum_storage_uploaders (user_id, files, file_bytes, thumbnail_bytes) VALUES ('user_id 1', 1, 1, 1);
INSERT INTO public.synapse_bum_storage_uploaders (user_id, files, file_bytes, thumbnail_bytes) VALUES ('user_id 2', 2, 2, 2);
INSERT INTO public.synapse_bum_storage_watched (media_origin, media_id, created_ts, uploader, files, file_bytes, thumbnail_bytes, until_ts) VALUES ('media_origin 1', 'media_id 1', 1, 'uploader 1', 1, 1, 1, 1);
INSERT INTO public.synapse_bum_storage_watched (media_origin, media_id, created_ts, uploader, files, file_bytes, thumbnail_bytes, until_ts) VALUES ('media_origin 2', 'media_id 2', 2, 'uploader 2', 2, 2, 2, 2);
ALTER TABLE ONLY public.synapse_bum_storage_arrivals
    ADD CONSTRAINT synapse_bum_storage_arrivals_pkey PRIMARY KEY (media_origin, media_id, created_ts);
ALTER TABLE ONLY public.synapse_bum_storage_ledger
    ADD CONSTRAINT synapse_bum_storage_ledger_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.synapse_bum_storage_recent
    ADD CONSTRAINT synapse_bum_storage_recent_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY public.synapse_bum_storage_uploaders
    ADD CONSTRAINT synapse_bum_storage_uploaders_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY public.synapse_bum_storage_watched
    ADD CONSTRAINT synapse_bum_storage_watched_pkey PRIMARY KEY (media_origin, media_id, created_ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_ledger', 1);
