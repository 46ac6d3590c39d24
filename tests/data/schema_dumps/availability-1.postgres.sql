CREATE TABLE public.synapse_bum_availability_maintenance (
    maintenance_id text NOT NULL,
    from_ts bigint NOT NULL,
    to_ts bigint NOT NULL,
    text text NOT NULL,
    created_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_availability_outages (
    outage_id text NOT NULL,
    from_ts bigint NOT NULL,
    to_ts bigint,
    ticket text,
    excuse text,
    reason text,
    source text NOT NULL,
    created_by text NOT NULL,
    created_ts bigint NOT NULL,
    changed_ts bigint NOT NULL,
    removed_ts bigint
);
CREATE TABLE public.synapse_bum_availability_probes (
    probe_id text NOT NULL,
    ts bigint NOT NULL,
    state text NOT NULL,
    step text,
    error text,
    direct_ms bigint,
    group_ms bigint,
    clock_offset_ms bigint,
    received_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_availability_turn (
    only_row integer NOT NULL,
    turns bigint NOT NULL,
    CONSTRAINT synapse_bum_availability_turn_only_row_check CHECK ((only_row = 1))
);
INSERT INTO public.synapse_bum_availability_maintenance (maintenance_id, from_ts, to_ts, text, created_ts) VALUES ('maintenance_id 1', 1, 1, 'text 1', 1);
INSERT INTO public.synapse_bum_availability_maintenance (maintenance_id, from_ts, to_ts, text, created_ts) VALUES ('maintenance_id 2', 2, 2, 'text 2', 2);
INSERT INTO public.synapse_bum_availability_outages (outage_id, from_ts, to_ts, ticket, excuse, reason, source, created_by, created_ts, changed_ts, removed_ts) VALUES ('outage_id 1', 1, 1, 'ticket 1', 'excuse 1', 'reason 1', 'source 1', 'created_by 1', 1, 1, 1);
INSERT INTO public.synapse_bum_availability_outages (outage_id, from_ts, to_ts, ticket, excuse, reason, source, created_by, created_ts, changed_ts, removed_ts) VALUES ('outage_id 2', 2, 2, 'ticket 2', 'excuse 2', 'reason 2', 'source 2', 'created_by 2', 2, 2, 2);
INSERT INTO public.synapse_bum_availability_probes (probe_id, ts, state, step, error, direct_ms, group_ms, clock_offset_ms, received_ts) VALUES ('probe_id 1', 1, 'state 1', 'step 1', 'error 1', 1, 1, 1, 1);
INSERT INTO public.synapse_bum_availability_probes (probe_id, ts, state, step, error, direct_ms, group_ms, clock_offset_ms, received_ts) VALUES ('probe_id 2', 2, 'state 2', 'step 2', 'error 2', 2, 2, 2, 2);
INSERT INTO public.synapse_bum_availability_turn (only_row, turns) VALUES (1, 0);
ALTER TABLE ONLY public.synapse_bum_availability_maintenance
    ADD CONSTRAINT synapse_bum_availability_maintenance_pkey PRIMARY KEY (maintenance_id);
ALTER TABLE ONLY public.synapse_bum_availability_outages
    ADD CONSTRAINT synapse_bum_availability_outages_pkey PRIMARY KEY (outage_id);
ALTER TABLE ONLY public.synapse_bum_availability_probes
    ADD CONSTRAINT synapse_bum_availability_probes_pkey PRIMARY KEY (probe_id);
ALTER TABLE ONLY public.synapse_bum_availability_turn
    ADD CONSTRAINT synapse_bum_availability_turn_pkey PRIMARY KEY (only_row);
CREATE INDEX synapse_bum_availability_maintenance_to ON public.synapse_bum_availability_maintenance USING btree (to_ts);
CREATE INDEX synapse_bum_availability_outages_from ON public.synapse_bum_availability_outages USING btree (from_ts);
CREATE INDEX synapse_bum_availability_probes_state ON public.synapse_bum_availability_probes USING btree (state, ts);
CREATE INDEX synapse_bum_availability_probes_ts ON public.synapse_bum_availability_probes USING btree (ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('availability', 1);
