"""Findings together with their audit rows: what a finding does is written down in one transaction."""

import logging
from collections.abc import Callable

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum import audit
from synapse_bum.antivirus import blocking
from synapse_bum.antivirus.findings import Finding, FindingState, get_finding, record_finding
from synapse_bum.homeserver.media import StoredMedia

logger = logging.getLogger(__name__)

_BLOCK_FAILED = (
    "%s (%s) could not be blocked and is still served: its row is protected from quarantine or gone. Delete it with"
    " DELETE /_synapse/admin/v1/media/<server>/<media id>"
)

ACTOR = "antivirus"
"""Who refuses and blocks, in the audit: the module itself, as it is configured."""


def write_rejected(txn: LoggingTransaction, finding: Finding) -> None:
    """Write the finding about a file that is not stored."""
    _audit(txn, finding, record_finding(txn, finding))


def write_blocked_at_birth(txn: LoggingTransaction, finding: Finding) -> None:
    """Write the finding about an upload that is stored and blocked from its first moment."""
    _audit(txn, finding, blocking.block_at_birth(txn, finding))


def write_blocked(txn: LoggingTransaction, stored: StoredMedia, finding: Callable[[FindingState], Finding]) -> Finding:
    """Quarantine a stored file and write its finding. See `blocking.block_stored`."""
    made, previous = blocking.block_stored(txn, stored, finding)
    _audit(txn, made, previous)
    return made


def complete_births(txn: LoggingTransaction, server_name: str, now_ms: int) -> None:
    """Put our mark on uploads that were blocked at birth. See `blocking.complete_births`."""
    completed = blocking.complete_births(txn, server_name, now_ms)
    for media_id, state in completed.items():
        finding = get_finding(txn, server_name, media_id)
        if state is not FindingState.BLOCKED and finding is not None:
            _audit(txn, attr.evolve(finding, found_ts=now_ms), attr.evolve(finding, state=FindingState.BLOCKED))


def _audit(txn: LoggingTransaction, finding: Finding, previous: Finding | None) -> None:
    audit.append(
        txn,
        audit.Entry(
            ts=finding.found_ts,
            actor=ACTOR,
            action=f"antivirus.{finding.state.value}",
            target=finding.mxc,
            old=None if previous is None else previous.state.value,
            new=finding.as_json(),
            reason=finding.signature,
        ),
    )
    if finding.state is FindingState.BLOCK_FAILED:
        txn.call_after(logger.error, _BLOCK_FAILED, finding.mxc, finding.signature)
