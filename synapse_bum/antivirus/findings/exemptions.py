"""What an operator released: a pair of bytes and signature that is not blocked again. Any other signature still is.

Writing a finding and releasing one exclude each other (`take_turn`). Otherwise a scan that ended before a release
could block the file after it, because each transaction had looked before the other one's commit. Both are rare.
"""

import attr

from synapse_bum.database import Cursor


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Exemption:
    """A release.

    Attributes:
        sha256: of the file as it is stored, hexadecimal.
        signature: as the scanner names it.
        released_by: user id.
        reason: in the operator's words.
        released_ts: ms since the epoch.
    """

    sha256: str
    signature: str
    released_by: str
    reason: str
    released_ts: int


def take_turn(txn: Cursor) -> None:
    """Wait until no other transaction writes or releases findings, up to this one's commit. To be called first."""
    txn.execute("UPDATE synapse_bum_antivirus_turn SET taken = taken + 1")


def add_exemption(txn: Cursor, exemption: Exemption) -> None:
    """Write a release; the newest one about the same bytes and signature stays. By primary key."""
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_exemptions (sha256, signature, released_by, reason, released_ts)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (sha256, signature) DO UPDATE SET released_by = excluded.released_by,"
        " reason = excluded.reason, released_ts = excluded.released_ts",
        attr.astuple(exemption),
    )


def is_exempt(txn: Cursor, sha256: str, signature: str) -> bool:
    """Whether these bytes were released from this signature, by primary key."""
    txn.execute(
        "SELECT 1 FROM synapse_bum_antivirus_exemptions WHERE sha256 = ? AND signature = ?", (sha256, signature)
    )
    return txn.fetchone() is not None


def is_overtaken(txn: Cursor, sha256: str, signature: str, begun_ms: int) -> bool:
    """Whether a verdict says nothing any more, because an operator has decided about these bytes since.

    Args:
        txn: after `take_turn`; a range of the primary key.
        sha256: of the file, hexadecimal.
        signature: of the verdict.
        begun_ms: when its scan began, in ms since the epoch. A verdict with another signature counts only from a scan
            that began after the release: the base may have renamed the signature in between.
    """
    txn.execute(
        "SELECT 1 FROM synapse_bum_antivirus_exemptions WHERE sha256 = ? AND (signature = ? OR released_ts >= ?)",
        (sha256, signature, begun_ms),
    )
    return txn.fetchone() is not None
