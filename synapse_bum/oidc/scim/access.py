"""Ending somebody's access and giving it back, in the caller's transaction: lock, limit and row together or not at all.

A refusal is returned, not raised: what the audit says of it must be committed. Sessions end after the commit, see
`deactivation.py`; the lock refuses their tokens from the commit on.
"""

import logging
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.homeserver.account_access import Account, set_locked
from synapse_bum.oidc.last_admin import another_administrator_stays
from synapse_bum.oidc.scim import budget, metrics
from synapse_bum.oidc.scim.errors import ConflictError, ForbiddenError, ScimError, TooManyRequestsError
from synapse_bum.oidc.scim.records import Record

logger = logging.getLogger(__name__)

GIVEN_UP: Final = "The account is deactivated. An administrator of the server has to reactivate it."


def is_last_admin(txn: LoggingTransaction, account: Account) -> bool:
    """Whether nobody else could administer the server without this account. Needs the turn of `last_admin.py`."""
    return account.is_admin and not another_administrator_stays(txn, account.user_id)


def is_given_up(account: Account, record: Record | None) -> bool:
    """Whether an account is deactivated, or will be within a moment."""
    return account.is_deactivated or (record is not None and record.deactivated_ts is not None and record.has_work)


class Access:
    """The access of one identity provider's people."""

    def __init__(self, api: ModuleApi, idp_id: str, max_endings_per_hour: int) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            idp_id: whose people.
            max_endings_per_hour: so many people may lose access within an hour.
        """
        self._api = api
        self._idp_id = idp_id
        self._limit = max_endings_per_hour
        self._warned_ms: int | None = None
        self._audited_ms: dict[str, int] = {}

    @property
    def actor(self) -> str:
        """Who acts, for the audit."""
        return f"scim:{self._idp_id}"

    def end(self, txn: LoggingTransaction, account: Account, record: Record, now_ms: int) -> Record | ScimError:
        """Ends access: locks the account, unless it is closed already.

        Args:
            txn: that has taken the turn.
            account: as it is.
            record: as it is; the caller writes what is returned.
            now_ms: the present, in ms since the epoch.

        Returns:
            the record with the lock and with work left to do; or why access is not ended.
        """
        ended = attr.evolve(
            record, user=attr.evolve(record.user, active=False), has_work=record.has_work or not account.is_deactivated
        )
        if not account.is_open:
            return ended
        if is_last_admin(txn, account):
            return self._keep_last_admin(txn, account, now_ms)
        wait_ms = budget.spend(txn, self._idp_id, record.subject, self._limit, now_ms)
        if wait_ms is not None:
            return self._keep_over_limit(txn, account, now_ms, wait_ms)
        set_locked(self._api, txn, account.user_id, locked=True)
        txn.call_after(metrics.ENDINGS.inc)
        return attr.evolve(ended, locked_ts=now_ms)

    def close_new(self, txn: LoggingTransaction, record: Record, now_ms: int) -> Record:
        """Locks an account that nobody has used yet: that takes nothing away from anybody."""
        set_locked(self._api, txn, record.user_id, locked=True)
        return attr.evolve(record, locked_ts=now_ms)

    def restore(self, txn: LoggingTransaction, account: Account, record: Record) -> Record:
        """Gives access back: unlocks the account if SCIM has locked it.

        Args:
            txn: that has taken the turn.
            account: as it is.
            record: as it is; the caller writes what is returned.

        Raises:
            ConflictError: the account is deactivated.
        """
        if is_given_up(account, record):
            raise ConflictError(GIVEN_UP)
        if record.locked_ts is not None and account.is_locked:
            set_locked(self._api, txn, account.user_id, locked=False)
        user = attr.evolve(record.user, active=True)
        return attr.evolve(record, user=user, locked_ts=None)

    def _keep_last_admin(self, txn: LoggingTransaction, account: Account, now_ms: int) -> ScimError:
        txn.call_after(metrics.REFUSED_ENDINGS.labels("last_admin").inc)
        txn.call_after(logger.warning, "SCIM would end the access of %s, the last administrator; kept", account.user_id)
        audit.append(
            txn,
            audit.Entry(
                now_ms, self.actor, "oidc.scim.refused", account.user_id, reason="the last administrator stays"
            ),
        )
        return ForbiddenError("This is the last administrator of the server. Appoint another one first.")

    def _keep_over_limit(self, txn: LoggingTransaction, account: Account, now_ms: int, wait_ms: int) -> ScimError:
        """Writes it down once an hour for each person: a client sends again all that was refused."""
        txn.call_after(metrics.REFUSED_ENDINGS.labels("limit").inc)
        txn.call_after(self._warn_of_limit, now_ms)
        if not _is_within_hour(self._audited_ms.get(account.user_id), now_ms):
            reason = f"more than {self._limit} people would lose access within an hour"
            entry = audit.Entry(now_ms, self.actor, "oidc.scim.refused", account.user_id, reason=reason)
            audit.append(txn, entry)
            txn.call_after(self._note_audited, account.user_id, now_ms)
        return TooManyRequestsError(
            f"More than {self._limit} people would lose access within an hour.", retry_after_s=-(-wait_ms // 1000)
        )

    def _note_audited(self, user_id: str, now_ms: int) -> None:
        self._audited_ms.pop(user_id, None)
        self._audited_ms[user_id] = now_ms
        # The oldest come first.
        while not _is_within_hour(next(iter(self._audited_ms.values())), now_ms):
            del self._audited_ms[next(iter(self._audited_ms))]

    def _warn_of_limit(self, now_ms: int) -> None:
        if not _is_within_hour(self._warned_ms, now_ms):
            self._warned_ms = now_ms
            logger.warning(
                "SCIM of %s would end the access of more than %d people within an hour; refused. If that is right,"
                " raise `scim.max_deactivations_per_hour`",
                self._idp_id,
                self._limit,
            )


def _is_within_hour(ts: int | None, now_ms: int) -> bool:
    return ts is not None and 0 <= now_ms - ts < budget.HOUR_MS
