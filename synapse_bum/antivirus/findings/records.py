"""Findings together with their audit rows: what a finding does is written down in one transaction."""

import logging
from collections.abc import Callable, Sequence

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum import audit
from synapse_bum.antivirus.findings.exemptions import is_exempt, is_overtaken, take_turn
from synapse_bum.antivirus.findings.finding import Finding, FindingState, change_state, get_finding, record_finding
from synapse_bum.antivirus.quarantine import blocking
from synapse_bum.homeserver.media import StoredMedia

logger = logging.getLogger(__name__)

_BLOCK_FAILED = (
    "%s (%s) could not be blocked and is still served: %s. Delete it with"
    " DELETE /_synapse/client/bum/v1/antivirus/findings/<server>/<media id>"
)
_UNMARKED = "its row is protected from quarantine or gone"

ACTOR = "antivirus"
"""Who refuses and blocks, in the audit: the module itself, as it is configured."""

Permit = Callable[[LoggingTransaction, str], bool]
"""Asked with the signature, in the transaction that would block: whether it may."""


def write_rejected(txn: LoggingTransaction, finding: Finding) -> bool:
    """Write the finding about a file that is not stored, or about a key of one that is.

    Returns:
        False when nothing was written: an operator has released these bytes since their scan began, or a finding about
        one key would replace one about the whole file.
    """
    take_turn(txn)
    if is_exempt(txn, finding.sha256, finding.signature):
        return False
    previous = get_finding(txn, finding.server_name, finding.media_id)
    if finding.refuses_one_key_only and previous is not None and previous.keeps_out:
        return False
    _audit(txn, finding, record_finding(txn, finding))
    return True


def write_blocked_at_birth(txn: LoggingTransaction, finding: Finding) -> None:
    """Write the finding about an upload that is stored and blocked from its first moment."""
    take_turn(txn)
    _audit(txn, finding, blocking.block_at_birth(txn, finding))


def write_blocked(
    txn: LoggingTransaction,
    stored: StoredMedia,
    finding: Callable[[FindingState], Finding],
    *,
    begun_ms: int,
    permit: Permit | None = None,
) -> Finding | None:
    """Quarantine a stored file and write its finding. See `blocking.block_stored`.

    Args:
        txn: in a transaction.
        stored: the file.
        finding: makes the finding for a state.
        begun_ms: when the scan began, in ms since the epoch.
        permit: may say no, after which nothing is blocked.

    Returns:
        The finding; None when nothing was done, because `permit` said no, an operator has released these bytes since
        the scan began, or the file was deleted.
    """
    take_turn(txn)
    wanted = finding(FindingState.BLOCKED)
    if is_overtaken(txn, wanted.sha256, wanted.signature, begun_ms):
        return None
    if permit is not None and not permit(txn, wanted.signature):
        return None
    before = get_finding(txn, stored.server_name, stored.media_id)
    if before is not None and before.state is FindingState.DELETED:
        return None
    made, previous = blocking.block_stored(txn, stored, finding)
    _audit(txn, made, previous)
    return made


def write_block_failed(txn: LoggingTransaction, finding: Finding, doors: Sequence[str], now_ms: int) -> Finding | None:
    """Write down that a blocked file is served all the same.

    Returns:
        The finding; None when it is not blocked any more, so that there is nothing to complain about.
    """
    if not change_state(txn, finding.server_name, finding.media_id, FindingState.BLOCKED, FindingState.BLOCK_FAILED):
        return None
    failed = attr.evolve(finding, state=FindingState.BLOCK_FAILED)
    _audit(txn, failed, finding, now_ms, f"open: {', '.join(doors)}")
    return failed


def complete_births(txn: LoggingTransaction, server_name: str, now_ms: int, only: str | None = None) -> list[Finding]:
    """Put our mark on uploads that were blocked at birth. See `blocking.complete_births`.

    Returns:
        The findings about those that are stored and have our mark now.
    """
    blocked = []
    for media_id, state in blocking.complete_births(txn, server_name, now_ms, only).items():
        finding = get_finding(txn, server_name, media_id)
        if finding is None:
            continue
        if state is FindingState.BLOCKED:
            blocked.append(finding)
        else:
            _audit(txn, finding, attr.evolve(finding, state=FindingState.BLOCKED), now_ms)
    return blocked


def is_being_uploaded(txn: LoggingTransaction, finding: Finding, own_name: str) -> bool:
    """Whether the finding is about an upload that was blocked at birth and has no row yet, by primary key."""
    return (
        finding.server_name == own_name
        and finding.state is FindingState.BLOCKED
        and blocking.is_unborn(txn, finding.media_id)
    )


def _audit(
    txn: LoggingTransaction,
    finding: Finding,
    previous: Finding | None,
    ts: int | None = None,
    failure: str = _UNMARKED,
) -> None:
    audit.append(
        txn,
        audit.Entry(
            ts=finding.found_ts if ts is None else ts,
            actor=ACTOR,
            action=f"antivirus.{finding.state.value}",
            target=finding.mxc,
            old=None if previous is None else previous.state.value,
            new=finding.as_json(),
            reason=finding.signature,
        ),
    )
    if finding.state is FindingState.BLOCK_FAILED:
        txn.call_after(logger.error, _BLOCK_FAILED, finding.mxc, finding.signature, failure)
