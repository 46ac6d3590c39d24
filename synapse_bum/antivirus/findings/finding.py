"""Findings: which file carried what, where it came from, and what became of it.

The table of states is the only place that says what may follow what. Rows are never removed: they are the record.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import attr

from synapse_bum.database import Cursor
from synapse_bum.states import StateMachine


class FindingState(Enum):
    """What became of an infected file."""

    REJECTED = "rejected"
    """It was never stored; from the content scanner: one key of it was refused, it is served to others."""
    BLOCKED = "blocked"
    """It is stored and served to nobody."""
    BLOCK_FAILED = "block_failed"
    """It is stored and could not be blocked: an operator has to look."""
    RELEASED = "released"
    """An administrator said that it is a false positive."""
    DELETED = "deleted"
    """It was deleted."""


FINDING_STATES = StateMachine(
    "finding",
    {
        # Found again: a client tried the same reserved media id once more, or a newer base names it differently.
        FindingState.REJECTED: frozenset(
            {
                FindingState.REJECTED,
                FindingState.BLOCKED,
                FindingState.BLOCK_FAILED,
                FindingState.RELEASED,
                FindingState.DELETED,  # only one of its keys was refused, the file was there
            }
        ),
        FindingState.BLOCKED: frozenset(
            {
                FindingState.BLOCKED,
                FindingState.BLOCK_FAILED,
                FindingState.REJECTED,  # the upload was given up before it was stored
                FindingState.RELEASED,
                FindingState.DELETED,
            }
        ),
        FindingState.BLOCK_FAILED: frozenset(
            {FindingState.BLOCK_FAILED, FindingState.BLOCKED, FindingState.RELEASED, FindingState.DELETED}
        ),
        FindingState.RELEASED: frozenset(
            {FindingState.BLOCKED, FindingState.BLOCK_FAILED, FindingState.REJECTED, FindingState.DELETED}
        ),
        FindingState.DELETED: frozenset(),
    },
)

BLOCKED_STATES = frozenset({FindingState.BLOCKED, FindingState.BLOCK_FAILED})
"""The file is stored, and kept from everybody or ought to be."""


class Source(Enum):
    """How the file came to be scanned; also the label of metrics."""

    UPLOAD = "upload"
    REMOTE = "remote"
    URL_PREVIEW = "url_preview"
    CONTENT_SCANNER = "content_scanner"
    RESCAN = "rescan"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Finding:
    """One infected file.

    Attributes:
        server_name: where it was uploaded.
        media_id: as in the mxc URI.
        sha256: of its bytes, hexadecimal.
        signature: as the scanner names it.
        state: what became of it.
        source: how it came to be scanned.
        uploader: user id; None when it is not known here (remote media, before the module was there).
        reporter: whose request led to it, when that is somebody else than the uploader: a user id, or a server's name.
        found_ts: ms since the epoch.
    """

    server_name: str
    media_id: str
    sha256: str
    signature: str
    state: FindingState
    source: Source
    uploader: str | None
    reporter: str | None
    found_ts: int

    @property
    def mxc(self) -> str:
        """The mxc URI of the file."""
        return f"mxc://{self.server_name}/{self.media_id}"

    @property
    def refuses_one_key_only(self) -> bool:
        """Whether it is about a key that somebody gave to the content scanner, and not about the file."""
        return self.state is FindingState.REJECTED and self.source is Source.CONTENT_SCANNER

    @property
    def keeps_out(self) -> bool:
        """Whether a remote file with this finding is not fetched again."""
        if self.state in BLOCKED_STATES or self.state is FindingState.DELETED:
            return True
        return self.state is FindingState.REJECTED and not self.refuses_one_key_only

    def is_releasable(self, own_name: str) -> bool:
        """Whether there is something that a release would change.

        Args:
            own_name: our server's name. Of an upload that was rejected here nothing is stored; a remote file that was
                rejected is fetched again after its release.
        """
        if self.state is FindingState.REJECTED:
            return self.refuses_one_key_only or self.server_name != own_name
        return self.state in BLOCKED_STATES

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return {
            "mxc": self.mxc,
            "sha256": self.sha256,
            "signature": self.signature,
            "state": self.state.value,
            "source": self.source.value,
            "uploader": self.uploader,
            "reporter": self.reporter,
            "found_ts": self.found_ts,
        }


_COLUMNS = "server_name, media_id, sha256, signature, state, source, uploader, reporter, found_ts"


def _finding(row: Sequence[Any]) -> Finding:
    server_name, media_id, sha256, signature, state, source, uploader, reporter, found_ts = row
    return Finding(
        server_name, media_id, sha256, signature, FindingState(state), Source(source), uploader, reporter, found_ts
    )


def record_finding(txn: Cursor, finding: Finding) -> Finding | None:
    """Write a finding, in place of an older one about the same file.

    Args:
        txn: in a transaction; the row is read and written by its primary key.
        finding: as found now.

    Returns:
        The finding that it replaces; None when it is the first about this file.

    Raises:
        IllegalTransitionError: the older one is in a state that this can't follow.
    """
    previous = get_finding(txn, finding.server_name, finding.media_id)
    if previous is not None:
        FINDING_STATES.check(previous.state, finding.state)
    txn.execute(
        f"INSERT INTO synapse_bum_antivirus_findings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        " ON CONFLICT (server_name, media_id) DO UPDATE SET sha256 = excluded.sha256, signature = excluded.signature,"
        " state = excluded.state, source = excluded.source, uploader = excluded.uploader,"
        " reporter = excluded.reporter, found_ts = excluded.found_ts",
        (
            finding.server_name,
            finding.media_id,
            finding.sha256,
            finding.signature,
            finding.state.value,
            finding.source.value,
            finding.uploader,
            finding.reporter,
            finding.found_ts,
        ),
    )
    return previous


def change_state(txn: Cursor, server_name: str, media_id: str, old: FindingState, new: FindingState) -> bool:
    """Move a finding from one state to another by compare-and-set, by primary key.

    Returns:
        False when it is not in the old state any more.

    Raises:
        IllegalTransitionError: the table does not have this step.
    """
    FINDING_STATES.check(old, new)
    txn.execute(
        "UPDATE synapse_bum_antivirus_findings SET state = ? WHERE server_name = ? AND media_id = ? AND state = ?",
        (new.value, server_name, media_id, old.value),
    )
    return txn.rowcount == 1


def get_finding(txn: Cursor, server_name: str, media_id: str) -> Finding | None:
    """Read the finding about one file, by primary key."""
    txn.execute(
        f"SELECT {_COLUMNS} FROM synapse_bum_antivirus_findings WHERE server_name = ? AND media_id = ?",  # noqa: S608
        (server_name, media_id),
    )
    row = txn.fetchone()
    return None if row is None else _finding(row)


def list_findings(txn: Cursor, offset: int, limit: int) -> tuple[list[Finding], int]:
    """Read findings, newest first; a range of the index on found_ts, and one count over it.

    Returns:
        At most `limit` findings, and how many there are in all.
    """
    txn.execute(
        f"SELECT {_COLUMNS} FROM synapse_bum_antivirus_findings"  # noqa: S608
        " ORDER BY found_ts DESC, server_name DESC, media_id DESC LIMIT ? OFFSET ?",
        (limit, offset),
    )
    page = [_finding(row) for row in txn.fetchall()]
    txn.execute("SELECT COUNT(*) FROM synapse_bum_antivirus_findings")
    total = txn.fetchone()
    return page, total[0] if total else 0


def is_refused(txn: Cursor, server_name: str, media_id: str) -> bool:
    """Whether a remote file is known to be infected, by primary key."""
    finding = get_finding(txn, server_name, media_id)
    return finding is not None and finding.keeps_out


def findings_of_bytes(txn: Cursor, sha256: str, signature: str) -> list[Finding]:
    """All findings about the same bytes with the same signature; a range of the index on sha256."""
    txn.execute(
        f"SELECT {_COLUMNS} FROM synapse_bum_antivirus_findings WHERE sha256 = ? AND signature = ?"  # noqa: S608
        " ORDER BY server_name, media_id",
        (sha256, signature),
    )
    return [_finding(row) for row in txn.fetchall()]


def releasable_of_signature(txn: Cursor, signature: str, own_name: str, limit: int) -> list[Finding]:
    """Findings with this signature that a release would change; a range of the index on (signature, state).

    Args:
        txn: in a transaction.
        signature: as the scanner names it.
        own_name: our server's name, as for `Finding.is_releasable`.
        limit: at most so many.
    """
    txn.execute(
        f"SELECT {_COLUMNS} FROM synapse_bum_antivirus_findings WHERE signature = ?"  # noqa: S608
        " AND (state IN ('blocked', 'block_failed')"
        " OR (state = 'rejected' AND (server_name <> ? OR source = 'content_scanner'))) LIMIT ?",
        (signature, own_name, limit),
    )
    return [_finding(row) for row in txn.fetchall()]


def count_still_served(txn: Cursor) -> int:
    """How many files could not be blocked; a walk over the partial index of those that were to be blocked."""
    # SQLite takes the index only for its own words.
    txn.execute(
        "SELECT COUNT(*) FROM synapse_bum_antivirus_findings"
        " WHERE state IN ('blocked', 'block_failed') AND state = 'block_failed'"
    )
    row = txn.fetchone()
    return int(row[0]) if row else 0


def is_known_signature(txn: Cursor, signature: str) -> bool:
    """Whether anything was ever found with this signature, by the index on (signature, state)."""
    txn.execute("SELECT 1 FROM synapse_bum_antivirus_findings WHERE signature = ? LIMIT 1", (signature,))
    return txn.fetchone() is not None


def refused_bytes(txn: Cursor, sha256: str) -> Finding | None:
    """A finding because of which these bytes are refused wherever they come from; a range of the index on sha256.

    Ciphertext scans clean; that it is infected is only known from who had its key. What an operator released the bytes
    from does not count, even where a finding says that they were refused or deleted before.
    """
    txn.execute(
        f"SELECT {_COLUMNS} FROM synapse_bum_antivirus_findings AS finding WHERE sha256 = ? AND NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM synapse_bum_antivirus_exemptions AS exempt WHERE exempt.sha256 = finding.sha256"
        " AND exempt.signature = finding.signature)",
        (sha256,),
    )
    found = (_finding(row) for row in txn.fetchall())
    return next((finding for finding in found if finding.keeps_out), None)
