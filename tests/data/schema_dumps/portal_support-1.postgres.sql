CREATE TABLE public.synapse_bum_portal_ticket_mails (
    mail_id text NOT NULL,
    ticket_id text NOT NULL,
    kind text NOT NULL,
    recipient text,
    written_ts bigint NOT NULL,
    not_before_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_portal_tickets (
    ticket_id text NOT NULL,
    category integer NOT NULL,
    text text NOT NULL,
    contact text NOT NULL,
    email text,
    reported_by text NOT NULL,
    reported_ts bigint NOT NULL,
    confirmed_by text,
    confirmed_ts bigint,
    due_ts bigint,
    answered_by text,
    answered_ts bigint,
    answer text
);
INSERT INTO public.synapse_bum_portal_ticket_mails (mail_id, ticket_id, kind, recipient, written_ts, not_before_ts) VALUES ('mail_id 1', 'ticket_id 1', 'kind 1', 'recipient 1', 1, 1);
INSERT INTO public.synapse_bum_portal_ticket_mails (mail_id, ticket_id, kind, recipient, written_ts, not_before_ts) VALUES ('mail_id 2', 'ticket_id 2', 'kind 2', 'recipient 2', 2, 2);
INSERT INTO public.synapse_bum_portal_tickets (ticket_id, category, text, contact, email, reported_by, reported_ts, confirmed_by, confirmed_ts, due_ts, answered_by, answered_ts, answer) VALUES ('ticket_id 1', 1, 'text 1', 'contact 1', 'email 1', 'reported_by 1', 1, 'confirmed_by 1', 1, 1, 'answered_by 1', 1, 'answer 1');
INSERT INTO public.synapse_bum_portal_tickets (ticket_id, category, text, contact, email, reported_by, reported_ts, confirmed_by, confirmed_ts, due_ts, answered_by, answered_ts, answer) VALUES ('ticket_id 2', 2, 'text 2', 'contact 2', 'email 2', 'reported_by 2', 2, 'confirmed_by 2', 2, 2, 'answered_by 2', 2, 'answer 2');
ALTER TABLE ONLY public.synapse_bum_portal_ticket_mails
    ADD CONSTRAINT synapse_bum_portal_ticket_mails_pkey PRIMARY KEY (mail_id);
ALTER TABLE ONLY public.synapse_bum_portal_tickets
    ADD CONSTRAINT synapse_bum_portal_tickets_pkey PRIMARY KEY (ticket_id);
CREATE INDEX synapse_bum_portal_tickets_reported ON public.synapse_bum_portal_tickets USING btree (reported_ts, ticket_id);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('portal_support', 1);
