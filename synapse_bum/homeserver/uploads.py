"""What one user has uploaded here.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: table `local_media_repository`.
"""

from typing import Final

import attr
from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER

# Without previews of links, reserved ids that got no content, and what is being deleted.
_OF_USER: Final = (
    "FROM local_media_repository WHERE user_id = ? AND url_cache IS NULL AND media_length IS NOT NULL"
    " AND (quarantined_by IS NULL OR quarantined_by <> ?)"
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
