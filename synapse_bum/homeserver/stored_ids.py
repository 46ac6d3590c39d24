"""Which ids of files Synapse has rows of.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: tables `local_media_repository` with a unique index on `media_id`, and
`remote_media_cache` with one on `(media_origin, media_id)` and none on `filesystem_id`.
"""

from collections.abc import Collection
from typing import Final

from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.media_deletion import TOMBSTONE_MARKER
from synapse_bum.homeserver.sql_lists import in_chunks, marks

REMOTE_PAGE: Final = 5_000
"""Rows that `remote_ids` reads."""

_REMOTE_PAGE: Final = (
    "SELECT media_id, filesystem_id, quarantined_by FROM remote_media_cache WHERE media_origin = ? AND media_id > ?"
    " ORDER BY media_id LIMIT ?"
)


def stored_local(txn: LoggingTransaction, media_ids: Collection[str]) -> set[str]:
    """Those of some ids that local files, URL previews or reserved ids have; by the unique index, one lookup each."""
    found: set[str] = set()
    for chunk in in_chunks(sorted(media_ids), 1):
        txn.execute(f"SELECT media_id FROM local_media_repository WHERE media_id IN ({marks(len(chunk))})", chunk)  # noqa: S608
        found.update(media_id for (media_id,) in txn.fetchall())
    return found


def remote_ids(txn: LoggingTransaction, server_name: str, after: str) -> tuple[list[str], list[str], str | None]:
    """A page of the files of one server, by a range of the unique index.

    Args:
        txn: a transaction.
        server_name: of the server.
        after: media id behind which to read; empty at first.

    Returns:
        The `filesystem_id` of each file, then of each tombstone, whose file is gone; and `after` of the next page, None
        when this was the last.
    """
    txn.execute(_REMOTE_PAGE, (server_name, after, REMOTE_PAGE))
    rows = txn.fetchall()
    files = [file_id for _media_id, file_id, mark in rows if mark != TOMBSTONE_MARKER]
    tombstones = [file_id for _media_id, file_id, mark in rows if mark == TOMBSTONE_MARKER]
    return files, tombstones, rows[-1][0] if len(rows) == REMOTE_PAGE else None
