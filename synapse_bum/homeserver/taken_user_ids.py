"""Which user ids a new account can't have.

Run on Synapse 1.133.0 and 1.163.2: table `users`, `synapse/handlers/register.py` (`check_username`).
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from synapse.module_api import ModuleApi
from synapse.module_api.errors import SynapseError

# No index knows names in lower case: this walks over the names of all users, as Synapse does at each registration. Rows
# of deactivated users stay, so nobody gets their ids.
_IS_TAKEN: Final = "SELECT 1 FROM users WHERE lower(name) = lower(?) LIMIT 1"


class _Transaction(Protocol):
    """A Synapse transaction, or a plain cursor."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> object:
        """Runs one statement."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """Returns the next row."""


def is_taken(txn: _Transaction, user_id: str) -> bool:
    """Whether an account has this user id, in whatever case."""
    txn.execute(_IS_TAKEN, (user_id,))
    return txn.fetchone() is not None


def is_reserved(api: ModuleApi, user_id: str) -> bool:
    """Whether only an application service or the server's notices may have this user id."""
    try:
        api._hs.get_registration_handler().check_user_id_not_appservice_exclusive(user_id)
    except SynapseError:
        return True
    return False
