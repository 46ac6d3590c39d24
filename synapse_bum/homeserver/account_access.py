"""Letting accounts in and keeping them out: locks, devices, deactivation.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `synapse/storage/databases/main/registration.py`,
`synapse/handlers/device.py`, `synapse/handlers/deactivate_account.py`. A lock can be set in any process, because its
store is the workers' too and tells the others by the stream of caches. Devices and deactivation are the main process's:
1.133.0 has their handlers nowhere else, whatever process runs background tasks.
"""

from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.types import UserID, create_requester

from synapse_bum.homeserver.registered_users import LOCKED

# By the unique index on `users.name`.
_ACCOUNT: Final = f"SELECT u.admin, u.deactivated, {LOCKED} FROM users AS u WHERE u.name = ?"  # noqa: S608 - our own text


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Account:
    """What Synapse says of an account.

    Attributes:
        user_id: whose it is.
        is_admin: whether it administers the server.
        is_deactivated: whether it was given up; only an administrator can bring it back.
        is_locked: whether its tokens are refused.
    """

    user_id: str
    is_admin: bool
    is_deactivated: bool
    is_locked: bool

    @property
    def is_open(self) -> bool:
        """Whether somebody can use it."""
        return not self.is_deactivated and not self.is_locked


def account_of(txn: LoggingTransaction, user_id: str) -> Account | None:
    """Reads an account; None when there is none."""
    txn.execute(_ACCOUNT, (user_id,))
    row = txn.fetchone()
    return None if row is None else Account(user_id, *map(bool, row))


def set_locked(api: ModuleApi, txn: LoggingTransaction, user_id: str, *, locked: bool) -> None:
    """Locks or unlocks an account in a transaction of ours; from its commit on all processes go by it.

    Tokens of a locked account are refused with M_USER_LOCKED.
    """
    api._store.set_user_locked_status_txn(txn, user_id, locked)


def is_main_process(api: ModuleApi) -> bool:
    """Whether this process is the one that can end sessions and deactivate."""
    return api.worker_app is None


def has_accounts_elsewhere(api: ModuleApi) -> bool:
    """Whether the Matrix Authentication Service decides who may come in, not Synapse."""
    config = api._hs.config
    # 1.133.0 has it under `experimental_features.msc3861`, which later versions refuse.
    for settings in (getattr(config, "mas", None), getattr(config.experimental, "msc3861", None)):
        if settings is not None and settings.enabled:
            return True
    return False


async def end_sessions(api: ModuleApi, user_id: str) -> None:
    """Removes all devices and tokens of a user, with what Synapse removes when he logs out of all of them.

    Only in the main process. Nothing happens when there are none.
    """
    hs = api._hs
    await hs.get_device_handler().delete_all_devices_for_user(user_id)
    # Tokens without a device: what an administrator made to act as this user.
    await hs.get_auth_handler().delete_access_tokens_for_user(user_id)


async def deactivate(api: ModuleApi, user_id: str) -> None:
    """Deactivates an account as an administrator would, without erasing what it wrote.

    Only in the main process. May be called again when it was interrupted.

    Raises:
        SynapseError: a module forbids it, or an identity server could not be told.
    """
    requester = create_requester(UserID.from_string(user_id), authenticated_entity=api.server_name)
    handler = api._hs.get_deactivate_account_handler()
    await handler.deactivate_account(user_id, erase_data=False, requester=requester, by_admin=True)
