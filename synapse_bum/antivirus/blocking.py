"""Keeping an infected file from everybody, with Synapse's own quarantine.

An upload is blocked from its first moment: Synapse asks for quarantined rows with the same hash after the scan and before it
writes the upload's row. So a holder row with that hash is written first; once the upload's own row is there, the mark moves
to it and the holder goes. `synapse_bum_antivirus_births` is the journal of that, so a crash leaves nothing half done.
"""

import secrets
from collections.abc import Callable

from synapse_bum.antivirus import verdicts
from synapse_bum.antivirus.findings import Finding, FindingState, change_state, record_finding
from synapse_bum.database import Cursor
from synapse_bum.homeserver import media
from synapse_bum.homeserver.media import StoredMedia

MARKER = "synapse_bum:infected"
"""Our value of `quarantined_by`: only rows with it are ever released by us."""

BIRTH_LIMIT_MS = 3_600_000
"""An upload that has no row after this time never gets one: Synapse gave it up."""


def block_at_birth(txn: Cursor, finding: Finding) -> None:
    """Write a finding about an upload in progress and make sure that Synapse quarantines it.

    Args:
        txn: in a transaction; two inserts and one row by primary key.
        finding: `BLOCKED`.
    """
    record_finding(txn, finding)
    verdicts.forget(txn, finding.server_name, finding.media_id)
    holder_id = f"bum-holder-{secrets.token_hex(12)}"
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_births (holder_id, media_id, sha256, created_ts) VALUES (?, ?, ?, ?)",
        (holder_id, finding.media_id, finding.sha256, finding.found_ts),
    )
    media.insert_hash_holder(txn, holder_id, finding.sha256, MARKER, finding.found_ts)


def complete_births(txn: Cursor, server_name: str, now_ms: int) -> int:
    """Move the mark from holders to the uploads that are stored by now.

    Args:
        txn: in a transaction. The journal holds uploads of the last moments only.
        server_name: our own.
        now_ms: ms since the epoch.

    Returns:
        How many still wait.
    """
    txn.execute("SELECT holder_id, media_id, created_ts FROM synapse_bum_antivirus_births")
    waiting = 0
    for holder_id, media_id, created_ts in txn.fetchall():
        upload = StoredMedia(server_name, media_id, media_id, local=True)
        stored = media.is_stored(txn, upload)
        if stored and not media.mark_quarantined(txn, upload, MARKER):
            change_state(txn, server_name, media_id, FindingState.BLOCKED, FindingState.BLOCK_FAILED)
        if not stored and now_ms - created_ts < BIRTH_LIMIT_MS:
            waiting += 1
            continue
        if not stored:
            change_state(txn, server_name, media_id, FindingState.BLOCKED, FindingState.REJECTED)
        media.delete_hash_holder(txn, holder_id, MARKER)
        txn.execute("DELETE FROM synapse_bum_antivirus_births WHERE holder_id = ?", (holder_id,))
    return waiting


def block_stored(txn: Cursor, stored: StoredMedia, finding: Callable[[FindingState], Finding]) -> Finding:
    """Quarantine a stored file and write the finding, in one transaction.

    Args:
        txn: in a transaction; rows by their unique keys.
        stored: the file.
        finding: makes the finding for a state.

    Returns:
        The finding: `BLOCKED`, or `BLOCK_FAILED` when the row could not be quarantined.
    """
    blocked = media.mark_quarantined(txn, stored, MARKER)
    made = finding(FindingState.BLOCKED if blocked else FindingState.BLOCK_FAILED)
    record_finding(txn, made)
    verdicts.forget(txn, stored.server_name, stored.media_id)
    return made
