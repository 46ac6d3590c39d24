"""Metrics of the federation, in Synapse's own /_synapse/metrics. A server is named only where it was a partner."""

from prometheus_client import Counter, Gauge

DENIALS = Counter(
    "synapse_bum_federation_denials",
    "Answers to Synapse that a server is not allowed; servers that were never partners are `other`",
    ["direction", "server"],
)
LOADED = Gauge("synapse_bum_federation_loaded", "Whether this process knows the partners; without them it denies all")
PARTNERS = Gauge("synapse_bum_federation_partners", "Partners that are allowed now", ["source"])
EXPIRING = Gauge("synapse_bum_federation_partners_expiring", "Partners that end within 14 days")
LAST_CHANGE = Gauge("synapse_bum_federation_last_change_timestamp_seconds", "When the partners last changed")
LIST_AGE = Gauge(
    "synapse_bum_federation_signed_list_age_seconds", "Time since the signed list was last confirmed to be genuine"
)
LIST_ALARM = Gauge(
    "synapse_bum_federation_signed_list_alarm", "1 while the signed list can't be taken over, or waits for `confirm`"
)


def state_is_unknown() -> None:
    """Says that another process tells what the database holds; 0 would be a statement."""
    for gauge in (EXPIRING, LAST_CHANGE, LIST_AGE, LIST_ALARM):
        gauge.set(float("nan"))
    PARTNERS.clear()


state_is_unknown()
LOADED.set(float("nan"))
