"""Files that a restore brought back although they were deleted, and that stay because they are on hold.

The deletion log is read once; a hold may be lifted after that: by the replay of the recovery log in the same start,
which knows holds that are newer than the backup, or by time.
"""

from collections.abc import Sequence
from typing import Final

from synapse_bum.database import Cursor
from synapse_bum.deletion.journal import After, Kind
from synapse_bum.deletion.log_lines import LoggedFile

# By primary key.
_KEEP: Final = (
    "INSERT INTO synapse_bum_deletion_held (server_name, media_id, kind, planned_ts, policy, actor, reason, leaves)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (server_name, media_id) DO UPDATE SET planned_ts ="
    " excluded.planned_ts, policy = excluded.policy, actor = excluded.actor, reason = excluded.reason,"
    " leaves = excluded.leaves"
)
# The whole table: what holds keep that a restore brought back, mostly nothing.
_TAKE: Final = (
    "SELECT server_name, media_id, kind, planned_ts, policy, actor, reason, leaves FROM synapse_bum_deletion_held"
)
_FORGET: Final = "DELETE FROM synapse_bum_deletion_held"


def keep(txn: Cursor, files: Sequence[LoggedFile]) -> None:
    """Notes files that are to be deleted when they are not on hold any more."""
    for file in files:
        where = file.server_name, file.media_id
        what = file.kind.value, file.planned_ts, file.policy, file.actor, file.reason, file.after.value
        txn.execute(_KEEP, (*where, *what))


def take(txn: Cursor) -> list[LoggedFile]:
    """Reads and forgets all of them, in a transaction that deletes them or keeps them once more."""
    txn.execute(_TAKE)
    found = [
        LoggedFile(Kind(kind), server_name, media_id, planned_ts, policy, actor, reason, After(after))
        for server_name, media_id, kind, planned_ts, policy, actor, reason, after in txn.fetchall()
    ]
    if found:
        txn.execute(_FORGET)
    return found
