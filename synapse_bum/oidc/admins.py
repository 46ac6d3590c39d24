"""Administrators by a role at an identity provider: appointing, confirming, removing, and what was done by hand.

The grant, the right and the audit row are written in one transaction that has the turn (`last_admin.py`), so a crash
leaves nothing half done. What is left after its commit is to tell all processes: a grant that was revoked keeps its row
until then, and the duty goes on with it.
"""

import logging
from collections.abc import Mapping
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.database import Cursor, Database
from synapse_bum.homeserver.account_access import account_of, end_tokens_for_others
from synapse_bum.homeserver.admin_changes import (
    AdminChange,
    tell_admin_changed,
    watch_admin_changes,
    write_admin,
)
from synapse_bum.oidc import people
from synapse_bum.oidc.admin_rules import Act, GrantState, Standing, claim_by_age, on_claim, on_end
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.last_admin import another_administrator_stays, take_turn
from synapse_bum.oidc.mapping import AdminClaim

logger = logging.getLogger(__name__)

_ROLE_IS_GONE: Final = "the identity provider names no administrator role any more"
_ROLE_IS_OLD: Final = "no login has shown the administrator role for `admin_ttl`"
_NOBODY_KNOWN: Final = "homeserver"
"""Who decided it, for the audit, when no request did: another module for example."""

# One row by primary key. Nobody can note another login of this person until the commit: an older yes can't come after a
# newer no.
_HOLD_LOGIN: Final = "UPDATE synapse_bum_oidc_people SET pending = pending WHERE idp_id = ? AND subject = ?"
# A prefix of the primary key: a row for each identity provider of the account.
_GRANTS_OF: Final = "SELECT idp_id, revoking FROM synapse_bum_oidc_admin_grants WHERE user_id = ?"
_PUT: Final = (
    "INSERT INTO synapse_bum_oidc_admin_grants (user_id, idp_id, granted_ts, asserted_ts, revoking)"
    " VALUES (?, ?, ?, ?, 0) ON CONFLICT (user_id, idp_id) DO UPDATE SET asserted_ts = excluded.asserted_ts,"
    " granted_ts = CASE WHEN synapse_bum_oidc_admin_grants.revoking = 1 THEN excluded.granted_ts"
    " ELSE synapse_bum_oidc_admin_grants.granted_ts END, revoking = 0"
)
_KEEP: Final = "UPDATE synapse_bum_oidc_admin_grants SET revoking = 2 WHERE user_id = ? AND idp_id = ?"
_WITHDRAW: Final = "DELETE FROM synapse_bum_oidc_admin_grants WHERE user_id = ? AND idp_id = ?"
# From now on `asserted_ts` is the moment of the revocation, which `_TOLD` compares.
_REVOKE: Final = "UPDATE synapse_bum_oidc_admin_grants SET revoking = 1, asserted_ts = ? WHERE user_id = ?"
_TOLD: Final = "DELETE FROM synapse_bum_oidc_admin_grants WHERE user_id = ? AND revoking = 1 AND asserted_ts <= ?"
_FORGET: Final = "DELETE FROM synapse_bum_oidc_admin_grants WHERE user_id = ? AND revoking <> 1"
_IS_OVER: Final = (
    "SELECT 1 FROM synapse_bum_oidc_admin_grants WHERE user_id = ? AND idp_id = ?"
    " AND (revoking = 2 OR (revoking = 0 AND asserted_ts < ?))"
)
# The table whole: a row for each administrator.
_UNTOLD: Final = "SELECT user_id, asserted_ts FROM synapse_bum_oidc_admin_grants WHERE revoking = 1"
_OVER: Final = (
    "SELECT user_id, idp_id FROM synapse_bum_oidc_admin_grants WHERE revoking = 2 OR (revoking = 0 AND asserted_ts < ?)"
    " ORDER BY asserted_ts"
)
_NOT_FROM_THE_FUTURE: Final = (
    "UPDATE synapse_bum_oidc_admin_grants SET asserted_ts = ? WHERE revoking <> 1 AND asserted_ts > ?"
)
_COUNT: Final = (
    "SELECT idp_id, COUNT(*), SUM(CASE WHEN revoking = 2 THEN 1 ELSE 0 END) FROM synapse_bum_oidc_admin_grants"
    " WHERE revoking <> 1 GROUP BY idp_id"
)

