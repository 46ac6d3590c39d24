"""Nobody here takes away the last administrator: by his role at the identity provider, by its age, or by SCIM.

Two who each take away one of the last two would each see the other one. So both take the turn first: its row is locked
until the commit.
"""

from typing import Final

from synapse.module_api import LoggingTransaction

from synapse_bum.homeserver.user_accounts import acting_administrators

# The table's only row.
_TAKE_TURN: Final = "UPDATE synapse_bum_oidc_turn SET turn = turn + 1"
# By the index on the account.
_ENDED_BY_SCIM: Final = "SELECT 1 FROM synapse_bum_oidc_scim_users WHERE user_id = ? AND active = 0"


def take_turn(txn: LoggingTransaction) -> None:
    """Waits until nobody else appoints or removes administrators; first of all in a transaction of `Database.run`."""
    txn.execute(_TAKE_TURN)


def another_administrator_stays(txn: LoggingTransaction, user_id: str) -> bool:
    """Whether somebody else can administer the server when one account can't any more.

    Whose access SCIM has ended does not count, though his account may still have to be locked.

    Args:
        txn: that has taken the turn.
        user_id: who goes.
    """
    return any(not _is_ended(txn, other) for other in acting_administrators(txn) - {user_id})


def _is_ended(txn: LoggingTransaction, user_id: str) -> bool:
    txn.execute(_ENDED_BY_SCIM, (user_id,))
    return txn.fetchone() is not None
