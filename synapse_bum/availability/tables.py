"""The tables of the availability. Queries stand with the part that asks them; each says which index it uses."""

from synapse_bum.database import Component, Migration

AVAILABILITY = Component(
    "availability",
    (
        Migration.both(
            1,
            # Outages, measured and entered. A measured one that an operator has removed stays as a mark (`removed_ts`),
            # so that the next result of a probe does not bring it back. See `outages.py`.
            "CREATE TABLE synapse_bum_availability_outages (outage_id TEXT NOT NULL PRIMARY KEY,"
            " from_ts BIGINT NOT NULL, to_ts BIGINT, ticket TEXT, excuse TEXT, reason TEXT, source TEXT NOT NULL,"
            " created_by TEXT NOT NULL, created_ts BIGINT NOT NULL, changed_ts BIGINT NOT NULL, removed_ts BIGINT)",
            "CREATE INDEX synapse_bum_availability_outages_from ON synapse_bum_availability_outages (from_ts)",
            # Results of probes: one a minute. See `probes.py`.
            "CREATE TABLE synapse_bum_availability_probes (probe_id TEXT NOT NULL PRIMARY KEY, ts BIGINT NOT NULL,"
            " state TEXT NOT NULL, step TEXT, error TEXT, direct_ms BIGINT, group_ms BIGINT, clock_offset_ms BIGINT,"
            " received_ts BIGINT NOT NULL)",
            "CREATE INDEX synapse_bum_availability_probes_ts ON synapse_bum_availability_probes (ts)",
            "CREATE INDEX synapse_bum_availability_probes_state ON synapse_bum_availability_probes (state, ts)",
            # Announced maintenance. See `maintenance.py`.
            "CREATE TABLE synapse_bum_availability_maintenance (maintenance_id TEXT NOT NULL PRIMARY KEY,"
            " from_ts BIGINT NOT NULL, to_ts BIGINT NOT NULL, text TEXT NOT NULL, created_ts BIGINT NOT NULL)",
            "CREATE INDEX synapse_bum_availability_maintenance_to ON synapse_bum_availability_maintenance (to_ts)",
            # One row: whoever changes one of these tables takes it first, so changes come one after the other.
            "CREATE TABLE synapse_bum_availability_turn (only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),"
            " turns BIGINT NOT NULL)",
            "INSERT INTO synapse_bum_availability_turn VALUES (1, 0)",
        ),
    ),
)
