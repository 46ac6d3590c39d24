"""One count: what is stored, who is registered, and the snapshot of the day, in one transaction."""

from collections.abc import Mapping

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.storage import ledger, limit, recounts, registered_users, snapshots
from synapse_bum.storage.config import StorageConfig
from synapse_bum.storage.month import day_of
from synapse_bum.storage.snapshots import Snapshot
from synapse_bum.storage.usage import Pool, Stored


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Counted:
    """What a count found.

    Attributes:
        stored: in bytes and files.
        pool: what that means.
        as_of_ts: when it was counted; ms since the epoch.
        drift_bytes: what a full recount corrected, by kind; None when it had nothing to compare with, or was none.
    """

    stored: Stored
    pool: Pool
    as_of_ts: int
    drift_bytes: Mapping[str, int] | None = None


def count(api: ModuleApi, txn: LoggingTransaction, config: StorageConfig, now_ms: int, *, full: bool) -> Counted:
    """Bring the ledger, the registered users and the snapshot of the day up to date.

    Args:
        api: of the homeserver.
        txn: of `Database.run_on_snapshot`.
        config: what counts, and what is included.
        now_ms: ms since the epoch.
        full: count everything anew, instead of what has come and gone.
    """
    drift_bytes: Mapping[str, int] | None = None
    if full:
        recounted = ledger.recount(api, txn, now_ms)
        stored, drift_bytes = recounted.stored, recounted.drift_bytes
    else:
        stored = ledger.advance(api, txn, now_ms)
    users = registered_users.update(txn, config.user_rule, now_ms)
    pool = config.pool(users.users, stored)
    snapshot = Snapshot(
        day=day_of(now_ms, config.timezone),
        ts=now_ms,
        users=users.users,
        locked_users=users.locked,
        stored=stored,
        used_bytes=pool.used_bytes,
        included_bytes=pool.included_bytes,
        gigabyte=pool.gigabyte,
    )
    snapshots.write(txn, snapshot)
    limit.settle(txn, now_ms)
    return Counted(stored, pool, now_ms, drift_bytes)


def forget_old(txn: LoggingTransaction, config: StorageConfig, now_ms: int) -> None:
    """Drop snapshots, former users and recounts that nobody may ask for any more."""
    kept_from_ms = snapshots.KEPT.before(now_ms, config.timezone)
    snapshots.drop_older(txn, day_of(kept_from_ms, config.timezone))
    registered_users.drop_older(txn, kept_from_ms)
    recounts.drop_older(txn, config.audit_lifetime.before(now_ms, config.timezone))
