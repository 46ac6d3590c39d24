"""A new account with its link to a person at an identity provider, so that a crash in between can be repaired.

Synapse registers an account in one transaction and links it in another. Between the two it is an account without an
owner, and after a crash nobody could tell it from one that somebody else made under this name. So it is registered with
a mark, a hash of for whom it is made, and the transaction that links it takes the mark away. There is no secret in it:
whoever knows the person's subject can compute it. But nobody can have an account registered with it by a request,
because Synapse hashes the passwords that it gets; other modules of the homeserver are trusted.

The mark stands where the hash of the password does: Synapse writes that one in the same statement as the account, and
carries it from a worker to the main process. It has the form of bcrypt, and there is no password to it.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `synapse/handlers/register.py`,
`synapse/storage/databases/main/registration.py`.
"""

import hashlib
from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.module_api.errors import Codes, SynapseError

# By the unique index on `users.name`.
_HAS_MARK: Final = "SELECT 1 FROM users WHERE name = ? AND password_hash = ?"
_TAKE_MARK: Final = "UPDATE users SET password_hash = NULL WHERE name = ? AND password_hash = ?"

_BCRYPT_LETTERS: Final = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SALT_LENGTH: Final = 22
_DIGEST_LENGTH: Final = 31
_NAME_CODES: Final = frozenset({Codes.USER_IN_USE, Codes.EXCLUSIVE, Codes.INVALID_USERNAME})


class NameTakenError(Exception):
    """An account can't have this name: somebody has it, or it is reserved."""


def mark_for(*parts: str) -> str:
    """Returns the mark of an account, always the same one for the same parts.

    Args:
        *parts: for whom it is made, and its user id.
    """
    digest = hashlib.sha512("\0".join(parts).encode()).digest()
    letters = "".join(_BCRYPT_LETTERS[byte % len(_BCRYPT_LETTERS)] for byte in digest)
    # The last letter of a salt has two bits, that of a digest four; bcrypt refuses others.
    salt = f"{letters[: _SALT_LENGTH - 1]}."
    return f"$2b$12${salt}{letters[_SALT_LENGTH : _SALT_LENGTH + _DIGEST_LENGTH - 1]}."


async def register(api: ModuleApi, localpart: str, display_name: str | None, mark: str) -> None:
    """Registers an account with a mark, in any process. It has no password and no device.

    Args:
        api: of the homeserver.
        localpart: of the new account.
        display_name: None for Synapse's default, the localpart.
        mark: from `mark_for`.

    Raises:
        NameTakenError: nothing was registered; the name can't be had.
        SynapseError: a module of the homeserver refuses it.
    """
    try:
        await api._hs.get_registration_handler().register_user(
            localpart=localpart,
            password_hash=mark,
            default_display_name=display_name,
            by_admin=True,
            approved=True,
        )
    except SynapseError as error:
        if error.errcode in _NAME_CODES:
            raise NameTakenError(localpart) from None
        raise


def has_mark(txn: LoggingTransaction, user_id: str, mark: str) -> bool:
    """Whether there is an account, and it was registered with this mark and not linked yet."""
    txn.execute(_HAS_MARK, (user_id, mark))
    return txn.fetchone() is not None


def link_marked(api: ModuleApi, txn: LoggingTransaction, mark: str, link: tuple[str, str, str]) -> bool:
    """Takes the mark from an account and links the account to a person.

    Args:
        api: of the homeserver.
        txn: a transaction.
        mark: with which it was registered.
        link: Synapse's name of the identity provider, the person's subject there, the user id.

    Returns:
        False, and nothing is changed, when the account has not this mark.
    """
    auth_provider, subject, user_id = link
    txn.execute(_TAKE_MARK, (user_id, mark))
    if txn.rowcount != 1:
        return False
    store = api._store
    store._invalidate_cache_and_stream(txn, store.get_user_by_id, (user_id,))
    store._record_user_external_id_txn(txn, auth_provider, subject, user_id)
    return True
