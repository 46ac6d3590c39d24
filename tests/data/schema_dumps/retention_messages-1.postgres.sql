CREATE TABLE public.synapse_bum_retention_expired_events (
    room_id text NOT NULL,
    event_id text NOT NULL,
    stream_ordering bigint NOT NULL
);
CREATE TABLE public.synapse_bum_retention_left_rooms (
    room_id text NOT NULL,
    removing integer DEFAULT 0 NOT NULL
);
CREATE TABLE public.synapse_bum_retention_message_marks (
    name text NOT NULL,
    value bigint NOT NULL
);
CREATE TABLE public.synapse_bum_retention_message_rooms (
    room_id text NOT NULL,
    oldest_ts bigint NOT NULL
);
INSERT INTO public.synapse_bum_retention_expired_events (room_id, event_id, stream_ordering) VALUES ('room_id 1', 'event_id 1', 1);
INSERT INTO public.synapse_bum_retention_expired_events (room_id, event_id, stream_ordering) VALUES ('room_id 2', 'event_id 2', 2);
INSERT INTO public.synapse_bum_retention_left_rooms (room_id, removing) VALUES ('room_id 1', 1);
INSERT INTO public.synapse_bum_retention_left_rooms (room_id, removing) VALUES ('room_id 2', 2);
INSERT INTO public.synapse_bum_retention_message_marks (name, value) VALUES ('name 1', 1);
INSERT INTO public.synapse_bum_retention_message_marks (name, value) VALUES ('name 2', 2);
INSERT INTO public.synapse_bum_retention_message_rooms (room_id, oldest_ts) VALUES ('room_id 1', 1);
INSERT INTO public.synapse_bum_retention_message_rooms (room_id, oldest_ts) VALUES ('room_id 2', 2);
ALTER TABLE ONLY public.synapse_bum_retention_expired_events
    ADD CONSTRAINT synapse_bum_retention_expired_events_pkey PRIMARY KEY (room_id, event_id);
ALTER TABLE ONLY public.synapse_bum_retention_left_rooms
    ADD CONSTRAINT synapse_bum_retention_left_rooms_pkey PRIMARY KEY (room_id);
ALTER TABLE ONLY public.synapse_bum_retention_message_marks
    ADD CONSTRAINT synapse_bum_retention_message_marks_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.synapse_bum_retention_message_rooms
    ADD CONSTRAINT synapse_bum_retention_message_rooms_pkey PRIMARY KEY (room_id);
CREATE INDEX synapse_bum_retention_message_rooms_due ON public.synapse_bum_retention_message_rooms USING btree (oldest_ts, room_id);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('retention_messages', 1);
