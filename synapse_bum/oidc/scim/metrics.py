"""Metrics of SCIM, in Synapse's own /_synapse/metrics. No user in a label."""

from prometheus_client import Counter

REFUSED_ENDINGS = Counter(
    "synapse_bum_oidc_scim_refused_endings",
    "Requests to end somebody's access that were refused: limit (too many within an hour), last_admin",
    ["reason"],
)
ENDINGS = Counter("synapse_bum_oidc_scim_endings", "Accounts that SCIM has locked")
FAILURES = Counter(
    "synapse_bum_oidc_scim_failures", "Sessions that could not be ended and deactivations that failed; tried again"
)

for _reason in ("limit", "last_admin"):
    REFUSED_ENDINGS.labels(_reason)
