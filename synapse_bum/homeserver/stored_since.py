"""Which of some files are stored here, and since when.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: tables `local_media_repository` and `remote_media_cache`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER, TOMBSTONE_MARKER

T = TypeVar("T")

_CHUNK: Final = 250
"""Files in one query, two parameters each: SQLite takes at most 999 before 3.32."""

_SERVED: Final = "media_length IS NOT NULL AND COALESCE(quarantined_by, '') NOT IN (?, ?)"
_OUR_MARKS: Final = (HIDDEN_MARKER, TOMBSTONE_MARKER)


def stored_since(txn: LoggingTransaction, mxcs: Iterable[tuple[str, str]], own_name: str) -> dict[StoredMedia, int]:
    """Look for files by the unique indexes on `media_id` and on `(media_origin, media_id)`: one row each.

    Args:
        txn: in a transaction.
        mxcs: pairs of server name and media id.
        own_name: our server's name.

    Returns:
        When each came here, in ms since the epoch. Left out are those of which nothing, a reserved id or a tombstone is
        here, and those whose deletion was decided already.
    """
    wanted = sorted(set(mxcs))
    found: dict[StoredMedia, int] = {}
    for local in _chunks([media_id for server_name, media_id in wanted if server_name == own_name]):
        places = ", ".join("?" * len(local))
        txn.execute(
            "SELECT media_id, url_cache IS NOT NULL, user_id, created_ts FROM local_media_repository"  # noqa: S608
            f" WHERE media_id IN ({places}) AND {_SERVED}",
            (*local, *_OUR_MARKS),
        )
        for media_id, url_cache, uploader, created_ts in txn.fetchall():
            media = StoredMedia(own_name, media_id, media_id, local=True, url_cache=bool(url_cache), uploader=uploader)
            found[media] = created_ts
    for remote in _chunks([pair for pair in wanted if pair[0] != own_name]):
        places = ", ".join(["(?, ?)"] * len(remote))
        txn.execute(
            "SELECT media_origin, media_id, filesystem_id, created_ts FROM remote_media_cache"  # noqa: S608
            f" WHERE (media_origin, media_id) IN (VALUES {places}) AND {_SERVED}",
            (*[name for pair in remote for name in pair], *_OUR_MARKS),
        )
        for origin, media_id, file_id, created_ts in txn.fetchall():
            found[StoredMedia(origin, media_id, file_id, local=False)] = created_ts
    return found


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
