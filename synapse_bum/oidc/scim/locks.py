"""Locks that were set or taken away by hand: SCIM gives back only what it has locked itself."""

from typing import Final

from synapse.module_api import LoggingTransaction

from synapse_bum.database import Database
from synapse_bum.oidc.last_admin import take_turn

# By the index on the account.
_NOT_OURS: Final = "UPDATE synapse_bum_oidc_scim_users SET locked_ts = NULL WHERE user_id = ? AND locked_ts IS NOT NULL"


class HandLocks:
    """Takes note that the lock of an account is no longer ours."""

    def __init__(self, database: Database) -> None:
        """Prepares.

        Args:
            database: with the identity tables.
        """
        self._database = database

    async def before(self, user_id: str) -> None:
        """From now on SCIM does not unlock this account, until it has locked it again.

        Before, because afterwards a crash would leave a lock of ours written down that an administrator had ended; the
        next one of his would then be taken for it.
        """
        await self._database.run("synapse_bum_oidc_scim_lock_by_hand", _let_go, user_id)


def _let_go(txn: LoggingTransaction, user_id: str) -> None:
    take_turn(txn)
    txn.execute(_NOT_OURS, (user_id,))
