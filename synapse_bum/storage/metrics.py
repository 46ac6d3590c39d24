"""Metrics of the storage accounting, in Synapse's own /_synapse/metrics. No user or file in a label.

Gauges are set by the process that holds the lease of the ledger; in all others they are NaN, because 0 is a statement.
"""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge

from synapse_bum.storage.usage import NOTHING, Pool, Stored

STORED_BYTES = Gauge("synapse_bum_storage_stored_bytes", "Bytes that are stored, whether they count or not", ["kind"])
USED_BYTES = Gauge("synapse_bum_storage_used_bytes", "Bytes that count against the pool")
INCLUDED_BYTES = Gauge("synapse_bum_storage_included_bytes", "Bytes of the pool: what the registered users bring")
EXTENSION_GB = Gauge("synapse_bum_storage_extension_gigabytes", "Started gigabytes beyond the pool")
REGISTERED_USERS = Gauge("synapse_bum_storage_registered_users", "Registered users")
DRIFT_BYTES = Gauge(
    "synapse_bum_storage_drift_bytes",
    "What the last full recount corrected: its sum minus that of the ledger",
    ["kind"],
)
LAST_UPDATE = Gauge("synapse_bum_storage_last_update_timestamp_seconds", "When the ledger was last brought up to date")
LAST_RECOUNT = Gauge("synapse_bum_storage_last_recount_timestamp_seconds", "When everything was last counted anew")
FAILURES = Counter("synapse_bum_storage_failures", "Times that the ledger could not be brought up to date")


def show(stored: Stored, pool: Pool, as_of_ts: int, recounted_ts: int) -> None:
    """Set the gauges after an update.

    Args:
        stored: what the ledger says.
        pool: what that means.
        as_of_ts: of the update; ms since the epoch.
        recounted_ts: of the last full recount; ms since the epoch.
    """
    for kind, size_bytes in stored.by_kind().items():
        STORED_BYTES.labels(kind).set(size_bytes)
    USED_BYTES.set(pool.used_bytes)
    INCLUDED_BYTES.set(pool.included_bytes)
    EXTENSION_GB.set(pool.extension_gb)
    REGISTERED_USERS.set(pool.users)
    LAST_UPDATE.set(as_of_ts / 1000)
    LAST_RECOUNT.set(recounted_ts / 1000)


def show_drift(drift_bytes: Mapping[str, int] | None) -> None:
    """Set what the last full recount corrected, by kind; None when it had nothing to compare with."""
    for kind, size_bytes in (drift_bytes or {}).items():
        DRIFT_BYTES.labels(kind).set(size_bytes)


def nothing_is_known() -> None:
    """Says that this process does not keep the ledger."""
    for gauge in (USED_BYTES, INCLUDED_BYTES, EXTENSION_GB, REGISTERED_USERS, LAST_UPDATE, LAST_RECOUNT):
        gauge.set(float("nan"))
    for kind in NOTHING.by_kind():
        STORED_BYTES.labels(kind).set(float("nan"))
        DRIFT_BYTES.labels(kind).set(float("nan"))


nothing_is_known()
