"""Making somebody a server administrator or not, and learning that somebody else does.

Synapse's own way (`set_server_admin`) is a transaction of its own: between one of ours and it, another process could
decide otherwise, and the older decision would be carried out last. So the column is written in our transaction, and
what processes remember of the account is invalidated after its commit, as `set_server_admin` does. Both work in every
process.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `synapse/storage/databases/main/registration.py`
(`set_server_admin`; from 1.143.0 on `is_server_admin` is cached), `synapse/storage/databases/main/cache.py`,
`synapse/rest/admin/users.py`.
"""

from typing import Any, Final, Protocol

import attr
from synapse.logging.context import current_context
from synapse.module_api import LoggingTransaction, ModuleApi, UserID

# By the unique index on `users.name`.
_WRITE: Final = "UPDATE users SET admin = ? WHERE name = ?"
_CACHES: Final = ("get_user_by_id", "is_server_admin")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class AdminChange:
    """A change that is not ours: by Synapse's admin API, or by another module.

    Attributes:
        user_id: whose right is changed.
        is_admin: whether he is made an administrator.
        by: whose token asked for it, also when he acted as somebody else; None outside of a request.
    """

    user_id: str
    is_admin: bool
    by: str | None


class AdminChanges(Protocol):
    """Is told of each change that is made past us."""

    async def before(self, change: AdminChange) -> object:
        """Somebody's right is changed when this returns; not when it raises."""

    async def after(self, change: AdminChange, known: Any) -> None:  # noqa: ANN401 - what `before` has returned
        """It was changed."""


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
        request = current_context().request
        change = AdminChange(user.to_string(), admin, None if request is None else request.authenticated_entity)
        known = await changes.before(change)
        await set_as_ever(user, admin)
        await changes.after(change, known)

    store.set_server_admin = set_server_admin  # type: ignore[method-assign]
