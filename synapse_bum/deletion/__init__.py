"""The one way a file leaves: a journal, holds, and the duty that removes the bytes.

A feature decides, in its own transaction, with `plan`: from the commit on every door answers 404. The process with the
media volume then removes file, thumbnails and all copies (`FileRemover`), and the rows last. A crash between any two
steps is made good by the next turn.
"""

from synapse_bum.deletion.holds import Hold, delete_hold, get_hold, is_held, list_holds, put_hold
from synapse_bum.deletion.journal import DELETION_STATES, After, Deletion, DeletionState, Kind, list_deletions
from synapse_bum.deletion.planning import AUDIT_ACTION, AlreadyPlanned, Held, NotStored, Outcome, Planned, plan
from synapse_bum.deletion.remover import FileRemover, file_remover
from synapse_bum.deletion.tables import DELETION

__all__ = [
    "AUDIT_ACTION",
    "DELETION",
    "DELETION_STATES",
    "After",
    "AlreadyPlanned",
    "Deletion",
    "DeletionState",
    "FileRemover",
    "Held",
    "Hold",
    "Kind",
    "NotStored",
    "Outcome",
    "Planned",
    "delete_hold",
    "file_remover",
    "get_hold",
    "is_held",
    "list_deletions",
    "list_holds",
    "plan",
    "put_hold",
]
