"""E-mail addresses that are bound to accounts.

Synapse's own way to bind one (`AuthHandler.add_threepid`) takes it away from whoever has it. Here a row is only added
where there is none, in a transaction of ours; modules are told afterwards, as Synapse does.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: table `user_threepids` (unique by medium and address;
nothing of it is cached), `synapse/handlers/auth.py`, `synapse/push/pusherpool.py`,
`synapse/module_api/callbacks/third_party_event_rules_callbacks.py`. Works in every process: pushers are removed by the
main one, over replication.
"""

from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi

_EMAIL: Final = "email"
_PUSHER: Final = "m.email"

# All by the unique index on (medium, address).
_HOLDER: Final = "SELECT user_id FROM user_threepids WHERE medium = 'email' AND address = ?"
_BIND: Final = (
    "INSERT INTO user_threepids (user_id, medium, address, validated_at, added_at) VALUES (?, 'email', ?, ?, ?)"
    " ON CONFLICT (medium, address) DO NOTHING"
)
_UNBIND: Final = "DELETE FROM user_threepids WHERE medium = 'email' AND address = ? AND user_id = ?"


def holder_of(txn: LoggingTransaction, address: str) -> str | None:
    """Whose account an address is bound to; None when it is nobody's."""
    txn.execute(_HOLDER, (address,))
    row = txn.fetchone()
    return None if row is None else row[0]


def bind(txn: LoggingTransaction, user_id: str, address: str, now_ms: int) -> bool:
    """Binds an address to an account unless somebody has it; `tell_bound` has to follow the commit.

    Args:
        txn: a transaction.
        user_id: the account.
        address: in the canonical form, lower case.
        now_ms: the present, ms since the epoch; counts as the moment at which the address was checked.

    Returns:
        whether it was nobody's.
    """
    txn.execute(_BIND, (user_id, address, now_ms, now_ms))
    return txn.rowcount == 1


def unbind(txn: LoggingTransaction, user_id: str, address: str) -> bool:
    """Takes an address from an account; `tell_unbound` has to follow the commit.

    Returns:
        whether the account had it.
    """
    txn.execute(_UNBIND, (address, user_id))
    return txn.rowcount == 1


async def end_mails_to(api: ModuleApi, user_id: str, address: str) -> None:
    """Ends mails about an account's messages to an address; nothing happens when there are none."""
    await api._hs.get_pusherpool().remove_pusher(app_id=_PUSHER, pushkey=address, user_id=user_id)


async def tell_bound(api: ModuleApi, user_id: str, address: str) -> None:
    """Tells modules that an address was bound."""
    rules = api._hs.get_module_api_callbacks().third_party_event_rules
    await rules.on_add_user_third_party_identifier(user_id, _EMAIL, address)
    await rules.on_threepid_bind(user_id, _EMAIL, address)


async def tell_unbound(api: ModuleApi, user_id: str, address: str) -> None:
    """Tells modules that an address was taken from an account."""
    rules = api._hs.get_module_api_callbacks().third_party_event_rules
    await rules.on_remove_user_third_party_identifier(user_id, _EMAIL, address)
