"""Every way into a homeserver, closed at once, in a database that nobody serves: SQL without caches.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: tables in `synapse/storage/schema/main`. Each statement
reads its whole table once.

Devices stay, with the keys of their encryption: without a token nobody can use one, and a server that is opened again
would otherwise have lost what was encrypted for them.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from synapse_bum.homeserver.offline_database import OfflineTransaction

# Pushers hold where mails and notifications go; `login_tokens`, `ui_auth_sessions` and `sessions` are logins that have
# begun, the tokens of `threepid_validation_token` reset passwords.
_ENDED: Final = (
    ("pushers", "DELETE FROM pushers"),
    ("access_tokens", "DELETE FROM access_tokens"),
    ("refresh_tokens", "DELETE FROM refresh_tokens"),
    ("login_tokens", "DELETE FROM login_tokens"),
    ("open_id_tokens", "DELETE FROM open_id_tokens"),
    ("ui_auth_sessions_credentials", "DELETE FROM ui_auth_sessions_credentials"),
    ("ui_auth_sessions_ips", "DELETE FROM ui_auth_sessions_ips"),
    ("ui_auth_sessions", "DELETE FROM ui_auth_sessions"),
    ("sessions", "DELETE FROM sessions"),
    ("threepid_validation_token", "DELETE FROM threepid_validation_token"),
)
_OPEN_ACCOUNTS: Final = "SELECT name FROM users WHERE locked IS NULL OR NOT locked ORDER BY name"
_LOCK_ALL: Final = "UPDATE users SET locked = TRUE WHERE locked IS NULL OR NOT locked"
# By the unique index on `name`.
_UNLOCK: Final = "UPDATE users SET locked = FALSE WHERE name = ?"
_OPEN_REGISTRATIONS: Final = (
    "SELECT token, expiry_time FROM registration_tokens WHERE expiry_time IS NULL OR expiry_time > ?"
)
_END_REGISTRATIONS: Final = (
    "UPDATE registration_tokens SET expiry_time = ? WHERE expiry_time IS NULL OR expiry_time > ?"
)
# By the unique index on `token`.
_REOPEN_REGISTRATION: Final = "UPDATE registration_tokens SET expiry_time = ? WHERE token = ?"


def end_sessions(txn: OfflineTransaction) -> dict[str, int]:
    """Ends all sessions and everything that could become one; returns how many rows of each table went."""
    ended = {}
    for table, sql in _ENDED:
        txn.execute(sql)
        ended[table] = max(0, txn.rowcount)
    return ended


def lock_accounts(txn: OfflineTransaction) -> list[str]:
    """Locks all accounts; returns those that were not locked before."""
    txn.execute(_OPEN_ACCOUNTS)
    found = [str(name) for (name,) in txn.fetchall()]
    txn.execute(_LOCK_ALL)
    return found


def unlock_accounts(txn: OfflineTransaction, names: Iterable[str]) -> None:
    """Unlocks some accounts."""
    for name in names:
        txn.execute(_UNLOCK, (name,))


def end_registrations(txn: OfflineTransaction, now_ms: int) -> list[tuple[str, int | None]]:
    """Has all registration tokens end; returns those that were valid, with the time when they would have ended."""
    txn.execute(_OPEN_REGISTRATIONS, (now_ms,))
    found: Sequence[tuple[Any, ...]] = txn.fetchall()
    txn.execute(_END_REGISTRATIONS, (now_ms, now_ms))
    return [(str(token), expiry_time) for token, expiry_time in found]


def reopen_registrations(txn: OfflineTransaction, tokens: Iterable[tuple[str, int | None]]) -> None:
    """Gives registration tokens the end that they had."""
    for token, expiry_time in tokens:
        txn.execute(_REOPEN_REGISTRATION, (expiry_time, token))
