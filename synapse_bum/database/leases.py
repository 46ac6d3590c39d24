"""Leases: of all processes that have a duty, one does it; when that one dies, another takes over.

A lease is a row with an owner and an end. Taking, renewing and giving back are single statements that compare and set,
so two owners never hold a lease at the same time by the database's clock. That clock is PostgreSQL's own
(`clock_timestamp()`), whatever the clocks of the machines say; on SQLite there is one process, with its own clock.

A holder must not trust its lease longer than `ttl_ms` after it asked for it, measured on its monotonic clock:
`Lease.held` says so without a query, and `run_while_held` ends the work then.
"""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final

import attr
from synapse.module_api import ModuleApi, make_deferred_yieldable, run_in_background
from twisted.internet.defer import CancelledError, Deferred

from synapse_bum.database.error_text import first_line
from synapse_bum.database.schema import Component, Cursor, Dialect, Migration
from synapse_bum.database.transactions import Database
from synapse_bum.homeserver import log_context
from synapse_bum.homeserver.reactor import before_shutdown

logger = logging.getLogger(__name__)

LEASES: Final = Component(
    "leases",
    (
        Migration.both(
            1,
            "CREATE TABLE synapse_bum_leases ("
            " name TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, expires_ts BIGINT NOT NULL)",
        ),
    ),
)

_RENEWALS_PER_TTL: Final = 3

# All by primary key: one row each. The present is a whole number of ms, rounded down; without the one that is added a
# lease could end up to 1 ms before its holder believes.
_ACQUIRE: Final = (
    "INSERT INTO synapse_bum_leases (name, owner, expires_ts) VALUES (?, ?, {now} + ? + 1)"
    " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_ts = excluded.expires_ts"
    " WHERE synapse_bum_leases.owner = excluded.owner OR synapse_bum_leases.expires_ts <= {now}"
)
_RENEW: Final = (
    "UPDATE synapse_bum_leases SET expires_ts = {now} + ? + 1 WHERE name = ? AND owner = ? AND expires_ts > {now}"
)
_RELEASE: Final = "DELETE FROM synapse_bum_leases WHERE name = ? AND owner = ?"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Claim:
    """Who wants which lease for how long.

    Attributes:
        name: of the lease.
        owner: who asks.
        ttl_ms: how long the lease lasts from now.
    """

    name: str
    owner: str
    ttl_ms: int


def clock_sql(dialect: Dialect, now_ms: int) -> str:
    """Returns the SQL expression for the present, in whole ms since the epoch, rounded down.

    Args:
        dialect: of the database.
        now_ms: the time on SQLite; PostgreSQL uses its own.
    """
    if dialect is Dialect.SQLITE:
        return str(int(now_ms))
    return "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)"


def acquire(txn: Cursor, claim: Claim, now: str) -> bool:
    """Takes a lease that is free, has ended or is one's own.

    Args:
        txn: in a transaction.
        claim: who wants what.
        now: from `clock_sql`.

    Returns:
        whether the owner holds it now.
    """
    txn.execute(_ACQUIRE.format(now=now), (claim.name, claim.owner, claim.ttl_ms))
    return txn.rowcount == 1


def renew(txn: Cursor, claim: Claim, now: str) -> bool:
    """Prolongs a lease that has not ended; the arguments are those of `acquire`.

    Returns:
        whether the owner still holds it.
    """
    txn.execute(_RENEW.format(now=now), (claim.ttl_ms, claim.name, claim.owner))
    return txn.rowcount == 1


def release(txn: Cursor, name: str, owner: str) -> None:
    """Gives a lease back; somebody else's stays."""
    txn.execute(_RELEASE, (name, owner))


class Outcome(Enum):
    """How `run_while_held` ended."""

    DONE = "done"
    HELD_ELSEWHERE = "held_elsewhere"
    """Another owner has the lease: nothing was done."""
    LOST = "lost"
    """The lease was lost on the way and the work was cancelled."""


class Lease:
    """A lease in hand. `held` is the truth for the holder: no query, no waiting."""

    def __init__(self, name: str, deadline_ms: float, monotonic_ms: Callable[[], float]) -> None:
        self.name = name
        self._deadline_ms = deadline_ms
        self._monotonic_ms = monotonic_ms

    @property
    def held(self) -> bool:
        """Whether the holder may still act; ask before each step that must not happen twice."""
        return self.remaining_ms > 0

    @property
    def remaining_ms(self) -> float:
        """How long the holder may still act without a renewal, in ms; 0 or less when the lease is lost."""
        return self._deadline_ms - self._monotonic_ms()

    def prolong(self, deadline_ms: float) -> None:
        """Takes note of a renewal."""
        self._deadline_ms = deadline_ms

    def lose(self) -> None:
        """Takes note that the lease is gone."""
        self._deadline_ms = float("-inf")


