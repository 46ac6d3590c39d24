"""The identity tables. Queries stand with the feature that asks them; each says which index it uses."""

from synapse_bum.database import Component, Migration

OIDC = Component(
    "oidc",
    (
        Migration.both(
            1,
            # What an identity provider said of a person at the last login, by its subject there. `pending` is 1 until
            # it was applied to the account; the second step of a login may reach another process. `admin` is yes, no or
            # unknown. `bound_email` is the address that was bound to the account because of it.
            "CREATE TABLE synapse_bum_oidc_people (idp_id TEXT NOT NULL, subject TEXT NOT NULL, user_name TEXT,"
            " user_name_key TEXT, display_name TEXT, email TEXT, admin TEXT NOT NULL, pending INTEGER NOT NULL,"
            " login_ts BIGINT NOT NULL, bound_email TEXT, PRIMARY KEY (idp_id, subject))",
            "CREATE INDEX synapse_bum_oidc_people_name ON synapse_bum_oidc_people (idp_id, user_name_key)",
            "CREATE INDEX synapse_bum_oidc_people_pending ON synapse_bum_oidc_people (login_ts) WHERE pending = 1",
            # Who gets a localpart, from the mapping to the registration: two processes may map two people to one name.
            "CREATE TABLE synapse_bum_oidc_localparts (localpart TEXT NOT NULL PRIMARY KEY, idp_id TEXT NOT NULL,"
            " subject TEXT NOT NULL, reserved_ts BIGINT NOT NULL)",
            # Administrators that an identity provider appointed; who was appointed by hand has no row. `revoking` is 1
            # from the decision until all processes were told, and 2 while it waits because nobody else could administer
            # the server.
            "CREATE TABLE synapse_bum_oidc_admin_grants (user_id TEXT NOT NULL, idp_id TEXT NOT NULL,"
            " granted_ts BIGINT NOT NULL, asserted_ts BIGINT NOT NULL, revoking INTEGER NOT NULL,"
            " PRIMARY KEY (user_id, idp_id))",
            "CREATE INDEX synapse_bum_oidc_admin_grants_asserted ON synapse_bum_oidc_admin_grants (asserted_ts)",
            # One row. Whoever takes away an administrator's right waits here: two at once could take the last two.
            "CREATE TABLE synapse_bum_oidc_turn (only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),"
            " turn BIGINT NOT NULL)",
            "INSERT INTO synapse_bum_oidc_turn VALUES (1, 0)",
            # What was provisioned by SCIM, by the person's subject. `active` is 0 while access is ended; `locked_ts` is
            # when SCIM locked the account, null when somebody else had. `log_out` is 1 while work is left: sessions to
            # end, a creation that was cut off (`created_ts` is 0 then), an account to deactivate.
            "CREATE TABLE synapse_bum_oidc_scim_users (idp_id TEXT NOT NULL, subject TEXT NOT NULL,"
            " user_id TEXT NOT NULL, external_id TEXT, user_name TEXT, user_name_key TEXT, display_name TEXT,"
            " given_name TEXT, family_name TEXT, emails TEXT NOT NULL, active INTEGER NOT NULL, locked_ts BIGINT,"
            " log_out INTEGER NOT NULL, deleted_ts BIGINT, deactivated_ts BIGINT, created_ts BIGINT NOT NULL,"
            " modified_ts BIGINT NOT NULL, PRIMARY KEY (idp_id, subject))",
            "CREATE INDEX synapse_bum_oidc_scim_users_name ON synapse_bum_oidc_scim_users (idp_id, user_name_key)",
            "CREATE INDEX synapse_bum_oidc_scim_users_external ON synapse_bum_oidc_scim_users (idp_id, external_id)",
            "CREATE INDEX synapse_bum_oidc_scim_users_of ON synapse_bum_oidc_scim_users (user_id)",
            "CREATE INDEX synapse_bum_oidc_scim_users_deleted ON synapse_bum_oidc_scim_users (deleted_ts)"
            " WHERE deleted_ts IS NOT NULL AND deactivated_ts IS NULL",
            "CREATE INDEX synapse_bum_oidc_scim_users_log_out ON synapse_bum_oidc_scim_users (modified_ts)"
            " WHERE log_out = 1",
            # When SCIM ended whose access, for the limit by the hour.
            "CREATE TABLE synapse_bum_oidc_scim_endings (ts BIGINT NOT NULL, idp_id TEXT NOT NULL,"
            " subject TEXT NOT NULL)",
            "CREATE INDEX synapse_bum_oidc_scim_endings_ts ON synapse_bum_oidc_scim_endings (idp_id, ts)",
        ),
    ),
)
