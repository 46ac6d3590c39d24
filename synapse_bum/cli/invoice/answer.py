"""From the numbers that somebody typed to the printed invoice. Pure but for today's date."""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import attr

from synapse_bum.cli.invoice.command import Format
from synapse_bum.cli.invoice.table import as_table
from synapse_bum.storage.config import StorageConfig
from synapse_bum.storage.invoice.calculation import Invoice, Item, StorageUse, calculate, extension_gb
from synapse_bum.storage.invoice.csv_document import Decimals, as_csv
from synapse_bum.storage.invoice.document import Particulars, as_json
from synapse_bum.storage.invoice.price_list import InvoiceError, choose
from synapse_bum.storage.invoice.text_document import as_text
from synapse_bum.storage.invoice_files import electronic_file
from synapse_bum.storage.month import Month


def _json_text(invoice: Invoice, particulars: Particulars) -> str:
    return json.dumps(as_json(invoice, particulars), ensure_ascii=False, indent=2) + "\n"


def _german_csv(invoice: Invoice, particulars: Particulars) -> str:
    return as_csv(invoice, particulars, Decimals.COMMA)


_WRITERS: Final[Mapping[Format, Callable[[Invoice, Particulars], str]]] = {
    Format.TABLE: as_table,
    Format.TEXT: as_text,
    Format.JSON: _json_text,
    Format.CSV: as_csv,
    Format.CSV_DE: _german_csv,
}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Asked:
    """What stands on the command line.

    Attributes:
        users: registered users of the server.
        storage_gb: used storage.
        customer_users: of all servers of the customer; None for what the configuration says.
        items: ordered besides.
        month: None for the running one.
        number: of the invoice; an XRechnung has one, and nothing else.
    """

    users: int
    storage_gb: Decimal
    customer_users: int | None
    items: tuple[Item, ...]
    month: Month | None
    number: str | None


def printed(asked: Asked, config: StorageConfig, shape: Format) -> str:
    """Calculate the invoice and write it.

    Args:
        asked: the numbers.
        config: prices, the customer, what a user brings to the pool.
        shape: how it is written.

    Raises:
        InvoiceError: there is no invoice for these numbers, or no XRechnung without more of them.
    """
    if (asked.number is None) is (shape is Format.XRECHNUNG):
        raise InvoiceError(
            "--number and --format xrechnung belong together: an XRechnung has a number, nothing else has"
        )
    today = datetime.now(config.timezone).date()
    invoice = _calculated(asked, config, today)
    particulars = Particulars(config.invoice.contract, config.invoice.address, config.gigabyte)
    if asked.number is not None:
        return electronic_file(invoice, particulars, config.invoice, asked.number, today).content.decode()
    return _WRITERS[shape](invoice, particulars)


def _calculated(asked: Asked, config: StorageConfig, today: date) -> Invoice:
    month = asked.month or Month.of(today)
    included_gb = asked.users * config.included_gb_per_user
    return calculate(
        month,
        asked.users,
        StorageUse(asked.storage_gb, included_gb, extension_gb(asked.storage_gb, included_gb)),
        choose(config.price_lists, month),
        customer_users=config.customer_users if asked.customer_users is None else asked.customer_users,
        items=asked.items,
        readings=config.readings,
    )
