"""Releasing a false positive: the file is available again, and its bytes are not blocked again for that signature.

One transaction writes the exemption, changes every finding about the same bytes with the same signature, and clears the
rows that carry our mark; who else has quarantined a file keeps it so. The files count as unscanned afterwards: the
backlog scans them at once, finds this signature excused, and still blocks any other.
"""

import logging
from enum import Enum, auto

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum import audit
from synapse_bum.antivirus.findings.exemptions import Exemption, add_exemption, take_turn
from synapse_bum.antivirus.findings.finding import (
    Finding,
    FindingState,
    change_state,
    findings_of_bytes,
    get_finding,
    is_known_signature,
    releasable_of_signature,
)
from synapse_bum.antivirus.findings.records import complete_births, is_being_uploaded
from synapse_bum.antivirus.quarantine.blocking import MARKER
from synapse_bum.antivirus.quarantine.quarantine_stream import note_change
from synapse_bum.antivirus.stored import rescan_runs, verdicts
from synapse_bum.database import Database
from synapse_bum.homeserver import media

logger = logging.getLogger(__name__)

PAGE = 100
"""Findings that are released in one transaction when a whole signature is."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Release:
    """An operator's word.

    Attributes:
        released_by: user id.
        reason: in his words.
        own_name: our server's name.
        now_ms: ms since the epoch.
    """

    released_by: str
    reason: str
    own_name: str
    now_ms: int


class Refusal(Enum):
    """Why a finding can't be released."""

    UNKNOWN = auto()
    NOTHING_STORED = auto()
    """The upload was refused: nothing is there that a release could show."""
    STILL_UPLOADING = auto()
    """It has no row yet that could be shown."""
    DELETED = auto()


def release_file(txn: LoggingTransaction, server_name: str, media_id: str, release: Release) -> Finding | Refusal:
    """Release the finding about one file, and all about the same bytes with the same signature.

    Args:
        txn: in a transaction; one file by primary keys, its copies by the index on sha256.
        server_name: where the file was uploaded.
        media_id: as in the mxc URI.
        release: who says so and why.

    Returns:
        The finding, which is released now; a second time it is returned as it is.
    """
    take_turn(txn)
    finding = _settled(txn, server_name, media_id, release)
    if finding is None:
        return Refusal.UNKNOWN
    if finding.state is FindingState.DELETED:
        return Refusal.DELETED
    if finding.state is FindingState.RELEASED:
        return finding
    if not finding.is_releasable(release.own_name):
        return Refusal.NOTHING_STORED
    if is_being_uploaded(txn, finding, release.own_name):
        return Refusal.STILL_UPLOADING
    _release_bytes(txn, finding, release)
    return attr.evolve(finding, state=FindingState.RELEASED)


async def release_signature(database: Database, signature: str, release: Release) -> int | None:
    """Release everything that was found with one signature, page by page; a second call goes on where one broke off.

    A rescan that this signature has paused goes on, and leaves its other files alone.

    Returns:
        How many findings were released; None when nothing was ever found with this signature.
    """
    released = 0
    while True:
        page = await database.run("synapse_bum_antivirus_release_page", _release_page, signature, release)
        if page is None:
            return None
        released += page
        if page == 0:
            return released


def _release_page(txn: LoggingTransaction, signature: str, release: Release) -> int | None:
    take_turn(txn)
    if not is_known_signature(txn, signature):
        return None
    released = 0
    done: set[str] = set()
    for finding in releasable_of_signature(txn, signature, release.own_name, PAGE):
        if finding.sha256 not in done:
            done.add(finding.sha256)
            released += _release_bytes(txn, finding, release)
    if released == 0:
        rescan_runs.excuse_signature(txn, signature, release.released_by, release.reason, release.now_ms)
    return released


def _release_bytes(txn: LoggingTransaction, finding: Finding, release: Release) -> int:
    add_exemption(
        txn, Exemption(finding.sha256, finding.signature, release.released_by, release.reason, release.now_ms)
    )
    released = 0
    for found in findings_of_bytes(txn, finding.sha256, finding.signature):
        copy = _settled(txn, found.server_name, found.media_id, release)
        if copy is None or not copy.is_releasable(release.own_name):
            continue
        if not is_being_uploaded(txn, copy, release.own_name):
            _release_one(txn, copy, release)
            released += 1
    return released


def _settled(txn: LoggingTransaction, server_name: str, media_id: str, release: Release) -> Finding | None:
    """A finding, after an upload that Synapse has just stored as quarantined by "system" has got our mark."""
    if server_name == release.own_name:
        complete_births(txn, server_name, release.now_ms, media_id)
    return get_finding(txn, server_name, media_id)


def _release_one(txn: LoggingTransaction, finding: Finding, release: Release) -> None:
    server_name, media_id = finding.server_name, finding.media_id
    change_state(txn, server_name, media_id, finding.state, FindingState.RELEASED)
    txn.execute(
        "DELETE FROM synapse_bum_antivirus_key_verdicts"
        " WHERE server_name = ? AND media_id = ? AND verdict = 'infected'",
        (server_name, media_id),
    )
    stored = media.stored_media(txn, server_name, media_id, release.own_name)
    if stored is not None:
        cleared = media.clear_quarantine(txn, stored, MARKER)
        keeper = media.quarantined_by(txn, stored)
        if cleared:
            verdicts.write_unscanned(txn, server_name, media_id, release.now_ms)
        if cleared and keeper is None:
            note_change(txn, server_name, media_id, quarantined=False, now_ms=release.now_ms)
        if keeper is not None:
            txn.call_after(
                logger.warning, "%s was released but stays quarantined by %s: that is not our mark", finding.mxc, keeper
            )
    audit.append(
        txn,
        audit.Entry(
            ts=release.now_ms,
            actor=release.released_by,
            action="antivirus.released",
            target=finding.mxc,
            old=finding.state.value,
            new=attr.evolve(finding, state=FindingState.RELEASED).as_json(),
            reason=release.reason,
        ),
    )
