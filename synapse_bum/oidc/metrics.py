"""Metrics of logins and of what they change, in Synapse's own /_synapse/metrics. No user in a label.

Gauges are set by the process that holds the lease of the duty; in all others they are NaN, because 0 is a statement.
"""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge

ADMINS = Gauge(
    "synapse_bum_oidc_admins", "Administrators by a role at the identity provider, those kept included", ["idp_id"]
)
ADMINS_KEPT = Gauge(
    "synapse_bum_oidc_admins_kept",
    "Administrators whose role is gone and who stay because nobody else could administer the server",
)
PENDING_LOGINS = Gauge("synapse_bum_oidc_pending_logins", "Logins that have not changed all that they had to, yet")
FAILURES = Counter(
    "synapse_bum_oidc_failures", "Changes after a login that did not work; they are tried again", ["step"]
)


def show(admins: Mapping[str, int], kept: int, pending: int) -> None:
    """Sets the gauges.

    Args:
        admins: administrators by identity provider, `kept` included.
        kept: whose role is gone.
        pending: logins with something left to do.
    """
    ADMINS.clear()
    for idp_id, count in admins.items():
        ADMINS.labels(idp_id=idp_id).set(count)
    ADMINS_KEPT.set(kept)
    PENDING_LOGINS.set(pending)


def nothing_is_known() -> None:
    """Says that another process tells what the database holds."""
    ADMINS.clear()
    for gauge in (ADMINS_KEPT, PENDING_LOGINS):
        gauge.set(float("nan"))


nothing_is_known()
