"""Metrics of the retention, in Synapse's own /_synapse/metrics. No user, room or file in a label.

Gauges are set by the process that holds the lease of the runs; in all others they are NaN, because 0 is a statement.
"""

from prometheus_client import Counter, Gauge

from synapse_bum.retention.classes import Backlog, RetentionClass

OLDEST_AGE = Gauge(
    "synapse_bum_retention_oldest_expired_age_seconds",
    "Age of the oldest item that should be gone; 0 when there is none",
    ["retention_class"],
)
BACKLOG_ITEMS = Gauge("synapse_bum_retention_backlog_items", "Items that should be gone", ["retention_class"])
BACKLOG_BYTES = Gauge("synapse_bum_retention_backlog_bytes", "Bytes that should be gone", ["retention_class"])
LAST_SUCCESS = Gauge(
    "synapse_bum_retention_last_success_timestamp_seconds",
    "When a run last went through the class to its end",
    ["retention_class"],
)
NEEDS_CONFIRMATION = Gauge(
    "synapse_bum_retention_needs_confirmation",
    "1 while a new or shortened lifetime of a large class waits for an operator",
    ["retention_class"],
)
CLOCK_DOUBTED = Gauge(
    "synapse_bum_retention_clock_doubted", "1 while the system clock has jumped and nothing is deleted by it"
)
DELETED_ITEMS = Counter("synapse_bum_retention_deleted_items", "Items that runs have deleted", ["retention_class"])
DELETED_BYTES = Counter("synapse_bum_retention_deleted_bytes", "Bytes that runs have deleted", ["retention_class"])
FAILURES = Counter(
    "synapse_bum_retention_failures", "Times that a class could not be purged to its end", ["retention_class"]
)


def show_backlog(kind: RetentionClass, backlog: Backlog, now_ms: int) -> None:
    """Set the gauges of one class."""
    oldest_age_ms = 0 if backlog.oldest_ts is None else max(0, now_ms - backlog.oldest_ts)
    OLDEST_AGE.labels(kind.value).set(oldest_age_ms / 1000)
    BACKLOG_ITEMS.labels(kind.value).set(backlog.items)
    BACKLOG_BYTES.labels(kind.value).set(backlog.size_bytes)


def nothing_is_known() -> None:
    """Says that this process does not carry out runs."""
    for gauge in (OLDEST_AGE, BACKLOG_ITEMS, BACKLOG_BYTES, LAST_SUCCESS, NEEDS_CONFIRMATION):
        for kind in RetentionClass:
            gauge.labels(kind.value).set(float("nan"))
    CLOCK_DOUBTED.set(float("nan"))


nothing_is_known()
for _kind in RetentionClass:
    for _counter in (DELETED_ITEMS, DELETED_BYTES, FAILURES):
        _counter.labels(_kind.value)
