"""By what people come in beside a password, as it is stored: addresses, links to identity providers, invitations.

Ends are written by SQL without caches: only for transactions before the listeners (`before_listeners`).

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `user_threepids`, `user_external_ids`,
`registration_tokens`, `pushers` in `synapse/storage/schema/main`.
"""

from typing import Final

from synapse.module_api import LoggingTransaction

_BETWEEN: Final = "\x1f"

# All e-mail addresses and telephone numbers of accounts.
ADDRESSES: Final = (
    f"SELECT user_id || '{_BETWEEN}' || medium || '{_BETWEEN}' || address AS key, '' AS state"  # noqa: S608 - our own
    " FROM user_threepids"
)
# All links of accounts to identity providers.
LINKS: Final = (
    f"SELECT auth_provider || '{_BETWEEN}' || external_id || '{_BETWEEN}' || user_id AS key, '' AS state"  # noqa: S608
    " FROM user_external_ids"
)
# All registration tokens that are not used up: as many as administrators have made. One whose limits are changed is
# another one.
REGISTRATION_TOKENS: Final = (
    "SELECT token AS key, coalesce(CAST(uses_allowed AS TEXT), '') || '/' || coalesce(CAST(expiry_time AS TEXT), '')"
    " AS state FROM registration_tokens WHERE uses_allowed IS NULL OR completed < uses_allowed"
)

# By the index on `user_id`: one user's.
_END_ADDRESS: Final = "DELETE FROM user_threepids WHERE user_id = ? AND medium = ? AND address = ?"
# By the unique index on `(app_id, pushkey, user_name)`.
_END_MAILS: Final = "DELETE FROM pushers WHERE user_name = ? AND app_id = 'm.email' AND pushkey = ?"
# By the unique index on `(auth_provider, external_id)`.
_PUT_LINK: Final = (
    "INSERT INTO user_external_ids (auth_provider, external_id, user_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
)
_END_LINK: Final = "DELETE FROM user_external_ids WHERE auth_provider = ? AND external_id = ? AND user_id = ?"
# By the unique index on `token`.
_END_REGISTRATION_TOKEN: Final = "DELETE FROM registration_tokens WHERE token = ?"  # noqa: S105 - no password


def end_address(txn: LoggingTransaction, key: str) -> tuple[str, str] | None:
    """Takes an address of `ADDRESSES` away, with the mails that were sent to it.

    Returns:
        Whose it was, and of which kind; None when there is none.
    """
    user_id, _, rest = key.partition(_BETWEEN)
    medium, _, address = rest.partition(_BETWEEN)
    txn.execute(_END_ADDRESS, (user_id, medium, address))
    if txn.rowcount < 1:
        return None
    txn.execute(_END_MAILS, (user_id, address))
    return user_id, medium


def end_link(txn: LoggingTransaction, key: str) -> tuple[str, str] | None:
    """Takes a link of `LINKS` away.

    Returns:
        Whose it was, and to which identity provider; None when there is none.
    """
    idp_id, external_id, user_id = _link(key)
    txn.execute(_END_LINK, (idp_id, external_id, user_id))
    return (user_id, idp_id) if txn.rowcount > 0 else None


def put_link(txn: LoggingTransaction, key: str) -> bool:
    """Puts a link of `LINKS`; returns whether it was not there, and nobody else's."""
    txn.execute(_PUT_LINK, _link(key))
    return txn.rowcount > 0


def owner_of_link(key: str) -> tuple[str, str]:
    """Whose a link of `LINKS` is, and to which identity provider. Pure."""
    idp_id, _external_id, user_id = _link(key)
    return user_id, idp_id


def _link(key: str) -> tuple[str, str, str]:
    idp_id, _, rest = key.partition(_BETWEEN)
    external_id, _, user_id = rest.rpartition(_BETWEEN)
    return idp_id, external_id, user_id


def end_registration_token(txn: LoggingTransaction, token: str) -> tuple[str, str] | None:
    """Takes a registration token away.

    Returns:
        What the audit may say of it, which is not the token; None when there is none.
    """
    txn.execute(_END_REGISTRATION_TOKEN, (token,))
    return ("registration token", "usable") if txn.rowcount > 0 else None
