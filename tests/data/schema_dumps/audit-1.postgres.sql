CREATE TABLE public.synapse_bum_audit (
    id bigint NOT NULL,
    ts bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    old text,
    new text,
    reason text,
    prev_hash text NOT NULL,
    hash text NOT NULL
);
CREATE TABLE public.synapse_bum_audit_head (
    only_row integer NOT NULL,
    id bigint NOT NULL,
    hash text NOT NULL,
    dropped_id bigint NOT NULL,
    dropped_hash text NOT NULL,
    CONSTRAINT synapse_bum_audit_head_only_row_check CHECK ((only_row = 1))
);
INSERT INTO public.synapse_bum_audit (id, ts, actor, action, target, old, new, reason, prev_hash, hash) VALUES (1, 1, 'actor 1', 'action 1', 'target 1', 'old 1', 'new 1', 'reason 1', 'prev_hash 1', 'hash 1');
INSERT INTO public.synapse_bum_audit (id, ts, actor, action, target, old, new, reason, prev_hash, hash) VALUES (2, 2, 'actor 2', 'action 2', 'target 2', 'old 2', 'new 2', 'reason 2', 'prev_hash 2', 'hash 2');
INSERT INTO public.synapse_bum_audit_head (only_row, id, hash, dropped_id, dropped_hash) VALUES (1, 0, '', 0, '');
ALTER TABLE ONLY public.synapse_bum_audit_head
    ADD CONSTRAINT synapse_bum_audit_head_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.synapse_bum_audit
    ADD CONSTRAINT synapse_bum_audit_pkey PRIMARY KEY (id);
CREATE INDEX synapse_bum_audit_action ON public.synapse_bum_audit USING btree (action, id);
CREATE INDEX synapse_bum_audit_ts ON public.synapse_bum_audit USING btree (ts);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('audit', 1);
