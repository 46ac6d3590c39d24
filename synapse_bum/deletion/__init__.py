"""The one way a file leaves: a journal, holds, and the duty that removes the bytes.

A feature decides, in its own transaction, with `plan`: from the commit on every door answers 404. The process with the
media volume then removes file, thumbnails and all copies (`FileRemover`), and the rows last. A crash between any two
steps is made good by the next turn.
"""

from synapse_bum.deletion.deletion_log import DeletionLog, keep_deletion_log
from synapse_bum.deletion.file_outbox import Outbox
from synapse_bum.deletion.holds import (
    HeldUploaders,
    Hold,
    delete_hold,
    get_hold,
    held_files,
    held_rooms,
    held_uploaders,
    held_users,
    list_holds,
    put_hold,
)
from synapse_bum.deletion.journal import DELETION_STATES, After, Deletion, DeletionState, Kind, list_deletions
from synapse_bum.deletion.log_lines import Line
from synapse_bum.deletion.planning import (
    AUDIT_ACTION,
    AlreadyPlanned,
    Held,
    NotStored,
    Outcome,
    Planned,
    Plans,
    plan,
    plan_many,
)
from synapse_bum.deletion.remover import FileRemover, file_remover
from synapse_bum.deletion.tables import DELETION

__all__ = [
    "AUDIT_ACTION",
    "DELETION",
    "DELETION_STATES",
    "After",
    "AlreadyPlanned",
    "Deletion",
    "DeletionLog",
    "DeletionState",
    "FileRemover",
    "Held",
    "HeldUploaders",
    "Hold",
    "Kind",
    "Line",
    "NotStored",
    "Outbox",
    "Outcome",
    "Planned",
    "Plans",
    "delete_hold",
    "file_remover",
    "get_hold",
    "held_files",
    "held_rooms",
    "held_uploaders",
    "held_users",
    "keep_deletion_log",
    "list_deletions",
    "list_holds",
    "plan",
    "plan_many",
    "put_hold",
]
