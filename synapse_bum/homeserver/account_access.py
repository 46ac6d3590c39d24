"""Letting accounts in and keeping them out: locks, devices, deactivation.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `synapse/storage/databases/main/registration.py`,
`synapse/storage/databases/main/openid.py`, `synapse/handlers/device.py`, `synapse/handlers/deactivate_account.py`,
`synapse/push/pusherpool.py`. A lock can be set in any process, because its
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

# By the index on `access_tokens (user_id, device_id)`: one user's tokens.
_TOKENS_FOR_OTHERS: Final = "SELECT token FROM access_tokens WHERE user_id = ? AND puppets_user_id IS NOT NULL"
_END_TOKENS_FOR_OTHERS: Final = "DELETE FROM access_tokens WHERE user_id = ? AND puppets_user_id IS NOT NULL"

# By the index on `open_id_tokens.ts_valid_until_ms`: everybody's of the last hour. None of the older ones is valid.
_END_OPENID_TOKENS: Final = "DELETE FROM open_id_tokens WHERE ts_valid_until_ms >= ? AND user_id = ?"


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

    Tokens of a locked account are refused with M_USER_LOCKED. Those with which it acts as others have these others'
    state, so they end with the lock.
    """
    if locked:
        end_tokens_for_others(api, txn, user_id)
    api._store.set_user_locked_status_txn(txn, user_id, locked)


def end_tokens_for_others(api: ModuleApi, txn: LoggingTransaction, user_id: str) -> int:
    """Deletes the tokens with which an administrator acts as other users; from the commit on all processes refuse them.

    Such a token has its maker in `user_id` and whom it speaks for in `puppets_user_id`, so neither his lock nor the
    loss of his right ends it. What was made with it stays: a token made through it is like one of its user's own.

    Args:
        api: of the homeserver.
        txn: a transaction, in any process.
        user_id: of the administrator.

    Returns:
        how many there were.
    """
    txn.execute(_TOKENS_FOR_OTHERS, (user_id,))
    tokens = txn.fetchall()
    if tokens:
        store = api._store
        store._invalidate_cache_and_stream_bulk(txn, store.get_user_by_access_token, [(token,) for (token,) in tokens])
        txn.execute(_END_TOKENS_FOR_OTHERS, (user_id,))
    return len(tokens)


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

    Also what has neither device nor token and would go on: e-mails about messages, and proofs of his identity for other
    services. Only in the main process. Nothing happens when there are none.
    """
    hs = api._hs
    await hs.get_device_handler().delete_all_devices_for_user(user_id)
    # Tokens without a device: what an administrator made to act as this user.
    await hs.get_auth_handler().delete_access_tokens_for_user(user_id)
    pool = hs.get_pusherpool()
    for pusher in await api._store.get_pushers_by_user_id(user_id):
        await pool.remove_pusher(pusher.app_id, pusher.pushkey, user_id)
    now_ms = hs.get_clock().time_msec()
    await api.run_db_interaction("synapse_bum_end_openid_tokens", _end_openid_tokens, user_id, now_ms)


async def forget_device(api: ModuleApi, user_id: str, device_id: str) -> None:
    """Ends a device with all that Synapse removes with it, and tells everybody who may encrypt for it.

    Only in the main process. One that is gone already is told of once more.
    """
    await api._hs.get_device_handler().delete_devices(user_id, [device_id])


def _end_openid_tokens(txn: LoggingTransaction, user_id: str, now_ms: int) -> None:
    txn.execute(_END_OPENID_TOKENS, (now_ms, user_id))


async def deactivate(api: ModuleApi, user_id: str, *, erase: bool = False) -> None:
    """Deactivates an account as an administrator would.

    Only in the main process. May be called again when it was interrupted.

    Args:
        api: of the homeserver.
        user_id: of the account.
        erase: whether others no longer see what it wrote.

    Raises:
        SynapseError: a module forbids it, or an identity server could not be told.
    """
    requester = create_requester(UserID.from_string(user_id), authenticated_entity=api.server_name)
    handler = api._hs.get_deactivate_account_handler()
    await handler.deactivate_account(user_id, erase_data=erase, requester=requester, by_admin=True)
