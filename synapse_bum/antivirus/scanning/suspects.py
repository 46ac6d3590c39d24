"""Files that take an engine down: counted by their hash, tried once more alone, then refused for good.

When an engine dies, every scan in flight is lost with it, and only one of those files was the cause. So each of them
gets one strike and is tried again with no other suspect beside it; the second strike is the file's own.
"""

import hashlib
import os

from synapse_bum.database import Cursor

STRIKE_LIFETIME_MS = 86_400_000
"""A strike that is older was somebody else's fault, or that of an engine that has been mended since."""

MAX_STRIKES = 2
"""So many lost or hung engines, and the file is refused whatever `when_scanner_fails` says."""

UNSCANNABLE = "synapse_bum.Unscannable"
"""Signature of a stored file that takes down scanners: it will never be clean, so it is blocked."""

_PIECE_BYTES = 1 << 20


def sha256_of(fd: int) -> str:
    """Hash a whole file; blocks, so run it in a thread.

    Args:
        fd: a readable descriptor; its position is left alone.

    Returns:
        Hexadecimal.
    """
    digest = hashlib.sha256()
    offset = 0
    while piece := os.pread(fd, _PIECE_BYTES, offset):
        digest.update(piece)
        offset += len(piece)
    return digest.hexdigest()


def add_strike(txn: Cursor, sha256: str, size: int, now_ms: int) -> int:
    """Count one lost or hung engine against a file, by primary key.

    Returns:
        Its strikes now.
    """
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_suspects (sha256, size_bytes, strikes, last_ts) VALUES (?, ?, 1, ?)"
        " ON CONFLICT (sha256) DO UPDATE SET last_ts = excluded.last_ts, strikes ="
        " CASE WHEN synapse_bum_antivirus_suspects.last_ts < ? THEN 1"
        " ELSE synapse_bum_antivirus_suspects.strikes + 1 END",
        (sha256, size, now_ms, now_ms - STRIKE_LIFETIME_MS),
    )
    return strikes_of(txn, sha256, now_ms)


def strikes_of(txn: Cursor, sha256: str, now_ms: int) -> int:
    """Read the strikes of a file that still count, by primary key."""
    txn.execute(
        "SELECT strikes FROM synapse_bum_antivirus_suspects WHERE sha256 = ? AND last_ts >= ?",
        (sha256, now_ms - STRIKE_LIFETIME_MS),
    )
    row = txn.fetchone()
    return 0 if row is None else int(row[0])


def clear_strikes(txn: Cursor, sha256: str) -> None:
    """Acquit a file that was scanned after all, by primary key."""
    txn.execute("DELETE FROM synapse_bum_antivirus_suspects WHERE sha256 = ?", (sha256,))


def suspect_sizes(txn: Cursor) -> frozenset[int]:
    """Sizes in bytes of all suspects, so that no other file has to be hashed before its scan. Reads a tiny table."""
    txn.execute("SELECT DISTINCT size_bytes FROM synapse_bum_antivirus_suspects")
    return frozenset(int(row[0]) for row in txn.fetchall())
