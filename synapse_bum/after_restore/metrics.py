"""Metrics of the recovery log, in Synapse's own /_synapse/metrics. No user, room or file in a label."""

from prometheus_client import Counter, Gauge

LINES = Counter("synapse_bum_recovery_lines", "Lines that were written to the recovery log", ["source"])
OWED = Gauge("synapse_bum_recovery_owed", "Changes that wait for being written to the recovery log")
FAILING = Gauge(
    "synapse_bum_recovery_log_failing", "1 while nothing can be written to the recovery log; changes wait for it"
)


def log_is_not_kept_here() -> None:
    """Says that this process does not write the log; 0 would be a statement."""
    for gauge in (OWED, FAILING):
        gauge.set(float("nan"))


log_is_not_kept_here()
