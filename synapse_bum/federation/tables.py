"""The federation tables. Queries stand with the feature that asks them; each says which index it uses."""

from synapse_bum.database import Component, Migration

FEDERATION = Component(
    "federation",
    (
        Migration.both(
            1,
            # Partners that stand in no configuration, by name and source. `leaving_until_ts` is set while one is being
            # removed: see `removal.py`.
            "CREATE TABLE synapse_bum_federation_partners (server_name TEXT NOT NULL, source TEXT NOT NULL,"
            " organisation TEXT, valid_from_ts BIGINT, valid_until_ts BIGINT, reason TEXT, ticket TEXT,"
            " requested_by TEXT, created_by TEXT, created_ts BIGINT NOT NULL, leaving_until_ts BIGINT,"
            " leaving_reason TEXT, leaving_by TEXT, PRIMARY KEY (server_name, source))",
            "CREATE INDEX synapse_bum_federation_partners_leaving ON synapse_bum_federation_partners"
            " (leaving_until_ts) WHERE leaving_until_ts IS NOT NULL",
            # One row. Every change counts it up, and so waits here for the one before. See `partners.py`.
            "CREATE TABLE synapse_bum_federation_generation (only_row INTEGER NOT NULL PRIMARY KEY"
            " CHECK (only_row = 1), generation BIGINT NOT NULL, token TEXT NOT NULL, changed_ts BIGINT)",
            "INSERT INTO synapse_bum_federation_generation VALUES (1, 0, '', NULL)",
            # One row: what is known of the signed list. See `list_state.py`.
            "CREATE TABLE synapse_bum_federation_list (only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),"
            " version BIGINT, expires_ts BIGINT, verified_ts BIGINT, checked_ts BIGINT, error TEXT,"
            " pending TEXT, pending_since_ts BIGINT)",
            "INSERT INTO synapse_bum_federation_list (only_row) VALUES (1)",
        ),
    ),
)
