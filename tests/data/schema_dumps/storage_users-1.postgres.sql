CREATE TABLE public.synapse_bum_storage_users (
    user_id text NOT NULL,
    locked integer NOT NULL,
    from_ts bigint NOT NULL,
    until_ts bigint
);
CREATE TABLE public.synapse_bum_storage_users_count (
    only_row integer NOT NULL,
    since_ts bigint NOT NULL,
    counted_ts bigint NOT NULL,
    exclude text NOT NULL,
    CONSTRAINT synapse_bum_storage_users_count_only_row_check CHECK ((only_row = 1))
);
INSERT INTO public.synapse_bum_storage_users (user_id, locked, from_ts, until_ts) VALUES ('user_id 1', 1, 1, 1);
INSERT INTO public.synapse_bum_storage_users (user_id, locked, from_ts, until_ts) VALUES ('user_id 2', 2, 2, 2);
INSERT INTO public.synapse_bum_storage_users_count (only_row, since_ts, counted_ts, exclude) VALUES (1, 1, 1, 'exclude 1');
ALTER TABLE ONLY public.synapse_bum_storage_users_count
    ADD CONSTRAINT synapse_bum_storage_users_count_pkey PRIMARY KEY (only_row);
CREATE UNIQUE INDEX synapse_bum_storage_users_now ON public.synapse_bum_storage_users USING btree (user_id) WHERE (until_ts IS NULL);
CREATE INDEX synapse_bum_storage_users_of ON public.synapse_bum_storage_users USING btree (user_id, until_ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_users', 1);