class Leases:
    """Leases of one owner: this object, unique per process start."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        *,
        monotonic_ms: Callable[[], float] = lambda: time.monotonic() * 1000,
    ) -> None:
        """Prepares; touches no database yet.

        Args:
            api: of the homeserver.
            database: the leases' table is added to its components.
            monotonic_ms: a clock that only runs forward, in ms from any start.
        """
        database.add(LEASES)
        self._api = api
        self._database = database
        self._monotonic_ms = monotonic_ms
        self.owner = f"{api.worker_name or 'main'}-{secrets.token_hex(8)}"
        self._kept: dict[str, Lease] = {}
        before_shutdown(api, self._release_kept)

    async def acquire(self, name: str, ttl_ms: int) -> Lease | None:
        """Takes a lease that is free, has ended or is already this owner's.

        Args:
            name: of the duty, for example `antivirus.rescan`.
            ttl_ms: how long it lasts without renewal; another process takes over after that.

        Returns:
            the lease, or None while another owner has it.
        """
        asked_at = self._monotonic_ms()
        taken = await self._database.run("synapse_bum_lease_acquire", acquire, *self._claim(name, ttl_ms))
        return Lease(name, asked_at + ttl_ms, self._monotonic_ms) if taken else None

    async def renew(self, lease: Lease, ttl_ms: int) -> bool:
        """Prolongs a lease in hand.

        Returns:
            whether it is still held; a lease that ended is lost even when nobody took it.
        """
        asked_at = self._monotonic_ms()
        if await self._database.run("synapse_bum_lease_renew", renew, *self._claim(lease.name, ttl_ms)):
            lease.prolong(asked_at + ttl_ms)
        else:
            lease.lose()
        return lease.held

    async def release(self, lease: Lease) -> None:
        """Gives a lease back, so that another process need not wait for its end."""
        lease.lose()
        await self._database.run("synapse_bum_lease_release", release, lease.name, self.owner)

    async def _release_kept(self) -> None:
        """Give back what waits for its next turn, so that after a restart nobody has to wait for its end."""
        for lease in list(self._kept.values()):
            if lease.held:
                try:
                    await self.release(lease)
                except Exception as e:  # noqa: BLE001 - without a database it ends by itself
                    logger.info("Could not give back the lease %s, it ends by itself: %s", lease.name, first_line(e))

    async def run_while_held(
        self,
        name: str,
        ttl_ms: int,
        work: Callable[[Lease], Awaitable[object]],
        *,
        keep: bool = False,
    ) -> Outcome:
        """Does some work if the lease can be had, renews the lease meanwhile, and stops the work when it is lost.

        Args:
            name: of the duty.
            ttl_ms: how long the lease lasts without renewal; it is renewed every third of it.
            work: gets the lease. It is cancelled (`CancelledError` at its next `await`) when the lease is lost; long
                steps outside the reactor ask `lease.held` themselves.
            keep: leave the lease with this process afterwards, until it ends. For a looping duty whose interval is
                shorter than `ttl_ms`: the same process goes on doing it.

        Raises:
            Exception: whatever the work raised, after the lease was given back.
        """
        self._kept.pop(name, None)
        lease = await self.acquire(name, ttl_ms)
        if lease is None:
            return Outcome.HELD_ELSEWHERE
        working: Deferred[object] = run_in_background(work, lease)
        guards = [
            run_in_background(self._renew_regularly, lease, ttl_ms),
            run_in_background(self._end_with_lease, lease, working),
        ]
        is_abandoned = False
        try:
            await make_deferred_yieldable(working)
        except CancelledError:
            if lease.held:
                raise
            logger.warning("Lost the lease %s; its work was stopped and another process goes on", name)
            return Outcome.LOST
        except GeneratorExit:
            # Nobody will ever wake this work: its homeserver is gone. There is nothing left to end or to give back.
            is_abandoned = True
            raise
        finally:
            if not is_abandoned:
                for guard in guards:
                    log_context.cancel(guard)
                if keep:
                    self._kept[name] = lease
                elif lease.held:
                    await self.release(lease)
        return Outcome.DONE

    def _claim(self, name: str, ttl_ms: int) -> tuple[Claim, str]:
        now = clock_sql(self._database.dialect, self._api.get_current_time_msec())
        return Claim(name, self.owner, ttl_ms), now

    async def _renew_regularly(self, lease: Lease, ttl_ms: int) -> None:
        try:
            while lease.held:
                await self._api.sleep(ttl_ms / _RENEWALS_PER_TTL / 1000)
                await self._renew_if_possible(lease, ttl_ms)
        except CancelledError:
            return

    async def _renew_if_possible(self, lease: Lease, ttl_ms: int) -> None:
        try:
            await self.renew(lease, ttl_ms)
        except Exception as e:  # noqa: BLE001 - the database may be back before the lease ends
            logger.warning("Could not renew the lease %s, trying again until it ends: %s", lease.name, first_line(e))

    async def _end_with_lease(self, lease: Lease, working: "Deferred[object]") -> None:
        try:
            while lease.held:
                await self._api.sleep(min(lease.remaining_ms, 1000) / 1000)
        except CancelledError:
            return
        log_context.cancel(working)
