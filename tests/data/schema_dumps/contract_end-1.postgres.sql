CREATE TABLE public.synapse_bum_contract_end (
    only_row integer NOT NULL,
    closing_id text NOT NULL,
    closed_ts bigint NOT NULL,
    closed_by text NOT NULL,
    grace_days integer NOT NULL,
    CONSTRAINT synapse_bum_contract_end_only_row_check CHECK ((only_row = 1))
);
CREATE TABLE public.synapse_bum_contract_taken (
    kind text NOT NULL,
    key text NOT NULL,
    before text NOT NULL
);
INSERT INTO public.synapse_bum_contract_end (only_row, closing_id, closed_ts, closed_by, grace_days) VALUES (1, 'closing_id 1', 1, 'closed_by 1', 1);
INSERT INTO public.synapse_bum_contract_taken (kind, key, before) VALUES ('kind 1', 'key 1', 'before 1');
INSERT INTO public.synapse_bum_contract_taken (kind, key, before) VALUES ('kind 2', 'key 2', 'before 2');
ALTER TABLE ONLY public.synapse_bum_contract_end
    ADD CONSTRAINT synapse_bum_contract_end_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.synapse_bum_contract_taken
    ADD CONSTRAINT synapse_bum_contract_taken_pkey PRIMARY KEY (kind, key);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('contract_end', 1);
