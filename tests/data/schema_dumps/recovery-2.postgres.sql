CREATE TABLE public.synapse_bum_recovery_deleted_files (
    server_name text NOT NULL,
    media_id text NOT NULL,
    noted_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_recovery_devices (
    user_id text NOT NULL,
    device_id text NOT NULL
);
CREATE TABLE public.synapse_bum_recovery_held_events (
    event_id text NOT NULL,
    room_id text NOT NULL,
    sender text NOT NULL,
    json text NOT NULL
);
CREATE TABLE public.synapse_bum_recovery_held_rooms (
    room_id text NOT NULL
);
CREATE TABLE public.synapse_bum_recovery_memberships (
    room_id text NOT NULL,
    user_id text NOT NULL,
    membership text NOT NULL,
    set_by text NOT NULL
);
CREATE TABLE public.synapse_bum_recovery_tidying (
    user_id text NOT NULL,
    erase integer NOT NULL
);
INSERT INTO public.synapse_bum_recovery_deleted_files (server_name, media_id, noted_ts) VALUES ('server_name 1', 'media_id 1', 1);
INSERT INTO public.synapse_bum_recovery_deleted_files (server_name, media_id, noted_ts) VALUES ('server_name 2', 'media_id 2', 2);
INSERT INTO public.synapse_bum_recovery_devices (user_id, device_id) VALUES ('user_id 1', 'device_id 1');
INSERT INTO public.synapse_bum_recovery_devices (user_id, device_id) VALUES ('user_id 2', 'device_id 2');
INSERT INTO public.synapse_bum_recovery_held_events (event_id, room_id, sender, json) VALUES ('event_id 1', 'room_id 1', 'sender 1', 'json 1');
INSERT INTO public.synapse_bum_recovery_held_events (event_id, room_id, sender, json) VALUES ('event_id 2', 'room_id 2', 'sender 2', 'json 2');
INSERT INTO public.synapse_bum_recovery_held_rooms (room_id) VALUES ('room_id 1');
INSERT INTO public.synapse_bum_recovery_held_rooms (room_id) VALUES ('room_id 2');
INSERT INTO public.synapse_bum_recovery_memberships (room_id, user_id, membership, set_by) VALUES ('room_id 1', 'user_id 1', 'membership 1', 'set_by 1');
INSERT INTO public.synapse_bum_recovery_memberships (room_id, user_id, membership, set_by) VALUES ('room_id 2', 'user_id 2', 'membership 2', 'set_by 2');
INSERT INTO public.synapse_bum_recovery_tidying (user_id, erase) VALUES ('user_id 1', 1);
INSERT INTO public.synapse_bum_recovery_tidying (user_id, erase) VALUES ('user_id 2', 2);
ALTER TABLE ONLY public.synapse_bum_recovery_deleted_files
    ADD CONSTRAINT synapse_bum_recovery_deleted_files_pkey PRIMARY KEY (server_name, media_id);
ALTER TABLE ONLY public.synapse_bum_recovery_devices
    ADD CONSTRAINT synapse_bum_recovery_devices_pkey PRIMARY KEY (user_id, device_id);
ALTER TABLE ONLY public.synapse_bum_recovery_held_events
    ADD CONSTRAINT synapse_bum_recovery_held_events_pkey PRIMARY KEY (event_id);
ALTER TABLE ONLY public.synapse_bum_recovery_held_rooms
    ADD CONSTRAINT synapse_bum_recovery_held_rooms_pkey PRIMARY KEY (room_id);
ALTER TABLE ONLY public.synapse_bum_recovery_memberships
    ADD CONSTRAINT synapse_bum_recovery_memberships_pkey PRIMARY KEY (room_id, user_id);
ALTER TABLE ONLY public.synapse_bum_recovery_tidying
    ADD CONSTRAINT synapse_bum_recovery_tidying_pkey PRIMARY KEY (user_id);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('recovery', 2);
