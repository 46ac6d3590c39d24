"""Findings together with their audit rows: what a finding does is written down in one transaction."""

from collections.abc import Callable

from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus import blocking
from synapse_bum.antivirus.findings import Finding, FindingState, record_finding
from synapse_bum.homeserver.media import StoredMedia


def write_rejected(txn: LoggingTransaction, finding: Finding) -> None:
    """Write the finding about a file that is not stored."""
    record_finding(txn, finding)


def write_blocked_at_birth(txn: LoggingTransaction, finding: Finding) -> None:
    """Write the finding about an upload that is stored and blocked from its first moment."""
    blocking.block_at_birth(txn, finding)


def write_blocked(txn: LoggingTransaction, stored: StoredMedia, finding: Callable[[FindingState], Finding]) -> Finding:
    """Quarantine a stored file and write its finding. See `blocking.block_stored`."""
    return blocking.block_stored(txn, stored, finding)
