"""The daily duty of the audit: dropping rows that are older than `audit_lifetime`, on one process, for all modules."""

from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.audit.chain import Entry
from synapse_bum.audit.chain_watch import ChainWatch
from synapse_bum.audit.table import AUDIT, append, drop_older
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.quantities import Duration

DUTY: Final = "audit.drop"
INTERVAL_MS: Final = 3_600_000

_DAY_MS: Final = 86_400_000
_LEASE_MS: Final = 60_000
_BATCH: Final = 1_000


def keep_audit(api: ModuleApi, database: Database, lifetime: Duration) -> None:
    """Has rows dropped when they reach an age; to be called in every module's `__init__`.

    The chain is verified every day as well. Modules of a homeserver share the audit; where their lifetimes differ the
    longest one counts.

    Args:
        api: of the homeserver.
        database: the audit's tables are added to its components.
        lifetime: of rows.
    """
    database.add(AUDIT)
    shared_object(api, ChainWatch, lambda: ChainWatch(api, database))
    shared_object(api, AuditKeeper, lambda: AuditKeeper(api, database)).keep(lifetime)


class AuditKeeper:
    """Drops old rows, from the process that holds the lease.

    It looks every hour, because a process may not live for a day, and drops whole days, so that it acts once a day.
    """

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database
        self._leases = Leases(api, database)
        self._lifetime: Duration | None = None
        api.looping_background_call(self.run, INTERVAL_MS, desc="synapse_bum_audit_keeper", run_on_all_instances=True)

    def keep(self, lifetime: Duration) -> None:
        """Takes note of a module's wish."""
        if self._lifetime is None or lifetime.nominal_ms > self._lifetime.nominal_ms:
            self._lifetime = lifetime

    async def run(self) -> None:
        """Drops what is too old now, unless another process is at it."""
        await self._leases.run_while_held(DUTY, _LEASE_MS, self._drop)

    async def _drop(self, lease: Lease) -> None:
        now = self._api.get_current_time_msec()
        if self._lifetime is None:
            return
        before = self._lifetime.before(now) // _DAY_MS * _DAY_MS
        while lease.held:
            dropped = await self._database.run("synapse_bum_audit_drop", _drop_batch, before, now)
            if dropped < _BATCH:
                return


def _drop_batch(txn: LoggingTransaction, before: int, now: int) -> int:
    dropped = drop_older(txn, before, _BATCH)
    if dropped:
        append(txn, Entry(now, DUTY, DUTY, "audit", old={"rows": dropped}, new={"before_ts": before}))
    return dropped
