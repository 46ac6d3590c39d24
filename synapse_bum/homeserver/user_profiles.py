"""Display names as Synapse stores them.

Run on Synapse 1.133.0 and 1.163.2: table `profiles` (`synapse/storage/databases/main/profile.py`), which has a row by
localpart for each local account. Setting one is `ModuleApi.set_displayname`, which works in every process: up to 1.143
it does the work itself, 1.163.2 hands it to a writer of events.
"""

from typing import Final

from synapse.module_api import LoggingTransaction

# By the unique index on `profiles.user_id`.
_NAME: Final = "SELECT displayname FROM profiles WHERE user_id = ?"


def display_name(txn: LoggingTransaction, user_id: str) -> str | None:
    """Reads the display name of a local account; None when it has none."""
    localpart = user_id[1:].partition(":")[0]
    txn.execute(_NAME, (localpart,))
    row = txn.fetchone()
    return None if row is None else row[0]
