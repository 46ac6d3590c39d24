CREATE TABLE public.synapse_bum_storage_snapshots (
    day text NOT NULL,
    ts bigint NOT NULL,
    users integer NOT NULL,
    locked_users integer NOT NULL,
    local_files bigint NOT NULL,
    local_bytes bigint NOT NULL,
    local_thumbnail_bytes bigint NOT NULL,
    remote_files bigint NOT NULL,
    remote_bytes bigint NOT NULL,
    remote_thumbnail_bytes bigint NOT NULL,
    used_bytes bigint NOT NULL,
    included_bytes bigint NOT NULL,
    gigabyte bigint NOT NULL
);
INSERT INTO public.synapse_bum_storage_snapshots (day, ts, users, locked_users, local_files, local_bytes, local_thumbnail_bytes, remote_files, remote_bytes, remote_thumbnail_bytes, used_bytes, included_bytes, gigabyte) VALUES ('day 1', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
INSERT INTO public.synapse_bum_storage_snapshots (day, ts, users, locked_users, local_files, local_bytes, local_thumbnail_bytes, remote_files, remote_bytes, remote_thumbnail_bytes, used_bytes, included_bytes, gigabyte) VALUES ('day 2', 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2);
ALTER TABLE ONLY public.synapse_bum_storage_snapshots
    ADD CONSTRAINT synapse_bum_storage_snapshots_pkey PRIMARY KEY (day);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('storage_snapshots', 1);
