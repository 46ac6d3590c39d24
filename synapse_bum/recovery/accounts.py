"""Accounts: locked, suspended, given up, erased, without an administrator's right, or with another password.

What a backup brought back is closed by SQL before the first request; the rest of a deactivation (leaving rooms, e-mail
addresses) is done by Synapse's own handler afterwards, see `tidying.py`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import SOON_MS, Done, Logged, State, columns_of, text_of
from synapse_bum.database import Component
from synapse_bum.homeserver import stored_accounts
from synapse_bum.homeserver.stored_accounts import StoredAccount
from synapse_bum.recovery import owed
from synapse_bum.recovery.tables import RECOVERY

FLAGS: Final = ("deactivated", "locked", "suspended", "shadow_banned", "unapproved", "admin", "erased")
"""In the order of the columns; behind them stands the salt of the password's hash."""

CLOSING: Final = frozenset(FLAGS) - {"admin"}
"""Flags that keep an account from being used as others are."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Closing:
    """What has to be done with one account.

    Attributes:
        values: flags that get another value.
        drop_password: whether the password that the backup brought back must not work.
        not_given_back: what had been granted after the backup, and is not granted again.
    """

    values: Mapping[str, bool]
    drop_password: bool
    not_given_back: tuple[str, ...]


def digest(password_salt: str | None) -> str | None:
    """What the log holds of a password: enough to tell whether it is another one. None without a password. Pure."""
    return None if password_salt is None else hashlib.sha256(password_salt.encode()).hexdigest()


def closing(current: StoredAccount, state: Mapping[str, Any]) -> Closing:
    """Decide what the log's last word means for an account that a backup brought back. Pure.

    A lock or suspension is what it was at last, also when it was lifted. What can't be taken back is not: an account
    that was given up stays so, and an administrator's right is never granted by a file.

    Args:
        current: as it is stored.
        state: of the log's last line; a flag that is missing there says nothing.
    """
    values: dict[str, bool] = {}
    kept = []
    for flag in FLAGS:
        wanted, found = state.get(flag), getattr(current, flag)
        if not isinstance(wanted, bool) or wanted == found:
            continue
        grants = flag == "admin" and wanted
        revives = flag in {"deactivated", "erased"} and not wanted
        if grants or revives:
            kept.append(flag)
        else:
            values[flag] = wanted
    has_old_password = (
        current.password_salt is not None and "password" in state and state["password"] != digest(current.password_salt)
    )
    return Closing(values, has_old_password or values.get("deactivated", False), tuple(kept))


class Accounts:
    """The source of everybody's account."""

    name = "accounts"
    every_ms = SOON_MS
    summary = None
    tells_only_ends = False
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = (RECOVERY,)
    live = stored_accounts.ALL.format(
        state=text_of(*(stored_accounts.COLUMNS[flag] for flag in FLAGS), stored_accounts.PASSWORD_SALT)
    )

    def state_of(self, state: str) -> State:
        """What stands in the log for an account. Pure."""
        *flags, password_salt = columns_of(state)
        return {
            **{flag: value == "1" for flag, value in zip(FLAGS, flags, strict=True)},
            "password": digest(password_salt),
        }

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Closes accounts that a backup opened."""
        done: list[Done] = []
        for each in logged:
            if each.state is None:
                continue
            current = stored_accounts.read(txn, each.key)
            if current is None:
                done.append(self._lost(txn, each.key, each.state, each.ts))
                continue
            done += self._close(txn, each.key, current, closing(current, each.state))
        return done

    def _lost(self, txn: LoggingTransaction, user_id: str, state: Mapping[str, Any], ts: int) -> Done:
        """An account that was made after the backup: nobody gets the name of one that was closed."""
        closed = [flag for flag in FLAGS if flag in CLOSING and state.get(flag) is True]
        if not closed:
            return Done("recovery.account_lost", user_id, None, "made after the backup; its name is free again")
        stored_accounts.keep_name_taken(txn, user_id, ts)
        for flag in closed:
            stored_accounts.write(txn, user_id, flag, value=True)
        return Done("recovery.name_kept", user_id, None, ", ".join(sorted({*closed, "locked"})))

    def _close(self, txn: LoggingTransaction, user_id: str, current: StoredAccount, closing_now: Closing) -> list[Done]:
        done = []
        for flag, value in closing_now.values.items():
            stored_accounts.write(txn, user_id, flag, value=value)
            done.append(Done("recovery.account", user_id, f"{flag}: {not value}", f"{flag}: {value}"))
        if closing_now.drop_password:
            stored_accounts.drop_password(txn, user_id)
            if current.password_salt is not None and not closing_now.values.get("deactivated"):
                done.append(Done("recovery.password_dropped", user_id, "an older password", "none until it is reset"))
        if closing_now.values.get("deactivated"):
            stored_accounts.end_all_access(txn, user_id)
            owed.owe_account(txn, user_id, erase=closing_now.values.get("erased", current.erased))
        if closing_now.values.get("admin") is False or closing_now.values.get("locked"):
            stored_accounts.end_tokens_for_others(txn, user_id)
        done += [
            Done("recovery.not_given_back", user_id, None, f"{flag} had been changed after the backup")
            for flag in closing_now.not_given_back
        ]
        return done
