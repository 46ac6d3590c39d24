"""Keeping an infected file from everybody, with Synapse's own quarantine.

An upload is blocked from its first moment: between the scan and the upload's row Synapse asks whether the hash is
quarantined (`homeserver.media.quarantine_new_uploads`), and then writes the row as quarantined by "system". Afterwards
that mark becomes ours. `synapse_bum_antivirus_births` is the journal of uploads between the two.
"""

from collections.abc import Callable

from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus.findings.finding import Finding, FindingState, change_state, record_finding
from synapse_bum.antivirus.quarantine import holding
from synapse_bum.antivirus.quarantine.quarantine_stream import note_change
from synapse_bum.antivirus.stored import verdicts
from synapse_bum.homeserver import media
from synapse_bum.homeserver.media import StoredMedia

MARKER = "synapse_bum:infected"
"""Our value of `quarantined_by`: only rows with it are ever released by us."""

BIRTH_LIMIT_MS = 3_600_000
"""An upload that has no row after this time never gets one: Synapse gave it up."""


class Births:
    """Uploads of this process that are on their way from the scan to their quarantined row."""

    def __init__(self) -> None:
        self._expected: dict[str, tuple[str, str | None, int]] = {}

    def expect(self, media_id: str, sha256: str, request_id: str | None, now_ms: int) -> None:
        """From now on this request's upload with this hash is born quarantined; to be called before it is written down.

        Args:
            media_id: of the upload.
            sha256: hexadecimal.
            request_id: of the request that uploads it: the same bytes in another request have a verdict of their own.
            now_ms: ms since the epoch.
        """
        self._expected[media_id] = (sha256, request_id, now_ms)

    def is_expected(self, sha256: str, request_id: str | None) -> bool:
        """Synapse's question about an upload."""
        return any((sha256, request_id) == expected[:2] for expected in self._expected.values())

    def forget_old(self, now_ms: int) -> None:
        """Drop uploads that are over, one way or the other."""
        for media_id, (_sha256, _request_id, since_ms) in list(self._expected.items()):
            if now_ms - since_ms > BIRTH_LIMIT_MS:
                del self._expected[media_id]


def block_at_birth(txn: LoggingTransaction, finding: Finding) -> Finding | None:
    """Write a finding about an upload in progress that will be born quarantined.

    Args:
        txn: in a transaction; rows by primary key.
        finding: `BLOCKED`.

    Returns:
        The finding that this one replaces, if there is one.
    """
    previous = record_finding(txn, finding)
    verdicts.forget(txn, finding.server_name, finding.media_id)
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_births (media_id, created_ts) VALUES (?, ?)"
        " ON CONFLICT (media_id) DO UPDATE SET created_ts = excluded.created_ts",
        (finding.media_id, finding.found_ts),
    )
    return previous


def is_unborn(txn: LoggingTransaction, media_id: str) -> bool:
    """Whether an upload that is blocked at birth is still on its way, by primary key."""
    txn.execute("SELECT 1 FROM synapse_bum_antivirus_births WHERE media_id = ?", (media_id,))
    return txn.fetchone() is not None


def complete_births(
    txn: LoggingTransaction, server_name: str, now_ms: int, only: str | None = None
) -> dict[str, FindingState]:
    """Put our mark on the uploads that are stored by now.

    Args:
        txn: in a transaction. The journal holds uploads of the last moments only.
        server_name: our own.
        now_ms: ms since the epoch.
        only: media id of the one upload that is meant; None for all.

    Returns:
        Those that need nothing more, by media id: the state that their findings have now.
    """
    meant, values = ("", ()) if only is None else (" WHERE media_id = ?", (only,))
    txn.execute(f"SELECT media_id, created_ts FROM synapse_bum_antivirus_births{meant}", values)  # noqa: S608
    completed: dict[str, FindingState] = {}
    for media_id, created_ts in txn.fetchall():
        upload = StoredMedia(server_name, media_id, media_id, local=True)
        stored = media.is_stored(txn, upload)
        if not stored and now_ms - created_ts < BIRTH_LIMIT_MS:
            continue
        state = FindingState.BLOCKED
        if not stored:
            state = FindingState.REJECTED
        elif media.mark_quarantined(txn, upload, MARKER):
            note_change(txn, server_name, media_id, quarantined=True, now_ms=now_ms)
        else:
            state = FindingState.BLOCK_FAILED
        if state is not FindingState.BLOCKED:
            change_state(txn, server_name, media_id, FindingState.BLOCKED, state)
        txn.execute("DELETE FROM synapse_bum_antivirus_births WHERE media_id = ?", (media_id,))
        completed[media_id] = state
    return completed


def block_stored(
    txn: LoggingTransaction, stored: StoredMedia, finding: Callable[[FindingState], Finding]
) -> tuple[Finding, Finding | None]:
    """Quarantine a stored file and write the finding, in one transaction.

    Args:
        txn: in a transaction; rows by their unique keys.
        stored: the file.
        finding: makes the finding for a state.

    Returns:
        The finding: `BLOCKED`, or `BLOCK_FAILED` when the row could not be quarantined; and the one that it replaces.
    """
    holding.hand_over(txn, stored, MARKER)
    blocked = media.mark_quarantined(txn, stored, MARKER)
    made = finding(FindingState.BLOCKED if blocked else FindingState.BLOCK_FAILED)
    if blocked:
        note_change(txn, stored.server_name, stored.media_id, quarantined=True, now_ms=made.found_ts)
    previous = record_finding(txn, made)
    verdicts.forget(txn, stored.server_name, stored.media_id)
    return made, previous
