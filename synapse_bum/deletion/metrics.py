"""Metrics of deletions, in Synapse's own /_synapse/metrics. No user, room or file in a label."""

from prometheus_client import Counter, Gauge

FILES = Counter("synapse_bum_deleted_files", "Files of which nothing is left", ["kind", "policy"])
BYTES = Counter(
    "synapse_bum_deleted_bytes", "Bytes of files of which nothing is left, thumbnails included", ["kind", "policy"]
)
PENDING = Gauge("synapse_bum_deletions_pending", "Files that are hidden from everybody and not removed yet")
FAILING = Gauge("synapse_bum_deletions_failing", "Files that are hidden from everybody and could not be removed so far")
LOG_FAILING = Gauge(
    "synapse_bum_deletion_log_failing", "1 while deletions can't be written to `deletion_log_path`; they go on"
)
HOLDS = Gauge("synapse_bum_holds", "Holds in force")
HOLDS_ENDING = Gauge("synapse_bum_holds_ending", "Holds that end within 14 days")
for _gauge in (HOLDS, HOLDS_ENDING):
    # Known after five minutes, in processes with the media volume; 0 would be a statement.
    _gauge.set(float("nan"))


def count_is_unknown() -> None:
    """Says that this process does not remove files; 0 would be a statement."""
    for gauge in (PENDING, FAILING):
        gauge.set(float("nan"))


def log_is_not_kept_here() -> None:
    """Says that this process does not write the deletion log; 0 would be a statement."""
    LOG_FAILING.set(float("nan"))


count_is_unknown()
log_is_not_kept_here()
