"""Making somebody a server administrator or not, and learning that somebody else does.

Synapse's own way (`set_server_admin`) is a transaction of its own: between one of ours and it, another process could
decide otherwise, and the older decision would be carried out last. So the column is written in our transaction, and
what processes remember of the account is invalidated after its commit, as `set_server_admin` does. Both work in every
process.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `synapse/storage/databases/main/registration.py`
(`set_server_admin`; from 1.143.0 on `is_server_admin` is cached), `synapse/storage/databases/main/cache.py`,
`synapse/rest/admin/users.py`.
"""

from typing import Final, Protocol

from synapse.module_api import LoggingTransaction, ModuleApi, UserID

# By the unique index on `users.name`.
_WRITE: Final = "UPDATE users SET admin = ? WHERE name = ?"
_CACHES: Final = ("get_user_by_id", "is_server_admin")


class AdminChanges(Protocol):
    """Is told what is done past us: by Synapse's admin API, or by another module."""

    async def before_appointment(self, user_id: str) -> None:
        """Somebody is made an administrator, when this returns; not when it raises."""

    async def after_removal(self, user_id: str) -> None:
        """Somebody was made no administrator any more."""


def write_admin(txn: LoggingTransaction, user_id: str, *, is_admin: bool) -> None:
    """Writes whether an account administers the server; `tell_admin_changed` has to follow the commit."""
    txn.execute(_WRITE, (int(is_admin), user_id))


async def tell_admin_changed(api: ModuleApi, user_id: str) -> None:
    """Makes this process and all others look up again whether somebody is an administrator. May be done twice."""
    store = api._store
    for name in _CACHES:
        if hasattr(getattr(store, name), "invalidate"):
            await store.invalidate_cache_and_stream(name, (user_id,))


def watch_admin_changes(api: ModuleApi, changes: AdminChanges) -> None:
    """Has somebody told of each change that is not ours, made in this process.

    Args:
        api: of the homeserver.
        changes: is told.
    """
    store = api._store
    set_as_ever = store.set_server_admin

    async def set_server_admin(user: UserID, admin: bool) -> None:  # noqa: FBT001 - Synapse's signature
        user_id = user.to_string()
        if admin:
            await changes.before_appointment(user_id)
        await set_as_ever(user, admin)
        if not admin:
            await changes.after_removal(user_id)

    store.set_server_admin = set_server_admin  # type: ignore[method-assign]
