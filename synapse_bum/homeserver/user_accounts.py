"""Who administers this homeserver.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: table `users`,
`synapse/storage/databases/main/registration.py`. Works in every process.
"""

from typing import Final

from synapse.module_api import LoggingTransaction

from synapse_bum.homeserver.database_pool import on_postgres
from synapse_bum.homeserver.registered_users import LOCKED, REGISTERED

# No index on `admin`: reads `users` whole, some 20 ms for 100,000 accounts.
_ACTING: Final = f"SELECT u.name FROM users AS u WHERE u.admin = 1 AND {REGISTERED} AND {LOCKED} = 0"  # noqa: S608
# Waits for whoever is just taking one of these rows' rights, and keeps others from it until our commit.
_AS_THEY_ARE: Final = " FOR SHARE OF u"


def acting_administrators(txn: LoggingTransaction) -> set[str]:
    """User ids of the administrators who can act: registered users, neither deactivated nor locked.

    None of them is locked, deactivated or deprived by Synapse before the end of the transaction.

    Args:
        txn: of `Database.run`.
    """
    txn.execute(_ACTING + _AS_THEY_ARE if on_postgres(txn) else _ACTING)
    return {user_id for (user_id,) in txn.fetchall()}
