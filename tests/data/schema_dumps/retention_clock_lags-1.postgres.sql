CREATE TABLE public.synapse_bum_retention_clock_lags (
    id bigint NOT NULL,
    wall_from_ts bigint NOT NULL,
    wall_to_ts bigint NOT NULL,
    trusted_to_ts bigint NOT NULL,
    stream_from bigint NOT NULL,
    stream_to bigint NOT NULL
);
INSERT INTO public.synapse_bum_retention_clock_lags (id, wall_from_ts, wall_to_ts, trusted_to_ts, stream_from, stream_to) VALUES (1, 1, 1, 1, 1, 1);
INSERT INTO public.synapse_bum_retention_clock_lags (id, wall_from_ts, wall_to_ts, trusted_to_ts, stream_from, stream_to) VALUES (2, 2, 2, 2, 2, 2);
ALTER TABLE ONLY public.synapse_bum_retention_clock_lags
    ADD CONSTRAINT synapse_bum_retention_clock_lags_pkey PRIMARY KEY (id);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('retention_clock_lags', 1);
