"""What is left to do after a commit, in the main process: sessions end, deleted accounts are given up after 30 days.

Only the main process can (`homeserver/account_access.py`). What is to do stands in the rows, so the others leave it
there and wait; it is taken up every two seconds, and after a crash. Every step can be done twice. What fails is tried
again ever later, up to five minutes, and what comes behind it is done meanwhile.
"""

import logging
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver.account_access import account_of, deactivate, end_sessions, is_main_process
from synapse_bum.oidc import people
from synapse_bum.oidc.last_admin import take_turn
from synapse_bum.oidc.scim import metrics, records
from synapse_bum.oidc.scim.access import is_last_admin
from synapse_bum.oidc.scim.accounts import Accounts
from synapse_bum.oidc.scim.errors import UnavailableError
from synapse_bum.oidc.scim.records import START, Record
from synapse_bum.oidc.scim.retries import Retries

logger = logging.getLogger(__name__)

LEASE: Final = "oidc.scim"
TICK_MS: Final = 2_000
KEPT_MS: Final = 30 * 86_400_000
"""How long an account stays after its deletion until it is deactivated."""

ABANDONED_MS: Final = 30_000
"""How long a creation may take before it is finished by the duty."""

_LEASE_MS: Final = 30_000
_LONGEST_WAIT_MS: Final = 300_000
_BATCH: Final = 100
_GIVEN_UP_AT_ONCE: Final = 10
_WAIT_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.1
_RETRY_AFTER_S: Final = 5


class Deactivation:
    """The work that is left."""

    def __init__(self, api: ModuleApi, database: Database, leases: Leases, accounts: Accounts) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with the identity tables.
            leases: of this process.
            accounts: finishes creations that a crash has cut off.
        """
        self._api = api
        self._database = database
        self._leases = leases
        self._accounts = accounts
        self._is_main = is_main_process(api)
        self._busy = False
        self._told: frozenset[str] = frozenset()
        self._after = START
        self._retries = Retries(TICK_MS, _LONGEST_WAIT_MS)

    def start(self) -> None:
        """Begins to look for work, in the main process."""
        if self._is_main:
            self._api.delayed_background_call(0, self.tick, desc="synapse_bum_oidc_scim")
            self._api.looping_background_call(
                self.tick, TICK_MS, desc="synapse_bum_oidc_scim", run_on_all_instances=True
            )

    async def until_done(self, record: Record) -> None:
        """Returns when nothing is left to do for somebody: all sessions have ended.

        Raises:
            UnavailableError: they have not yet; his tokens are refused already, and it goes on without the caller.
        """
        if not record.has_work:
            return
        if self._is_main:
            await self._do(record)
        waited_s = 0.0
        while await self._database.run("synapse_bum_oidc_scim_has_work", _has_work, record):
            if waited_s >= _WAIT_S or self._is_main:
                raise UnavailableError(
                    "The account is locked, but its sessions have not all ended yet.", retry_after_s=_RETRY_AFTER_S
                )
            await self._api.sleep(_LOOK_EVERY_S)
            waited_s += _LOOK_EVERY_S

    async def tick(self) -> None:
        """Does what is left to do, unless the last turn still runs."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._leases.run_while_held(LEASE, _LEASE_MS, self._turn, keep=True)
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn goes on
            logger.warning("What SCIM has left to do has to wait: %s", first_line(error))
        finally:
            self._busy = False

    async def _turn(self, lease: Lease) -> None:
        now_ms = self._api.get_current_time_msec()
        self._tell_of(await self._database.run("synapse_bum_oidc_scim_give_up", _give_up, now_ms))
        page, self._after = await self._database.run(
            "synapse_bum_oidc_scim_with_work", records.with_work, self._after, _BATCH
        )
        self._retries.forget_gone(now_ms)
        for record in page:
            if not lease.held:
                return
            if not self._retries.is_due((record.idp_id, record.subject), record.modified_ts, now_ms):
                continue
            if record.is_complete or not 0 <= now_ms - record.modified_ts < ABANDONED_MS:
                await self._do(record)

    async def _do(self, record: Record) -> None:
        """Does what is left for one; a failure is logged and leaves it for a later turn."""
        key = (record.idp_id, record.subject)
        try:
            if not record.is_complete:
                await self._accounts.finish_or_drop(record)
            elif record.deactivated_ts is not None:
                await deactivate(self._api, record.user_id)
                await self._database.run("synapse_bum_oidc_scim_given_up", _given_up, record, self._now_ms())
            else:
                await end_sessions(self._api, record.user_id)
                await self._database.run("synapse_bum_oidc_scim_done", records.done, record)
            self._retries.worked(key)
        except Exception as error:  # noqa: BLE001 - one that fails must not hold up the others
            metrics.FAILURES.inc()
            self._retries.failed(key, record.modified_ts, self._now_ms())
            logger.warning("What SCIM wants of %s has to be tried again: %s", record.user_id, first_line(error))

    def _tell_of(self, kept: frozenset[str]) -> None:
        for user_id in kept - self._told:
            logger.warning("SCIM has deleted %s, the last administrator; the account is not deactivated", user_id)
        self._told = kept

    def _now_ms(self) -> int:
        return self._api.get_current_time_msec()


def _has_work(txn: LoggingTransaction, record: Record) -> bool:
    found = records.read(txn, record.idp_id, record.subject)
    return found is not None and found.has_work


def _give_up(txn: LoggingTransaction, now_ms: int) -> frozenset[str]:
    """Decides whose accounts are deactivated now, a few at once. From the commit on nobody gets them back by SCIM.

    Returns:
        the last administrators, if it would be their turn: several, when none is left who could act.
    """
    due, after = records.to_give_up(txn, now_ms - KEPT_MS, START, _GIVEN_UP_AT_ONCE)
    kept: set[str] = set()
    if due:
        take_turn(txn)
    given_up = 0
    while due:
        for listed in due:
            record = records.read(txn, listed.idp_id, listed.subject)
            if record is None or record.deleted_ts is None or record.deactivated_ts is not None:
                continue
            account = account_of(txn, record.user_id)
            if account is not None and is_last_admin(txn, account):
                kept.add(account.user_id)
                continue
            modified_ts = max(now_ms, record.modified_ts + 1)
            records.put(txn, attr.evolve(record, deactivated_ts=now_ms, has_work=True, modified_ts=modified_ts))
            given_up += 1
        # Those who are kept stay the oldest; they must not hold up the others.
        if given_up or after == START:
            break
        due, after = records.to_give_up(txn, now_ms - KEPT_MS, after, _GIVEN_UP_AT_ONCE)
    return frozenset(kept)


def _given_up(txn: LoggingTransaction, record: Record, now_ms: int) -> None:
    if records.done(txn, record):
        records.forget_person(txn, record.idp_id, record.subject)
        people.forget(txn, record.idp_id, record.subject)
        audit.append(
            txn,
            audit.Entry(
                now_ms,
                f"scim:{record.idp_id}",
                "oidc.scim.deactivated",
                record.user_id,
                old={"deleted_ts": record.deleted_ts},
                new={"deactivated": True},
            ),
        )
