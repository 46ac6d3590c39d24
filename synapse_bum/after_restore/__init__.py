"""What was closed stays closed after a restore: a log outside the database, and what a backup brought back.

A feature registers a `Source` with `recovery_log`; the recovery module says where the log is. A restored database is
brought up to date before any listener opens, or this process does not start.
"""

from synapse_bum.after_restore.lines import State
from synapse_bum.after_restore.log import RecoveryLog, Settings, recovery_log
from synapse_bum.after_restore.source import LATER_MS, SOON_MS, Done, Logged, Source, columns_of, text_of

__all__ = [
    "LATER_MS",
    "SOON_MS",
    "Done",
    "Logged",
    "RecoveryLog",
    "Settings",
    "Source",
    "State",
    "columns_of",
    "recovery_log",
    "text_of",
]
