"""Metrics of the alerts, in Synapse's own /_synapse/metrics."""

from prometheus_client import Counter, Gauge

REACHED = Gauge(
    "synapse_bum_storage_threshold_reached",
    "1 while a threshold of the pool is reached, 0 while it is not",
    ["threshold"],
)
MAILS = Counter("synapse_bum_storage_alert_mails", "Mails to the operators: sent, failed (tried again)", ["outcome"])
SENT = MAILS.labels("sent")
FAILED = MAILS.labels("failed")
