"""What one user has uploaded here.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: table `local_media_repository`.
"""

from typing import Final

import attr
from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER

# Without previews of links, reserved ids that got no content, and what is being deleted.
_OF_USER: Final = (
    "FROM local_media_repository WHERE user_id = ? AND url_cache IS NULL AND media_length IS NOT NULL"
    " AND (quarantined_by IS NULL OR quarantined_by <> ?)"
)

# With previews of links: the server keeps them in the name of whoever was the first to see the link.
_STORED: Final = (
    "SELECT media_id, url_cache FROM local_media_repository WHERE user_id = ? AND media_length IS NOT NULL"
    " AND (quarantined_by IS NULL OR quarantined_by <> ?) LIMIT ?"
)
_COUNT_STORED: Final = (
    "SELECT COUNT(*), SUM(CASE WHEN quarantined_by = ? THEN 1 ELSE 0 END) FROM local_media_repository"
    " WHERE user_id = ? AND media_length IS NOT NULL"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Upload:
    """One file.

    Attributes:
        media_id: as in the mxc URI.
        size_bytes: of the file.
        media_type: as its uploader claimed.
        created_ts: ms since the epoch.
        quarantined_by: who keeps it from being served; None when nobody does.
    """

    media_id: str
    size_bytes: int
    media_type: str | None
    created_ts: int
    quarantined_by: str | None


def uploads_of(txn: LoggingTransaction, user_id: str, offset: int, limit: int) -> tuple[list[Upload], int]:
    """A page of a user's files, newest first.

    Both queries read a range of the index on (user_id, created_ts): the page as far as it goes, the count all files of
    this user, a few ms for ten thousand of them, however many others have.

    Returns:
        The page, and how many files there are in all.
    """
    txn.execute(f"SELECT COUNT(*) {_OF_USER}", (user_id, HIDDEN_MARKER))
    counted = txn.fetchone()
    txn.execute(
        f"SELECT media_id, media_length, media_type, created_ts, quarantined_by {_OF_USER}"
        " ORDER BY created_ts DESC, media_id LIMIT ? OFFSET ?",
        (user_id, HIDDEN_MARKER, limit, offset),
    )
    return [Upload(*row) for row in txn.fetchall()], counted[0] if counted else 0


def stored_files_of(txn: LoggingTransaction, user_id: str, own_name: str, limit: int) -> list[StoredMedia]:
    """Some files of a user that nobody is deleting yet, previews of links included.

    A range of the index on (user_id, created_ts); what is being deleted in it is read and left out.

    Args:
        txn: in a transaction.
        user_id: whose.
        own_name: our server's name.
        limit: at most so many.
    """
    txn.execute(_STORED, (user_id, HIDDEN_MARKER, limit))
    return [
        StoredMedia(own_name, media_id, media_id, local=True, url_cache=url_cache is not None, uploader=user_id)
        for media_id, url_cache in txn.fetchall()
    ]


def count_stored(txn: LoggingTransaction, user_id: str) -> tuple[int, int]:
    """How many files of a user nobody is deleting, and how many are being removed; reads the same range whole."""
    txn.execute(_COUNT_STORED, (HIDDEN_MARKER, user_id))
    row = txn.fetchone()
    total, hidden = (int(row[0]), int(row[1] or 0)) if row else (0, 0)
    return total - hidden, hidden
