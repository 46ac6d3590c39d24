"""Closing a server and opening it again: each in one transaction, so that it is done as a whole or not at all.

The marker in the database is what counts: who closed it, when, for how long it can be taken back. A database without
it may have been in use, whatever a journal says: closing that one is a new closing, with a grace period of its own.

What closing changes is kept in the database, so that opening gives back exactly that: accounts that had been locked
before stay locked. Sessions do not come back; people log in anew.
"""

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

import attr

from synapse_bum import audit
from synapse_bum.cli.offboard import rules
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.journal import DEFAULT_GRACE_DAYS
from synapse_bum.cli.stopped_synapse import refuse_while_synapse_runs
from synapse_bum.contract_end import (
    CONTRACT_END,
    Closing,
    forget_closing,
    prolong_closing,
    read_closing,
    take,
    taken,
    write_closing,
)
from synapse_bum.database import Dialect
from synapse_bum.database.leases import LEASES
from synapse_bum.database.schema import SchemaTooNewError, migrate
from synapse_bum.federation import partners
from synapse_bum.federation.partner import Partner, Source
from synapse_bum.federation.tables import FEDERATION
from synapse_bum.homeserver import closing as doors
from synapse_bum.homeserver.offline_database import OfflineDatabase, OfflineDatabaseError, OfflineTransaction

ACTOR: Final = "cli:offboard"
_ACCOUNT: Final = "account"
_PARTNER: Final = "partner"
_REGISTRATION: Final = "registration_token"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Order:
    """That somebody wants a server closed or opened.

    Attributes:
        server_name: of the homeserver.
        by: who orders it.
        reason: why, for the audit.
        now_ms: ms since the epoch.
    """

    server_name: str
    by: str
    reason: str
    now_ms: int

    def entry(self, action: str, new: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> audit.Entry:
        """What the audit says of it."""
        return audit.Entry(
            ts=self.now_ms,
            actor=ACTOR,
            action=action,
            target=self.server_name,
            old=None if old is None else dict(old),
            new={"by": self.by, **new},
            reason=self.reason,
        )


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Changed:
    """What closing or opening has changed.

    Attributes:
        closing: the marker that stands now, or stood until now.
        was_done: it had been done before; nothing was changed.
        counts: how much of what.
    """

    closing: Closing
    was_done: bool
    counts: Mapping[str, int]


def close(
    database: OfflineDatabase, order: Order, grace_days: int | None, before_commit: Callable[[Changed], None] | None
) -> Changed:
    """Close everything, or have a closing that stands be open to change for longer.

    Args:
        database: of the homeserver, which is stopped.
        order: for it.
        grace_days: how long it can be taken back; None for the usual time, or to leave it as it is.
        before_commit: is told of it before it stays so; None when it is only counted.

    Raises:
        OffboardError: the grace period would become shorter.
        SynapseRunsError: Synapse is not stopped.
        OfflineDatabaseError: the database refused; nothing was changed.
    """

    def change(txn: OfflineTransaction) -> Changed:
        stored = read_closing(txn)
        if stored is not None:
            return Changed(_prolonged(txn, order, stored, grace_days), was_done=True, counts={})
        sessions = doors.end_sessions(txn)
        accounts = doors.lock_accounts(txn)
        for name in accounts:
            take(txn, _ACCOUNT, name, "open")
        registrations = doors.end_registrations(txn, order.now_ms)
        for token, expiry_time in registrations:
            take(txn, _REGISTRATION, token, expiry_time)
        closed_partners = _close_federation(txn, order.now_ms)
        closing = Closing(secrets.token_hex(16), order.now_ms, order.by, grace_days or DEFAULT_GRACE_DAYS)
        write_closing(txn, closing)
        counts = {
            "sessions": sessions["access_tokens"],
            "accounts": len(accounts),
            "registration_tokens": len(registrations),
            "partners": closed_partners,
        }
        audit.append(txn, order.entry("contract.closed", {**counts, "grace_days": closing.grace_days}))
        return Changed(closing, was_done=False, counts=counts)

    return _in_transaction(database, order.now_ms, change, before_commit)


def reopen(
    database: OfflineDatabase, order: Order, closing_id: str, before_commit: Callable[[Changed], None] | None
) -> Changed:
    """Open again what a closing has closed.

    Args:
        database: of the homeserver, which is stopped.
        order: for it.
        closing_id: of that closing.
        before_commit: is told of it before it stays so; None when it is only counted.

    Raises:
        OffboardError: another closing stands in the database, or the grace period is over.
        SynapseRunsError: Synapse is not stopped.
        OfflineDatabaseError: the database refused; nothing was changed.
    """

    def change(txn: OfflineTransaction) -> Changed:
        stored = read_closing(txn)
        if stored is None:
            return Changed(Closing(closing_id, order.now_ms, order.by, 0), was_done=True, counts={})
        if stored.closing_id != closing_id:
            raise OffboardError(
                "the database was closed by another order than that of the journal: --stage close brings the journal up"
                " to date"
            )
        rules.refuse_late(stored, order.now_ms)
        accounts = [name for name, _before in taken(txn, _ACCOUNT)]
        doors.unlock_accounts(txn, accounts)
        registrations = taken(txn, _REGISTRATION)
        doors.reopen_registrations(txn, registrations)
        partners.begin_change(txn, order.now_ms)
        closed_partners = taken(txn, _PARTNER)
        for _key, before in closed_partners:
            partners.put(txn, Partner(**{**before, "source": Source(before["source"])}))
        forget_closing(txn)
        counts = {
            "accounts": len(accounts),
            "registration_tokens": len(registrations),
            "partners": len(closed_partners),
        }
        audit.append(txn, order.entry("contract.reopened", counts))
        return Changed(stored, was_done=False, counts=counts)

    return _in_transaction(database, order.now_ms, change, before_commit)


def _prolonged(txn: OfflineTransaction, order: Order, stored: Closing, grace_days: int | None) -> Closing:
    if grace_days is None or grace_days == stored.grace_days:
        return stored
    if grace_days < stored.grace_days:
        raise OffboardError(
            f"the grace period is {stored.grace_days} days and can only become longer; who wants a shorter one opens"
            " the server again and closes it anew"
        )
    prolong_closing(txn, grace_days)
    audit.append(
        txn, order.entry("contract.prolonged", {"grace_days": grace_days}, old={"grace_days": stored.grace_days})
    )
    return attr.evolve(stored, grace_days=grace_days)


def _close_federation(txn: OfflineTransaction, now_ms: int) -> int:
    partners.begin_change(txn, now_ms)
    found = partners.read_all(txn)
    for partner in found:
        stored: dict[str, Any] = {**attr.asdict(partner), "source": partner.source.value}
        take(txn, _PARTNER, f"{partner.source.value} {partner.server_name}", stored)
        partners.delete(txn, partner.server_name, partner.source)
    return len(found)


def _in_transaction(
    database: OfflineDatabase,
    now_ms: int,
    change: Callable[[OfflineTransaction], Changed],
    before_commit: Callable[[Changed], None] | None,
) -> Changed:
    dialect = Dialect.POSTGRES if database.is_postgres else Dialect.SQLITE
    with database.transaction() as txn:
        try:
            migrate(txn, dialect, (LEASES, audit.AUDIT, FEDERATION, CONTRACT_END))
        except SchemaTooNewError as error:
            raise OfflineDatabaseError(str(error)) from None
        refuse_while_synapse_runs(database, txn, now_ms)
        changed = change(txn)
        if before_commit is not None:
            before_commit(changed)
            txn.keep()
    return changed
