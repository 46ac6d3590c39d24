CREATE TABLE public.synapse_bum_oidc_admin_grants (
    user_id text NOT NULL,
    idp_id text NOT NULL,
    granted_ts bigint NOT NULL,
    asserted_ts bigint NOT NULL,
    revoking integer NOT NULL
);
CREATE TABLE public.synapse_bum_oidc_localparts (
    localpart text NOT NULL,
    idp_id text NOT NULL,
    subject text NOT NULL,
    reserved_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_oidc_people (
    idp_id text NOT NULL,
    subject text NOT NULL,
    user_name text,
    user_name_key text,
    display_name text,
    email text,
    admin text NOT NULL,
    pending integer NOT NULL,
    login_ts bigint NOT NULL,
    bound_email text
);
CREATE TABLE public.synapse_bum_oidc_scim_endings (
    ts bigint NOT NULL,
    idp_id text NOT NULL,
    subject text NOT NULL
);
CREATE TABLE public.synapse_bum_oidc_scim_users (
    idp_id text NOT NULL,
    subject text NOT NULL,
    user_id text NOT NULL,
    external_id text,
    user_name text,
    user_name_key text,
    display_name text,
    given_name text,
    family_name text,
    emails text NOT NULL,
    active integer NOT NULL,
    locked_ts bigint,
    log_out integer NOT NULL,
    deleted_ts bigint,
    deactivated_ts bigint,
    created_ts bigint NOT NULL,
    modified_ts bigint NOT NULL
);
CREATE TABLE public.synapse_bum_oidc_turn (
    only_row integer NOT NULL,
    turn bigint NOT NULL,
    CONSTRAINT synapse_bum_oidc_turn_only_row_check CHECK ((only_row = 1))
);
INSERT INTO public.synapse_bum_oidc_admin_grants (user_id, idp_id, granted_ts, asserted_ts, revoking) VALUES ('user_id 1', 'idp_id 1', 1, 1, 1);
INSERT INTO public.synapse_bum_oidc_admin_grants (user_id, idp_id, granted_ts, asserted_ts, revoking) VALUES ('user_id 2', 'idp_id 2', 2, 2, 2);
INSERT INTO public.synapse_bum_oidc_localparts (localpart, idp_id, subject, reserved_ts) VALUES ('localpart 1', 'idp_id 1', 'subject 1', 1);
INSERT INTO public.synapse_bum_oidc_localparts (localpart, idp_id, subject, reserved_ts) VALUES ('localpart 2', 'idp_id 2', 'subject 2', 2);
INSERT INTO public.synapse_bum_oidc_people (idp_id, subject, user_name, user_name_key, display_name, email, admin, pending, login_ts, bound_email) VALUES ('idp_id 1', 'subject 1', 'user_name 1', 'user_name_key 1', 'display_name 1', 'email 1', 'admin 1', 1, 1, 'bound_email 1');
INSERT INTO public.synapse_bum_oidc_people (idp_id, subject, user_name, user_name_key, display_name, email, admin, pending, login_ts, bound_email) VALUES ('idp_id 2', 'subject 2', 'user_name 2', 'user_name_key 2', 'display_name 2', 'email 2', 'admin 2', 2, 2, 'bound_email 2');
INSERT INTO public.synapse_bum_oidc_scim_endings (ts, idp_id, subject) VALUES (1, 'idp_id 1', 'subject 1');
INSERT INTO public.synapse_bum_oidc_scim_endings (ts, idp_id, subject) VALUES (2, 'idp_id 2', 'subject 2');
INSERT INTO public.synapse_bum_oidc_scim_users (idp_id, subject, user_id, external_id, user_name, user_name_key, display_name, given_name, family_name, emails, active, locked_ts, log_out, deleted_ts, deactivated_ts, created_ts, modified_ts) VALUES ('idp_id 1', 'subject 1', 'user_id 1', 'external_id 1', 'user_name 1', 'user_name_key 1', 'display_name 1', 'given_name 1', 'family_name 1', 'emails 1', 1, 1, 1, 1, 1, 1, 1);
INSERT INTO public.synapse_bum_oidc_scim_users (idp_id, subject, user_id, external_id, user_name, user_name_key, display_name, given_name, family_name, emails, active, locked_ts, log_out, deleted_ts, deactivated_ts, created_ts, modified_ts) VALUES ('idp_id 2', 'subject 2', 'user_id 2', 'external_id 2', 'user_name 2', 'user_name_key 2', 'display_name 2', 'given_name 2', 'family_name 2', 'emails 2', 2, 2, 2, 2, 2, 2, 2);
INSERT INTO public.synapse_bum_oidc_turn (only_row, turn) VALUES (1, 0);
ALTER TABLE ONLY public.synapse_bum_oidc_admin_grants
    ADD CONSTRAINT synapse_bum_oidc_admin_grants_pkey PRIMARY KEY (user_id, idp_id);
ALTER TABLE ONLY public.synapse_bum_oidc_localparts
    ADD CONSTRAINT synapse_bum_oidc_localparts_pkey PRIMARY KEY (localpart);
ALTER TABLE ONLY public.synapse_bum_oidc_people
    ADD CONSTRAINT synapse_bum_oidc_people_pkey PRIMARY KEY (idp_id, subject);
ALTER TABLE ONLY public.synapse_bum_oidc_scim_users
    ADD CONSTRAINT synapse_bum_oidc_scim_users_pkey PRIMARY KEY (idp_id, subject);
ALTER TABLE ONLY public.synapse_bum_oidc_turn
    ADD CONSTRAINT synapse_bum_oidc_turn_pkey PRIMARY KEY (only_row);
CREATE INDEX synapse_bum_oidc_admin_grants_asserted ON public.synapse_bum_oidc_admin_grants USING btree (asserted_ts);
CREATE INDEX synapse_bum_oidc_people_name ON public.synapse_bum_oidc_people USING btree (idp_id, user_name_key);
CREATE INDEX synapse_bum_oidc_people_pending ON public.synapse_bum_oidc_people USING btree (login_ts) WHERE (pending = 1);
CREATE INDEX synapse_bum_oidc_scim_endings_ts ON public.synapse_bum_oidc_scim_endings USING btree (idp_id, ts);
CREATE INDEX synapse_bum_oidc_scim_users_deleted ON public.synapse_bum_oidc_scim_users USING btree (deleted_ts) WHERE ((deleted_ts IS NOT NULL) AND (deactivated_ts IS NULL));
CREATE INDEX synapse_bum_oidc_scim_users_external ON public.synapse_bum_oidc_scim_users USING btree (idp_id, external_id);
CREATE INDEX synapse_bum_oidc_scim_users_log_out ON public.synapse_bum_oidc_scim_users USING btree (modified_ts) WHERE (log_out = 1);
CREATE INDEX synapse_bum_oidc_scim_users_name ON public.synapse_bum_oidc_scim_users USING btree (idp_id, user_name_key);
CREATE INDEX synapse_bum_oidc_scim_users_of ON public.synapse_bum_oidc_scim_users USING btree (user_id);
CREATE TABLE IF NOT EXISTS synapse_bum_schema (component TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO synapse_bum_schema VALUES ('oidc', 1);
