CREATE TABLE public.synapse_bum_retention_purges (
    id bigint NOT NULL,
    room_id text NOT NULL,
    events bigint NOT NULL,
    size_bytes bigint NOT NULL,
    policy text NOT NULL,
    planned_ts bigint NOT NULL,
    done_ts bigint NOT NULL,
    run_id text NOT NULL,
    counted integer NOT NULL,
    state_groups text,
    logged integer DEFAULT 0 NOT NULL
);
ALTER TABLE public.synapse_bum_retention_purges ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.synapse_bum_retention_purges_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
INSERT INTO public.synapse_bum_retention_purges (id, room_id, events, size_bytes, policy, planned_ts, done_ts, run_id, counted, state_groups, logged) OVERRIDING SYSTEM VALUE VALUES (1, 'room_id 1', 1, 1, 'policy 1', 1, 1, 'run_id 1', 1, 'state_groups 1', 1);
INSERT INTO public.synapse_bum_retention_purges (id, room_id, events, size_bytes, policy, planned_ts, done_ts, run_id, counted, state_groups, logged) OVERRIDING SYSTEM VALUE VALUES (2, 'room_id 2', 2, 2, 'policy 2', 2, 2, 'run_id 2', 2, 'state_groups 2', 2);
SELECT pg_catalog.setval('public.synapse_bum_retention_purges_id_seq', 2, true);
ALTER TABLE ONLY public.synapse_bum_retention_purges
    ADD CONSTRAINT synapse_bum_retention_purges_pkey PRIMARY KEY (id);
CREATE INDEX synapse_bum_retention_purges_open ON public.synapse_bum_retention_purges USING btree (id) WHERE (state_groups IS NOT NULL);
CREATE INDEX synapse_bum_retention_purges_owed ON public.synapse_bum_retention_purges USING btree (id) WHERE (logged = 0);
CREATE INDEX synapse_bum_retention_purges_planned ON public.synapse_bum_retention_purges USING btree (planned_ts, id, events);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('retention_purges', 1);
