CREATE TABLE public.synapse_bum_retention_remote_media (
    media_origin text NOT NULL,
    media_id text NOT NULL,
    created_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_retention_remote_walk (
    only_row integer NOT NULL,
    media_origin text NOT NULL,
    media_id text NOT NULL,
    pages integer NOT NULL,
    begun_ts bigint,
    completed_ts bigint,
    completed_pages integer NOT NULL,
    CONSTRAINT synapse_bum_retention_remote_walk_only_row_check CHECK ((only_row = 1))
);
INSERT INTO public.synapse_bum_retention_remote_media (media_origin, media_id, created_ts) VALUES ('media_origin 1', 'media_id 1', 1);
INSERT INTO public.synapse_bum_retention_remote_media (media_origin, media_id, created_ts) VALUES ('media_origin 2', 'media_id 2', 2);
INSERT INTO public.synapse_bum_retention_remote_walk (only_row, media_origin, media_id, pages, begun_ts, completed_ts, completed_pages) VALUES (1, '', '', 0, NULL, NULL, 0);
ALTER TABLE ONLY public.synapse_bum_retention_remote_media
    ADD CONSTRAINT synapse_bum_retention_remote_media_pkey PRIMARY KEY (media_origin, media_id);
ALTER TABLE ONLY public.synapse_bum_retention_remote_walk
    ADD CONSTRAINT synapse_bum_retention_remote_walk_pkey PRIMARY KEY (only_row);
CREATE INDEX synapse_bum_retention_remote_media_age ON public.synapse_bum_retention_remote_media USING btree (created_ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('retention_remote_media', 1);
