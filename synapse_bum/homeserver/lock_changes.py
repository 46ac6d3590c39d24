"""Learning that somebody else locks or unlocks an account.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `synapse/storage/databases/main/registration.py`
(`set_user_locked_status`), `synapse/rest/admin/users.py`, which calls it only when something changes. Locks of ours
(`account_access.set_locked`) are set in transactions of ours and do not pass here.
"""

from typing import Protocol

from synapse.module_api import ModuleApi


class LockChanges(Protocol):
    """Is told of each lock that is set or taken away past us."""

    async def before(self, user_id: str) -> None:
        """An account is locked or unlocked when this returns; not when it raises."""


def watch_lock_changes(api: ModuleApi, changes: LockChanges) -> None:
    """Has somebody told of each change that is not ours, made in this process.

    Args:
        api: of the homeserver.
        changes: is told.
    """
    store = api._store
    set_as_ever = store.set_user_locked_status

    async def set_user_locked_status(user_id: str, locked: bool) -> None:  # noqa: FBT001 - Synapse's signature
        await changes.before(user_id)
        await set_as_ever(user_id, locked)

    store.set_user_locked_status = set_user_locked_status  # type: ignore[method-assign]
