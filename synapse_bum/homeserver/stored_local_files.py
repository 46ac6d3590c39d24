"""Which files of ours a database says are stored, and whether they lie in the folders where Synapse would look.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL. Sources: `local_media_repository`, which has a unique
index on `media_id`; `synapse/media/filepath.py`. A row without `media_length` is an address that was reserved and that
nothing was uploaded to. URL previews are made anew and do not count.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from synapse.media.filepath import MediaFilePaths

from synapse_bum.homeserver.offline_database import OfflineTransaction
from synapse_bum.homeserver.sql_lists import in_chunks, marks

_PAGE: Final = 1_000

# Along the unique index, a page at a time: with all pages one pass over the table.
_NEXT: Final = (
    "SELECT media_id FROM local_media_repository"
    " WHERE media_id > ? AND media_length IS NOT NULL AND url_cache IS NULL ORDER BY media_id LIMIT ?"
)
# By the unique index, one search for each.
_AMONG: Final = "SELECT media_id FROM local_media_repository WHERE media_id IN ({})"


def local_file_ids(txn: OfflineTransaction) -> Iterator[str]:
    """The media ids of all files of ours, in their order.

    Args:
        txn: in a transaction.
    """
    last = ""
    while True:
        txn.execute(_NEXT, (last, _PAGE))
        page = [str(media_id) for (media_id,) in txn.fetchall()]
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1]


def with_a_row(txn: OfflineTransaction, media_ids: Sequence[str]) -> set[str]:
    """Those of some media ids that have a row.

    Args:
        txn: in a transaction.
        media_ids: any number.
    """
    found = set()
    for chunk in in_chunks(media_ids, 1):
        txn.execute(_AMONG.format(marks(len(chunk))), chunk)
        found |= {str(media_id) for (media_id,) in txn.fetchall()}
    return found


class LocalFiles:
    """Folders that are laid out as a media store."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Nothing is looked at yet.

        Args:
            folders: the media store, and storage providers that are folders.
        """
        self._paths = [MediaFilePaths(str(folder)) for folder in folders]

    def path_of(self, media_id: str) -> Path | None:
        """Where a file lies; None when no folder has it."""
        paths = (Path(one.local_media_filepath(media_id)) for one in self._paths)
        return next((path for path in paths if path.is_file()), None)
