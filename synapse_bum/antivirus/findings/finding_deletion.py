"""Deleting a file together with what the antivirus knows of it; a finding stays as the record, and says so.

The bytes go the one way that all files go.
"""

from collections.abc import Collection
from typing import Any, TypeAlias

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum import audit, deletion
from synapse_bum.antivirus.findings.exemptions import take_turn
from synapse_bum.antivirus.findings.finding import BLOCKED_STATES, Finding, FindingState, change_state, get_finding
from synapse_bum.antivirus.findings.records import complete_births, is_being_uploaded
from synapse_bum.antivirus.findings.release import Refusal
from synapse_bum.antivirus.quarantine import holding
from synapse_bum.antivirus.stored import verdicts
from synapse_bum.homeserver import media
from synapse_bum.homeserver.media import StoredMedia

POLICY = "antivirus:finding"
"""In the journal of deletions: an operator deletes the file of a finding."""

Deleted: TypeAlias = Finding | Refusal | deletion.Hold


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Order:
    """Who has a file deleted, and why.

    Attributes:
        policy: which rule allows it, as `deletion.plan` wants it.
        actor: user id.
        reason: for the audit.
        now_ms: ms since the epoch.
    """

    policy: str
    actor: str
    reason: str
    now_ms: int


def delete_found(
    txn: LoggingTransaction, server_name: str, media_id: str, *, own_name: str, actor: str, now_ms: int
) -> Deleted:
    """Have the file of a finding deleted.

    Args:
        txn: in a transaction; rows by primary keys. `FileRemover.kick` may follow its commit.
        server_name: where the file was uploaded.
        media_id: as in the mxc URI.
        own_name: our server's name.
        actor: user id.
        now_ms: ms since the epoch.

    Returns:
        The finding, which is deleted now, the second time too; why it can't be; or the hold that wins.
    """
    take_turn(txn)
    complete_births(txn, own_name, now_ms, media_id)
    finding = get_finding(txn, server_name, media_id)
    if finding is None:
        return Refusal.UNKNOWN
    if finding.state is FindingState.DELETED:
        return finding
    if finding.state is FindingState.REJECTED and not finding.refuses_one_key_only:
        return Refusal.NOTHING_STORED
    if finding.state in BLOCKED_STATES and is_being_uploaded(txn, finding, own_name):
        return Refusal.STILL_UPLOADING
    order = Order(POLICY, actor, finding.signature, now_ms)
    stored = media.stored_media(txn, server_name, media_id, own_name)
    if stored is not None:
        outcome = delete_file(txn, stored, finding, order)
        if isinstance(outcome, deletion.Held):
            return outcome.hold
        if isinstance(outcome, deletion.Planned):
            return attr.evolve(finding, state=FindingState.DELETED)
    return mark_deleted(txn, finding, order)


def delete_file(
    txn: LoggingTransaction,
    stored: StoredMedia,
    finding: Finding | None,
    order: Order,
    *,
    rooms: Collection[str] = (),
) -> deletion.Outcome:
    """Have a stored file deleted, with its audit rows; the caller knows that he may.

    Args:
        txn: in a transaction that has taken its turn (`exemptions.take_turn`); rows by primary keys.
        stored: the file.
        finding: about this media id; None when there is none.
        order: who says so and why.
        rooms: where the file is used, beside those that are known from links: their holds count.

    Returns:
        What came of it. Only `Planned` has changed anything: then the finding is deleted too, unless it is about bytes
        that were refused before these were stored.
    """
    server_name, media_id = stored.server_name, stored.media_id
    outcome = deletion.plan(
        txn,
        stored,
        policy=order.policy,
        actor=order.actor,
        reason=order.reason,
        now_ms=order.now_ms,
        rooms={*rooms, *_known_rooms(txn, server_name, media_id)},
    )
    if not isinstance(outcome, deletion.Planned):
        return outcome
    _audit(
        txn,
        order,
        deletion.AUDIT_ACTION,
        target=outcome.deletion.mxc,
        old=None if finding is None else finding.state.value,
        new=outcome.audit_detail(),
    )
    if finding is not None and _is_about_what_is_stored(finding):
        mark_deleted(txn, finding, order)
    else:
        _forget(txn, server_name, media_id)
    return outcome


def _is_about_what_is_stored(finding: Finding) -> bool:
    if finding.state is FindingState.REJECTED:
        return finding.refuses_one_key_only
    return finding.state is not FindingState.DELETED


def _known_rooms(txn: LoggingTransaction, server_name: str, media_id: str) -> list[str]:
    """Rooms in which the file is known to be used, a range of the primary key: their holds count."""
    txn.execute(
        "SELECT DISTINCT room_id FROM synapse_bum_antivirus_links WHERE server_name = ? AND media_id = ?",
        (server_name, media_id),
    )
    return [room_id for (room_id,) in txn.fetchall()]


def mark_deleted(txn: LoggingTransaction, finding: Finding, order: Order) -> Finding:
    """Has a finding say that its file is gone, with the audit row, and forgets what is only worth knowing of a file.

    Returns:
        The finding as it is now.
    """
    change_state(txn, finding.server_name, finding.media_id, finding.state, FindingState.DELETED)
    _forget(txn, finding.server_name, finding.media_id)
    deleted = attr.evolve(finding, state=FindingState.DELETED)
    _audit(txn, order, "antivirus.deleted", target=finding.mxc, old=finding.state.value, new=deleted.as_json())
    return deleted


def _forget(txn: LoggingTransaction, server_name: str, media_id: str) -> None:
    """Drop what is only worth knowing of a file that is there."""
    verdicts.forget(txn, server_name, media_id)
    holding.forget(txn, server_name, media_id)
    txn.execute(
        "DELETE FROM synapse_bum_antivirus_key_verdicts WHERE server_name = ? AND media_id = ?", (server_name, media_id)
    )


def _audit(
    txn: LoggingTransaction, order: Order, action: str, *, target: str, old: str | None, new: dict[str, Any]
) -> None:
    audit.append(
        txn,
        audit.Entry(
            ts=order.now_ms, actor=order.actor, action=action, target=target, old=old, new=new, reason=order.reason
        ),
    )
