"""Findings together with their audit rows: what a finding does is written down in one transaction."""

from collections.abc import Callable

from synapse.module_api import LoggingTransaction

from synapse_bum import audit
from synapse_bum.antivirus import blocking
from synapse_bum.antivirus.findings import Finding, FindingState, record_finding
from synapse_bum.homeserver.media import StoredMedia

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
