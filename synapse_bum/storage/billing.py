"""The invoice of a month, from what was counted in it."""

from collections.abc import Sequence
from datetime import timedelta

from synapse_bum.database import Cursor
from synapse_bum.storage import registered_users, snapshots
from synapse_bum.storage.config import StorageConfig
from synapse_bum.storage.invoice.calculation import Invoice, Item, StorageUse, calculate
from synapse_bum.storage.invoice.document import Counted, Particulars
from synapse_bum.storage.invoice.price_list import choose
from synapse_bum.storage.month import Month, basis, check_has_data, day_of


def bill(
    txn: Cursor, config: StorageConfig, month: Month, now_ms: int, items: Sequence[Item] = ()
) -> tuple[Invoice, Particulars]:
    """Calculate the invoice of a month.

    Args:
        txn: in a transaction; reads the snapshots of the month and who was registered in it.
        config: bases, prices, who the customer is.
        month: the running one gives a preliminary invoice.
        now_ms: ms since the epoch.
        items: what was ordered beyond users and storage.

    Raises:
        MonthError: nothing can be said about this month.
        InvoiceError: no price list holds for it, or an item can't be billed.
    """
    today = day_of(now_ms, config.timezone)
    # A clock that was ahead has left days that are yet to come.
    before_day = min(month.next.first_day, today + timedelta(days=1))
    days = snapshots.read(txn, month.first_day, before_day)
    first = snapshots.first(txn)
    preliminary = check_has_data(month, days, None if first is None else first.day, today)
    distinct = registered_users.distinct_users(txn, *month.bounds_ms(config.timezone))
    found = basis(month, days, distinct, config.users_basis, config.storage_basis)
    invoice = calculate(
        month,
        found.users,
        StorageUse(found.used_gb, found.included_gb, found.extension_gb),
        choose(config.price_lists, month),
        customer_users=config.customer_users,
        items=items,
        readings=config.readings,
    )
    counted = Counted(
        users_basis=config.users_basis,
        storage_basis=config.storage_basis,
        count=config.count,
        locked_users=found.locked_users,
        days_counted=found.days_counted,
        days=found.days,
        preliminary=preliminary,
    )
    return invoice, Particulars(config.invoice.contract, config.invoice.address, config.gigabyte, counted)
