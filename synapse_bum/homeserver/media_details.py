"""What Synapse's tables say of one file that somebody asks for.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/storage/schema/main`, tables `local_media_repository` and
`remote_media_cache`.
"""

import attr
from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.media import StoredMedia


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MediaDetails:
    """One row of Synapse's media tables, with what is needed to serve it.

    Attributes:
        stored: which file it is.
        size: bytes; None while a reserved media id has no content yet.
        media_type: as its uploader claimed.
        upload_name: name of the file as its uploader gave it.
        sha256: of the stored bytes, hexadecimal; None where Synapse never computed it or we took it away.
        quarantined_by: who keeps it from being served; None when nobody does.
    """

    stored: StoredMedia
    size: int | None
    media_type: str | None
    upload_name: str | None
    sha256: str | None
    quarantined_by: str | None


def media_details(txn: LoggingTransaction, server_name: str, media_id: str, own_name: str) -> MediaDetails | None:
    """Read the row of one file, by the unique key of its table.

    Args:
        txn: a transaction.
        server_name: where it was uploaded.
        media_id: as in the mxc URI.
        own_name: our server's name.

    Returns:
        None when there is no row: unknown, or remote and not fetched yet.
    """
    if server_name == own_name:
        txn.execute(
            "SELECT url_cache IS NOT NULL, user_id, media_length, media_type, upload_name, sha256, quarantined_by"
            " FROM local_media_repository WHERE media_id = ?",
            (media_id,),
        )
        row = txn.fetchone()
        if row is None:
            return None
        url_cache, uploader, *rest = row
        stored = StoredMedia(own_name, media_id, media_id, local=True, url_cache=bool(url_cache), uploader=uploader)
        return MediaDetails(stored, *rest)
    txn.execute(
        "SELECT filesystem_id, media_length, media_type, upload_name, sha256, quarantined_by FROM remote_media_cache"
        " WHERE media_origin = ? AND media_id = ?",
        (server_name, media_id),
    )
    row = txn.fetchone()
    if row is None:
        return None
    file_id, *rest = row
    return MediaDetails(StoredMedia(server_name, media_id, file_id, local=False), *rest)


def media_with_hash(txn: LoggingTransaction, sha256: str, own_name: str) -> list[StoredMedia]:
    """All stored files with the same bytes that nobody keeps from being served.

    Ranges of `local_media_repository_sha256` and `remote_media_cache_sha256`, or scans of the tables on a server that
    has not built these indexes yet.

    Args:
        txn: a transaction.
        sha256: hexadecimal.
        own_name: our server's name.
    """
    txn.execute(
        "SELECT media_id, url_cache IS NOT NULL, user_id FROM local_media_repository"
        " WHERE sha256 = ? AND quarantined_by IS NULL",
        (sha256,),
    )
    found = [
        StoredMedia(own_name, media_id, media_id, local=True, url_cache=bool(url_cache), uploader=uploader)
        for media_id, url_cache, uploader in txn.fetchall()
    ]
    txn.execute(
        "SELECT media_origin, media_id, filesystem_id FROM remote_media_cache"
        " WHERE sha256 = ? AND quarantined_by IS NULL",
        (sha256,),
    )
    return found + [StoredMedia(origin, media_id, file_id, local=False) for origin, media_id, file_id in txn.fetchall()]
