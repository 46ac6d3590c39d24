"""Metrics of purging messages, in Synapse's own /_synapse/metrics. No room or user in a label."""

from prometheus_client import Counter

FAILED_ROOMS = Counter(
    "synapse_bum_retention_failed_rooms", "Times that a room's messages could not be deleted in a run; the next tries"
)
REMOVED_ROOMS = Counter(
    "synapse_bum_retention_removed_rooms", "Rooms removed because nobody here was in them and all in them had expired"
)
