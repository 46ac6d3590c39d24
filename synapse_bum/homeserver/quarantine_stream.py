"""Synapse's stream of quarantined media: how its admin API and other processes learn of a quarantine.

Run on Synapse 1.133.0 and 1.143.0, which have no such stream, and 1.163.2 (`synapse/storage/databases/main/room.py`,
`stream_writers.quarantined_media_changes`).
"""

from collections.abc import Sequence
from typing import Any, Final

from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction
from synapse.storage.databases.main.room import RoomWorkerStore

_WRITE: Final = "_insert_quarantine_changes_txn"

EXISTS: Final = hasattr(RoomWorkerStore, _WRITE)
"""Whether this Synapse has the stream."""


def may_write(api: ModuleApi) -> bool:
    """Whether this process is one of the stream's writers; Synapse refuses the others."""
    return EXISTS and bool(api._hs.get_datastores().main._can_write_quarantined_media_changes)


def write(api: ModuleApi, txn: LoggingTransaction, files: Sequence[tuple[str, str]], *, quarantined: bool) -> None:
    """Tell the stream about files; other processes are notified after the commit.

    Args:
        api: of a process that `may_write`.
        txn: a transaction.
        files: server name and media id of each.
        quarantined: what they are from now on.
    """
    own_name = api.server_name
    named = [(None if server_name == own_name else server_name, media_id) for server_name, media_id in files]
    store: Any = api._hs.get_datastores().main
    getattr(store, _WRITE)(txn, named, quarantined)
