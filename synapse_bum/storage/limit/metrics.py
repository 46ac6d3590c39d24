"""Metrics of the hard limit, in Synapse's own /_synapse/metrics. No user or file in a label."""

from prometheus_client import Counter

from synapse_bum.storage.limit.decision import Refusal

REFUSED_UPLOADS = Counter(
    "synapse_bum_storage_refused_uploads",
    "Uploads that were refused: pool (the server's limit), user (his share of it), unknown (it could not be told)",
    ["reason"],
)

for _refusal in Refusal:
    REFUSED_UPLOADS.labels(_refusal.value)