_CLOCK_SKEW_MS: Final = 60_000
"""By how much clocks of machines may differ."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Change:
    """What is about to be done with a grant.

    Attributes:
        user_id: the account.
        idp_id: whose grant it is.
        standing: of the account, before.
        act: what is done.
        reason: why the right is not asserted any more, where it isn't.
    """

    user_id: str
    idp_id: str
    standing: Standing
    act: Act
    reason: str


class Admins:
    """What logins change about administrators; in every process."""

    def __init__(self, api: ModuleApi, database: Database, config: OidcConfig) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with the tables OIDC and AUDIT.
            config: with `admin_sync: false` nobody is appointed or removed any more; what was revoked before is told.
        """
        self._api = api
        self._database = database
        self._is_on = config.admin_sync
        self._ttl_ms = config.admin_ttl_ms

    def concerns(self, txn: Cursor, login: people.PendingLogin, user_id: str) -> bool:
        """Whether a login may change something about administrators: for most people it doesn't."""
        if not self._is_on or login.admin is AdminClaim.UNKNOWN:
            return False
        return login.admin is AdminClaim.YES or bool(_grants_of(txn, user_id))

    async def apply(self, idp_id: str, subject: str, user_id: str) -> None:
        """Changes what a person's last login says, if it is pending.

        Args:
            idp_id: of the identity provider.
            subject: of the person there.
            user_id: of the account.

        Raises:
            Exception: of the database; nothing is changed, or only the other processes are not told yet. Again, then.
        """
        now_ms = self._api.get_current_time_msec()

        def settle(txn: LoggingTransaction) -> Act:
            take_turn(txn)
            txn.execute(_HOLD_LOGIN, (idp_id, subject))
            login = people.pending_of(txn, idp_id, subject)
            standing = None if login is None else _standing(txn, user_id, idp_id)
            if login is None or standing is None:
                return Act.NOTHING
            claim = claim_by_age(login.admin, now_ms - login.login_ts, self._ttl_ms)
            act = on_claim(claim, standing, lambda: another_administrator_stays(txn, user_id))
            change = _Change(user_id, idp_id, standing, act, _ROLE_IS_GONE)
            self._carry_out(txn, change, now_ms, min(login.login_ts, now_ms))
            return act

        act = await self._database.run("synapse_bum_oidc_admin", settle)
        # Also when nothing but the time was changed: the process that appointed him may have died before it told.
        if act in {Act.APPOINT, Act.CONFIRM, Act.REVOKE}:
            await self._tell(user_id, now_ms)

    async def look_after(self) -> None:
        """Tells what is left to tell, and ends what is over; for the duty.

        Raises:
            Exception: of the database. Again, then.
        """
        for user_id, revoked_ts in await self._database.run("synapse_bum_oidc_untold", _read_untold):
            await self._tell(user_id, revoked_ts)
        if not self._is_on:
            return
        now_ms = self._api.get_current_time_msec()
        for user_id, idp_id in await self._database.run("synapse_bum_oidc_over", _read_over, now_ms, self._ttl_ms):
            await self._end(user_id, idp_id, now_ms)

    async def _end(self, user_id: str, idp_id: str, now_ms: int) -> None:
        def end(txn: LoggingTransaction) -> Act:
            take_turn(txn)
            standing = _standing(txn, user_id, idp_id)
            # A login may have confirmed it meanwhile.
            txn.execute(_IS_OVER, (user_id, idp_id, now_ms - self._ttl_ms))
            if standing is None or txn.fetchone() is None:
                return Act.NOTHING
            act = on_end(standing, lambda: another_administrator_stays(txn, user_id))
            reason = _ROLE_IS_GONE if standing.own is GrantState.KEPT else _ROLE_IS_OLD
            self._carry_out(txn, _Change(user_id, idp_id, standing, act, reason), now_ms, now_ms)
            return act

        if await self._database.run("synapse_bum_oidc_admin_end", end) is Act.REVOKE:
            await self._tell(user_id, now_ms)

    def _carry_out(self, txn: LoggingTransaction, change: _Change, now_ms: int, asserted_ts: int) -> None:
        key = (change.user_id, change.idp_id)
        if change.act in {Act.APPOINT, Act.CONFIRM}:
            txn.execute(_PUT, (*key, now_ms, asserted_ts))
        elif change.act is Act.WITHDRAW:
            txn.execute(_WITHDRAW, key)
        elif change.act is Act.REVOKE:
            txn.execute(_REVOKE, (now_ms, change.user_id))
            end_tokens_for_others(self._api, txn, change.user_id)
        elif change.act is Act.KEEP:
            txn.execute(_KEEP, key)
        if change.act in {Act.APPOINT, Act.REVOKE}:
            write_admin(txn, change.user_id, is_admin=change.act is Act.APPOINT)
        _write_down(txn, change, now_ms)

    async def _tell(self, user_id: str, revoked_ts: int) -> None:
        await tell_admin_changed(self._api, user_id)
        await self._database.run("synapse_bum_oidc_told", _forget_told, user_id, revoked_ts)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Before:
    """What an account was before somebody changed its right.

    Attributes:
        is_admin: whether it administered the server.
        had_grant: whether by its role.
    """

    is_admin: bool
    had_grant: bool


