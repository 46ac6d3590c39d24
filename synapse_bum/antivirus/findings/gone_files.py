"""Findings about files of this server that others have deleted: with their uploader's account, by age, by Synapse.

Only who deletes through the antivirus says so to its finding. So one process looks, a page of findings at a time, and
writes down what became of the file. Of other servers' files none is looked at: their copies here come and go.
"""

from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.antivirus.findings.exemptions import take_turn
from synapse_bum.antivirus.findings.finding import FindingState, get_finding
from synapse_bum.antivirus.findings.finding_deletion import Order, mark_deleted
from synapse_bum.antivirus.findings.records import ACTOR
from synapse_bum.antivirus.quarantine import blocking
from synapse_bum.database import Database
from synapse_bum.deletion import journal
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER

POLICY: Final = "antivirus:gone"
"""Of the order by which a finding ends whose file was gone already; nothing is deleted by it."""

PAGE: Final = 200
INTERVAL_MS: Final = 10_000

# A range of the primary key; each row's file by the unique index on `media_id`.
_PAGE: Final = (
    "SELECT f.media_id, f.uploader, f.state, m.media_id IS NOT NULL, m.quarantined_by"
    " FROM synapse_bum_antivirus_findings AS f LEFT JOIN local_media_repository AS m ON m.media_id = f.media_id"
    " WHERE f.server_name = ? AND f.media_id > ? ORDER BY f.media_id LIMIT ?"
)
_OF_STORED_FILES: Final = frozenset({FindingState.BLOCKED, FindingState.BLOCK_FAILED, FindingState.RELEASED})


class GoneFiles:
    """Looks through all findings again and again."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        """Takes the homeserver, and the database with the antivirus tables and those of deletions."""
        self._api = api
        self._database = database
        self._after = ""
        self._looked_ms = 0

    async def look(self) -> None:
        """Looks through the next page, if it is time for it."""
        now_ms = self._api.get_current_time_msec()
        if not self._after and 0 <= now_ms - self._looked_ms < INTERVAL_MS:
            return
        self._looked_ms = now_ms
        # Only reads: on SQLite without the lock that a transaction of ours takes.
        gone, self._after = await self._api.run_db_interaction(
            "synapse_bum_antivirus_gone_files", gone_files, self._api.server_name, self._after
        )
        for file in gone:
            await self._database.run("synapse_bum_antivirus_file_is_gone", write_gone, file, now_ms)


def gone_files(txn: LoggingTransaction, own_name: str, after: str) -> tuple[list[StoredMedia], str]:
    """Finds files of a page of findings that are not here any more, or are being removed.

    Args:
        txn: in a transaction.
        own_name: our server's name.
        after: media id of the end of the page before; empty for the first one.

    Returns:
        The files, and where the next page begins; empty after the last one.
    """
    txn.execute(_PAGE, (own_name, after, PAGE))
    page = txn.fetchall()
    gone = [
        StoredMedia(own_name, media_id, media_id, local=True, uploader=uploader)
        for media_id, uploader, state, is_stored, quarantined_by in page
        if FindingState(state) in _OF_STORED_FILES and (not is_stored or quarantined_by == HIDDEN_MARKER)
    ]
    return gone, page[-1][0] if len(page) == PAGE else ""


def write_gone(txn: LoggingTransaction, file: StoredMedia, now_ms: int) -> bool:
    """Writes into a finding that its file was deleted; by whom, where that is known.

    Args:
        txn: in a transaction; rows by primary keys.
        file: that is gone, or being removed.
        now_ms: ms since the epoch.

    Returns:
        Whether it was written: not when the file is there after all, or is still being uploaded.
    """
    take_turn(txn)
    finding = get_finding(txn, file.server_name, file.media_id)
    if finding is None or finding.state not in _OF_STORED_FILES or blocking.is_unborn(txn, file.media_id):
        return False
    txn.execute("SELECT quarantined_by FROM local_media_repository WHERE media_id = ?", (file.media_id,))
    row = txn.fetchone()
    if row is not None and row[0] != HIDDEN_MARKER:
        return False
    planned = journal.open_deletions(txn, [file]).get(file)
    order = Order(POLICY, ACTOR, "its file was deleted", now_ms)
    if planned is not None:
        order = Order(planned.policy, planned.actor, planned.reason or planned.policy, now_ms)
    mark_deleted(txn, finding, order)
    return True
