"""Accounts and sessions as they are stored, for a database that nobody serves yet: SQL without caches.

Only for transactions before the listeners (`before_listeners`): no process remembers anything of these rows then.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `users`, `erased_users`, `access_tokens`,
`refresh_tokens`, `devices`, `pushers` in `synapse/storage/schema/main`.
"""

from collections.abc import Mapping
from typing import Final

import attr
from synapse.module_api import LoggingTransaction

COLUMNS: Final[Mapping[str, str]] = {
    "deactivated": "CASE WHEN u.deactivated = 1 THEN 1 ELSE 0 END",
    "locked": "CASE WHEN u.locked THEN 1 ELSE 0 END",
    "suspended": "CASE WHEN u.suspended THEN 1 ELSE 0 END",
    "shadow_banned": "CASE WHEN u.shadow_banned THEN 1 ELSE 0 END",
    "unapproved": "CASE WHEN u.approved IS NULL OR u.approved THEN 0 ELSE 1 END",
    "admin": "CASE WHEN u.admin = 1 THEN 1 ELSE 0 END",
    "erased": "CASE WHEN e.user_id IS NULL THEN 0 ELSE 1 END",
}
"""Expressions in a query with `users AS u` and `erased_users AS e`, 0 or 1."""
PASSWORD_SALT: Final = (
    "CASE WHEN substr(u.password_hash, 1, 2) = '$2' THEN substr(u.password_hash, 1, 29)"  # noqa: S105 - no password
    " ELSE substr(u.password_hash, length(u.password_hash) - 3) END"
)
"""Cost and salt of a stored bcrypt hash: others with each new password, and nothing to try passwords on.

Of a hash of another kind, which Synapse itself never makes, the last four letters: too few to try passwords on.
"""

_FROM: Final = " FROM users AS u LEFT JOIN erased_users AS e ON e.user_id = u.name"
# All accounts.
ALL: Final = f"SELECT u.name AS key, {{state}} AS state{_FROM}"
# By the unique index on `users.name`, and that on `erased_users.user_id`.
_ONE: Final = f"SELECT {', '.join(COLUMNS.values())}, {PASSWORD_SALT}{_FROM} WHERE u.name = ?"

# Each by the unique index on `users.name`. Columns are of two types, so each has its own way to be true.
_WRITE: Final[Mapping[str, tuple[str, str]]] = {
    "deactivated": (
        "UPDATE users SET deactivated = 1 WHERE name = ?",
        "UPDATE users SET deactivated = 0 WHERE name = ?",
    ),
    "locked": ("UPDATE users SET locked = TRUE WHERE name = ?", "UPDATE users SET locked = FALSE WHERE name = ?"),
    "suspended": (
        "UPDATE users SET suspended = TRUE WHERE name = ?",
        "UPDATE users SET suspended = FALSE WHERE name = ?",
    ),
    "shadow_banned": (
        "UPDATE users SET shadow_banned = TRUE WHERE name = ?",
        "UPDATE users SET shadow_banned = FALSE WHERE name = ?",
    ),
    "unapproved": (
        "UPDATE users SET approved = FALSE WHERE name = ?",
        "UPDATE users SET approved = TRUE WHERE name = ?",
    ),
    "admin": ("UPDATE users SET admin = 1 WHERE name = ?", "UPDATE users SET admin = 0 WHERE name = ?"),
    "erased": (
        "INSERT INTO erased_users (user_id) VALUES (?) ON CONFLICT DO NOTHING",
        "DELETE FROM erased_users WHERE user_id = ?",
    ),
}
_DROP_PASSWORD: Final = "UPDATE users SET password_hash = NULL WHERE name = ?"  # noqa: S105 - no password
_KEEP_NAME: Final = (
    "INSERT INTO users (name, password_hash, creation_ts, is_guest, admin, deactivated, locked)"
    " VALUES (?, NULL, ?, 0, 0, 0, TRUE) ON CONFLICT DO NOTHING"
)

# By the indexes on `(user_id, device_id)`; pushers by the one on `user_name`.
_END_ALL: Final = (
    "DELETE FROM access_tokens WHERE user_id = ?",
    "DELETE FROM refresh_tokens WHERE user_id = ?",
    "DELETE FROM pushers WHERE user_name = ?",
)
_END_FOR_OTHERS: Final = "DELETE FROM access_tokens WHERE user_id = ? AND puppets_user_id IS NOT NULL"