class _ManualChanges:
    """Ends what we know of an account when it is decided by hand, and writes down who has decided.

    Whoever appoints himself changes nothing: by that, an administrator by his role would stay one without it.
    """

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database

    async def before(self, change: AdminChange) -> _Before:
        """From now on no identity provider takes away what somebody else is about to give.

        Before, because a revocation in between would undo what was decided by hand.
        """
        return await self._database.run("synapse_bum_oidc_by_hand", self._prepare, change)

    async def after(self, change: AdminChange, known: _Before) -> None:
        """The grant goes where the right went, unless a login has just brought both back."""
        await self._database.run("synapse_bum_oidc_by_hand", self._conclude, change, known)

    def _prepare(self, txn: LoggingTransaction, change: AdminChange) -> _Before:
        take_turn(txn)
        account = account_of(txn, change.user_id)
        states = set(_grants_of(txn, change.user_id).values())
        before = _Before(account is not None and account.is_admin, bool(states & {GrantState.HELD, GrantState.KEPT}))
        if change.is_admin and change.by != change.user_id:
            txn.execute(_FORGET, (change.user_id,))
            if before.had_grant or not before.is_admin:
                self._append(txn, change, before)
        return before

    def _conclude(self, txn: LoggingTransaction, change: AdminChange, before: _Before) -> None:
        take_turn(txn)
        if change.is_admin:
            # A login may have brought a grant between the two.
            if change.by != change.user_id:
                txn.execute(_FORGET, (change.user_id,))
            return
        account = account_of(txn, change.user_id)
        if account is not None and account.is_admin:
            return
        txn.execute(_FORGET, (change.user_id,))
        end_tokens_for_others(self._api, txn, change.user_id)
        if before.is_admin:
            self._append(txn, change, before)

    def _append(self, txn: LoggingTransaction, change: AdminChange, before: _Before) -> None:
        old = None if not before.is_admin else "idp" if before.had_grant else "manual"
        new = "manual" if change.is_admin else None
        now_ms = self._api.get_current_time_msec()
        actor = change.by or _NOBODY_KNOWN
        audit.append(txn, audit.Entry(now_ms, actor, "oidc.admin.by_hand", change.user_id, old=old, new=new))


def watch_manual_changes(api: ModuleApi, database: Database) -> None:
    """Lets what is decided by hand count more than what an identity provider says; in every process.

    Args:
        api: of the homeserver.
        database: with the tables OIDC and AUDIT.
    """
    watch_admin_changes(api, _ManualChanges(api, database))


def count_admins(txn: Cursor) -> tuple[Mapping[str, int], int]:
    """Counts administrators by identity provider, and those among them whose role is gone."""
    txn.execute(_COUNT)
    rows = txn.fetchall()
    return {idp_id: int(count) for idp_id, count, _ in rows}, sum(int(kept) for _, _, kept in rows)


def _write_down(txn: LoggingTransaction, change: _Change, now_ms: int) -> None:
    def append(action: str, old: str | None, new: str | None, reason: str | None) -> None:
        actor = f"idp:{change.idp_id}"
        audit.append(txn, audit.Entry(now_ms, actor, f"oidc.admin.{action}", change.user_id, old, new, reason))

    if change.act is Act.APPOINT:
        append("granted", None, "admin", None)
    elif change.act is Act.REVOKE:
        append("revoked", "admin", None, change.reason)
    elif change.act is Act.WITHDRAW:
        right = "admin" if change.standing.is_admin else None
        append("withdrawn", right, right, change.reason)
    elif change.act is Act.KEEP and change.standing.own is not GrantState.KEPT:
        append("kept", "admin", "admin", f"{change.reason}, but nobody else could administer the server")
        txn.call_after(
            logger.warning,
            "%s stays an administrator, though %s: nobody else could administer the server. Appoint somebody",
            change.user_id,
            change.reason,
        )


def _standing(txn: LoggingTransaction, user_id: str, idp_id: str) -> Standing | None:
    account = account_of(txn, user_id)
    if account is None:
        return None
    states = _grants_of(txn, user_id)
    own = states.pop(idp_id, None)
    return Standing(account.is_admin, account.is_open, own, frozenset(states.values()))


def _grants_of(txn: Cursor, user_id: str) -> dict[str, GrantState]:
    txn.execute(_GRANTS_OF, (user_id,))
    return {idp_id: GrantState(revoking) for idp_id, revoking in txn.fetchall()}


def _forget_told(txn: Cursor, user_id: str, revoked_ts: int) -> None:
    txn.execute(_TOLD, (user_id, revoked_ts))


def _read_untold(txn: Cursor) -> list[tuple[str, int]]:
    txn.execute(_UNTOLD)
    return [(user_id, revoked_ts) for user_id, revoked_ts in txn.fetchall()]


def _read_over(txn: Cursor, now_ms: int, ttl_ms: int) -> list[tuple[str, str]]:
    """Accounts and identity providers of grants whose role is gone or was shown too long ago, from the oldest on."""
    txn.execute(_NOT_FROM_THE_FUTURE, (now_ms, now_ms + _CLOCK_SKEW_MS))
    txn.execute(_OVER, (now_ms - ttl_ms,))
    return [(user_id, idp_id) for user_id, idp_id in txn.fetchall()]
