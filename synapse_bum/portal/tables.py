"""The portal's tables of sessions and forms. `sweep.py` drops what is older than the longest session."""

from typing import Final

from synapse_bum.database import Component, Migration

PORTAL: Final = Component(
    "portal",
    (
        Migration.both(
            1,
            # Sessions that were ended before their time; see `records.py`.
            "CREATE TABLE synapse_bum_portal_ended_sessions ("
            " session_id TEXT NOT NULL PRIMARY KEY, until_ts BIGINT NOT NULL)",
            "CREATE INDEX synapse_bum_portal_ended_sessions_until ON synapse_bum_portal_ended_sessions (until_ts)",
            # Forms that were sent; `location` is where the browser was led afterwards.
            "CREATE TABLE synapse_bum_portal_sent_forms ("
            " form_id TEXT NOT NULL PRIMARY KEY, until_ts BIGINT NOT NULL, location TEXT)",
            "CREATE INDEX synapse_bum_portal_sent_forms_until ON synapse_bum_portal_sent_forms (until_ts)",
        ),
    ),
)
