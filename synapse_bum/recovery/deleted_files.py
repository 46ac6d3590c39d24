"""Files that Synapse itself deleted: by its admin API, as the portal does, or by age.

Files that our modules delete stand in the deletion log. Of these here a note is made before Synapse deletes one; it is
told once nothing is stored any more.
"""

from collections.abc import Sequence
from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.after_restore import SOON_MS, Done, Logged, State
from synapse_bum.database import Component, Database
from synapse_bum.deletion import DELETION, Planned, plan
from synapse_bum.homeserver.media import stored_media
from synapse_bum.homeserver.synapse_deletions import is_upload, watch_deletions
from synapse_bum.recovery.tables import RECOVERY

POLICY: Final = "recovery:deleted"
_ACTOR: Final = "system:recovery"
_REASON: Final = "Deleted after the backup that was restored"

KEPT_MS: Final = 62 * 86_400_000
"""Longer than any backup lives; notes are dropped then, when new ones are made."""

# By primary key.
_NOTE: Final = (
    "INSERT INTO synapse_bum_recovery_deleted_files (server_name, media_id, noted_ts) VALUES (?, ?, ?)"
    " ON CONFLICT (server_name, media_id) DO UPDATE SET noted_ts = excluded.noted_ts"
)
# The whole table: what was deleted in two months.
_FORGET: Final = "DELETE FROM synapse_bum_recovery_deleted_files WHERE noted_ts < ?"


class DeletedFiles:
    """The source of files that Synapse has deleted."""

    name = "files"
    every_ms = SOON_MS
    summary = None
    tells_only_ends = False
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = (DELETION, RECOVERY)
    # All notes, and for each a look by the unique indexes of Synapse's tables.
    live = (
        "SELECT d.server_name || '/' || d.media_id AS key, CAST(d.noted_ts AS TEXT) AS state"
        " FROM synapse_bum_recovery_deleted_files AS d"
        " WHERE NOT EXISTS (SELECT 1 FROM local_media_repository AS l WHERE d.server_name = ''"
        " AND l.media_id = d.media_id)"
        " AND NOT EXISTS (SELECT 1 FROM remote_media_cache AS r WHERE r.media_origin = d.server_name"
        " AND r.media_id = d.media_id)"
    )

    def __init__(self, api: ModuleApi) -> None:
        self._api = api

    def state_of(self, state: str) -> State:
        """What stands in the log for a file. Pure."""
        return {"deleted_ts": int(state)}

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Hides files and has them removed, unless they are on hold."""
        done: list[Done] = []
        own_name = self._api.server_name
        for each in logged:
            server_name, _, media_id = each.key.rpartition("/")
            stored = stored_media(txn, server_name or own_name, media_id, own_name)
            if each.state is None or stored is None:
                continue
            now_ms = self._api.get_current_time_msec()
            outcome = plan(txn, stored, policy=POLICY, actor=_ACTOR, reason=_REASON, now_ms=now_ms)
            if isinstance(outcome, Planned):
                done.append(Done("recovery.file_deleted", outcome.deletion.mxc, "there", None))
        return done


class Notes:
    """Notes what Synapse is about to delete, in a process that has the media."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database

    def start(self) -> None:
        """Begins to watch."""
        watch_deletions(self._api, self._told)

    async def _told(self, names: Sequence[tuple[str, str]]) -> None:
        await self._database.run("synapse_bum_recovery_deleting", _note, names, self._api.get_current_time_msec())


def _note(txn: LoggingTransaction, names: Sequence[tuple[str, str]], now_ms: int) -> None:
    txn.execute(_FORGET, (now_ms - KEPT_MS,))
    for server_name, media_id in names:
        if server_name or is_upload(txn, media_id):
            txn.execute(_NOTE, (server_name, media_id, now_ms))