# All tokens; refreshed ones are those of their device, as each lives for minutes only.
SESSIONS: Final = (
    "SELECT 'token:' || CAST(id AS TEXT) AS key, user_id || ' ' || coalesce(device_id, '') AS state FROM access_tokens"
    " WHERE refresh_token_id IS NULL UNION ALL SELECT DISTINCT 'device:' || user_id || ' ' || device_id, ''"
    " FROM refresh_tokens"
)
# Numbers only go up, so this changes with each token that comes or goes. All tokens, some ten times as fast.
SESSIONS_SUMMARY: Final = (
    "SELECT (SELECT count(*) FROM access_tokens), (SELECT max(id) FROM access_tokens),"
    " (SELECT sum(id) FROM access_tokens), (SELECT count(*) FROM refresh_tokens), (SELECT max(id) FROM refresh_tokens),"
    " (SELECT sum(id) FROM refresh_tokens)"
)
# By primary key.
_TOKEN: Final = "SELECT user_id, device_id FROM access_tokens WHERE id = ?"  # noqa: S105 - no password
_END_TOKEN: Final = "DELETE FROM access_tokens WHERE id = ?"  # noqa: S105 - no password
# By the indexes on `(user_id, device_id)`: one device's.
_END_DEVICE: Final = (
    "DELETE FROM access_tokens WHERE user_id = ? AND device_id = ?",
    "DELETE FROM refresh_tokens WHERE user_id = ? AND device_id = ?",
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class StoredAccount:
    """An account as it is stored.

    Attributes:
        deactivated: it was given up.
        locked: its tokens are refused.
        suspended: it may read and not write.
        shadow_banned: nobody sees what it writes.
        unapproved: it may not log in until an administrator allows it.
        admin: it administers the server.
        erased: others no longer see what it wrote.
        password_salt: as `PASSWORD_SALT`; None without a password.
    """

    deactivated: bool
    locked: bool
    suspended: bool
    shadow_banned: bool
    unapproved: bool
    admin: bool
    erased: bool
    password_salt: str | None


def read(txn: LoggingTransaction, user_id: str) -> StoredAccount | None:
    """Reads an account; None when there is none."""
    txn.execute(_ONE, (user_id,))
    row = txn.fetchone()
    if row is None:
        return None
    *flags, password_salt = row
    named = dict(zip(COLUMNS, map(bool, flags), strict=True))
    return StoredAccount(**named, password_salt=password_salt)


def write(txn: LoggingTransaction, user_id: str, flag: str, *, value: bool) -> None:
    """Writes one of the flags of `StoredAccount`."""
    to_true, to_false = _WRITE[flag]
    txn.execute(to_true if value else to_false, (user_id,))


def drop_password(txn: LoggingTransaction, user_id: str) -> None:
    """Leaves an account without a password until it is reset."""
    txn.execute(_DROP_PASSWORD, (user_id,))


def keep_name_taken(txn: LoggingTransaction, user_id: str, ts: int) -> None:
    """Makes an account that is locked and has no password, so that nobody gets its name."""
    txn.execute(_KEEP_NAME, (user_id, ts // 1000))


def end_all_access(txn: LoggingTransaction, user_id: str) -> None:
    """Ends all sessions of an account, and what is sent to its devices."""
    for sql in _END_ALL:
        txn.execute(sql, (user_id,))


def end_tokens_for_others(txn: LoggingTransaction, user_id: str) -> None:
    """Ends the tokens with which an administrator acts as other users."""
    txn.execute(_END_FOR_OTHERS, (user_id,))


def end_session(txn: LoggingTransaction, key: str) -> tuple[str, str | None] | None:
    """Ends a session that `SESSIONS` has named.

    Returns:
        Whose it was and its device; None when there is no such session, or the key is none.
    """
    kind, _, rest = key.partition(":")
    if kind == "token" and rest.isdecimal():
        txn.execute(_TOKEN, (int(rest),))
        row = txn.fetchone()
        if row is None:
            return None
        txn.execute(_END_TOKEN, (int(rest),))
        return row[0], row[1]
    user_id, _, device_id = rest.partition(" ")
    if kind != "device" or not device_id:
        return None
    ended = 0
    for sql in _END_DEVICE:
        txn.execute(sql, (user_id, device_id))
        ended += max(0, txn.rowcount)
    return (user_id, device_id) if ended else None
