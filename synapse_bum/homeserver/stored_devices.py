"""Devices as they are stored, and ending one in a database that nobody serves yet.

SQL without caches: only for transactions before the listeners (`before_listeners`).

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `devices`, `e2e_device_keys_json`,
`e2e_one_time_keys_json`, `e2e_fallback_keys_json`, `dehydrated_devices`, `access_tokens`, `refresh_tokens`, `pushers`
in `synapse/storage/schema/main`; `delete_devices` in `synapse/storage/databases/main/devices.py`.
"""

from typing import Final

from synapse.module_api import LoggingTransaction

# All devices; hidden ones are cross-signing keys.
DEVICES: Final = (
    "SELECT user_id || ' ' || device_id AS key, '' AS state FROM devices WHERE hidden IS NULL OR NOT hidden"
)
# By the unique index on `(user_id, device_id)`.
_IS_THERE: Final = "SELECT 1 FROM devices WHERE user_id = ? AND device_id = ? AND (hidden IS NULL OR NOT hidden)"
# By the indexes on `(user_id, device_id)`; pushers by the one on `user_name`.
_END: Final = tuple(
    f"DELETE FROM {table} WHERE {user_id} = ? AND device_id = ?"  # noqa: S608 - our own text
    for table, user_id in (
        ("access_tokens", "user_id"),
        ("refresh_tokens", "user_id"),
        ("pushers", "user_name"),
        ("e2e_device_keys_json", "user_id"),
        ("e2e_one_time_keys_json", "user_id"),
        ("e2e_fallback_keys_json", "user_id"),
        ("dehydrated_devices", "user_id"),
        ("devices", "user_id"),
    )
)


def is_there(txn: LoggingTransaction, user_id: str, device_id: str) -> bool:
    """Whether a user has this device."""
    txn.execute(_IS_THERE, (user_id, device_id))
    return txn.fetchone() is not None


def end_device(txn: LoggingTransaction, key: str) -> tuple[str, str] | None:
    """Ends a device that `DEVICES` has named: its sessions, and the keys by which others encrypt for it.

    Returns:
        Whose it was, and its id; None when there is none. Others have yet to be told (`account_access.forget_device`).
    """
    user_id, _, device_id = key.partition(" ")
    if not is_there(txn, user_id, device_id):
        return None
    for sql in _END:
        txn.execute(sql, (user_id, device_id))
    return user_id, device_id
