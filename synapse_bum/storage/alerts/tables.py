"""The tables of the alerts. Queries stand in `outbox.py`."""

from typing import Final

from synapse_bum.database import Component, Migration

ALERTS: Final = Component(
    "storage_alerts",
    (
        Migration.both(
            1,
            # The thresholds that are reached and that operators have been told of, as decimal numbers.
            (
                "CREATE TABLE synapse_bum_storage_alerts ("
                " threshold TEXT NOT NULL PRIMARY KEY, reached_ts BIGINT NOT NULL)"
            ),
            # Mails that are not sent yet; `thresholds` are divided by spaces. Nobody tries before `not_before_ts`.
            (
                "CREATE TABLE synapse_bum_storage_alert_mails ("
                " mail_id TEXT NOT NULL PRIMARY KEY, reached_ts BIGINT NOT NULL, thresholds TEXT NOT NULL,"
                " users BIGINT NOT NULL, used_bytes BIGINT NOT NULL, included_bytes BIGINT NOT NULL,"
                " gigabyte BIGINT NOT NULL, not_before_ts BIGINT NOT NULL)"
            ),
        ),
    ),
)
