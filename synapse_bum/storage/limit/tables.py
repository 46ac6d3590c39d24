"""The table of uploads that the ledger does not know yet. Queries stand in `reservations.py`."""

from typing import Final

from synapse_bum.database import Component, Migration

LIMIT: Final = Component(
    "storage_limit",
    (
        Migration.both(
            1,
            # A row for each upload since the last update of the ledger. `process` and `run` tell who carries it out:
            # the worker's name and a random id of this start of it. `finished` is 1 once it has ended.
            "CREATE TABLE synapse_bum_storage_uploads ("
            " ticket TEXT NOT NULL PRIMARY KEY, process TEXT NOT NULL, run TEXT NOT NULL, user_id TEXT NOT NULL,"
            " size_bytes BIGINT NOT NULL, reserved_ts BIGINT NOT NULL, finished INTEGER NOT NULL DEFAULT 0)",
        ),
    ),
)
