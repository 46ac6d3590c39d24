"""Whether copies of files belong to this homeserver: whether its rows name them.

Run on Synapse 1.133.0 and 1.163.2: `local_media_repository` with a unique index on `media_id`; `remote_media_cache`
with one on `(media_origin, media_id)` and none on `filesystem_id`, so of a server all rows are read once.
"""

from collections.abc import Collection
from typing import Final

from synapse_bum.homeserver.media_layout import Owner
from synapse_bum.homeserver.offline_database import OfflineTransaction
from synapse_bum.homeserver.sql_lists import in_chunks, marks

_REMOTE: Final = "SELECT filesystem_id FROM remote_media_cache WHERE media_origin = ?"


class Ownership:
    """Knows the rows of one homeserver as they are in one transaction."""

    def __init__(self, txn: OfflineTransaction) -> None:
        self._txn = txn
        self._remote: dict[str, frozenset[str]] = {}

    def not_ours(self, owners: Collection[Owner]) -> list[Owner]:
        """Those of some files that no row names."""
        local = {file_id for owner in owners if owner.server_name is None for file_id in owner.file_ids}
        stored = self._local(local)
        return [
            owner
            for owner in owners
            if not (stored if owner.server_name is None else self._of_server(owner.server_name)) & {*owner.file_ids}
        ]

    def _local(self, media_ids: Collection[str]) -> frozenset[str]:
        found: set[str] = set()
        for chunk in in_chunks(sorted(media_ids), 1):
            sql = f"SELECT media_id FROM local_media_repository WHERE media_id IN ({marks(len(chunk))})"  # noqa: S608
            self._txn.execute(sql, chunk)
            found.update(media_id for (media_id,) in self._txn.fetchall())
        return frozenset(found)

    def _of_server(self, server_name: str) -> frozenset[str]:
        if server_name not in self._remote:
            self._txn.execute(_REMOTE, (server_name,))
            # One server after the other: what is kept in memory is of the last one.
            self._remote = {server_name: frozenset(str(file_id) for (file_id,) in self._txn.fetchall())}
        return self._remote[server_name]
