"""The command `synapse-bum invoice`.

What knows prices takes Synapse along, which takes seconds: it is imported when this command runs, not with the list of
commands.
"""

import argparse
import re
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synapse_bum.cli.command import Command

if TYPE_CHECKING:
    from decimal import Decimal

    from synapse_bum.storage.invoice.calculation import Item
    from synapse_bum.storage.month import Month

_USERS: Final = re.compile(r"[0-9]{1,8}", re.ASCII)


class Format(Enum):
    """How the invoice is printed."""

    TABLE = "table"
    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    CSV_DE = "csv-de"
    XRECHNUNG = "xrechnung"


def _users(text: str) -> int:
    if _USERS.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of users; write digits, at most eight")
    return int(text)


def _gigabytes(text: str) -> "Decimal":
    from synapse_bum.storage.invoice.calculation import parse_quantity  # noqa: PLC0415 - see the head of this file
    from synapse_bum.storage.invoice.price_list import InvoiceError  # noqa: PLC0415 - the same

    try:
        return parse_quantity(text)
    except InvoiceError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _item(text: str) -> "Item":
    from synapse_bum.storage.invoice.calculation import parse_item  # noqa: PLC0415 - see the head of this file
    from synapse_bum.storage.invoice.price_list import InvoiceError  # noqa: PLC0415 - the same

    try:
        return parse_item(text)
    except InvoiceError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _month(text: str) -> "Month":
    from synapse_bum.storage.month import Month, MonthError  # noqa: PLC0415 - see the head of this file

    try:
        return Month.parse(text)
    except MonthError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--users", type=_users, required=True, metavar="N", help="registered users of the server in the month"
    )
    parser.add_argument(
        "--storage-gb", type=_gigabytes, required=True, metavar="GB", help="used storage, for example 1000 or 960.5"
    )
    parser.add_argument(
        "--customer-users",
        type=_users,
        metavar="N",
        help="users of all servers of the customer, this one included: they decide about the price step",
    )
    parser.add_argument(
        "--item",
        type=_item,
        action="append",
        default=[],
        metavar="POSITION=QUANTITY",
        help="what was ordered besides: ELO.1=1, or hours of work such as AL.3=7.5; repeat it for another position",
    )
    parser.add_argument(
        "--month", type=_month, metavar="YYYY-MM", help="the billed month; the running one when it is left out"
    )
    parser.add_argument(
        "--format",
        choices=[one.value for one in Format],
        default=Format.TABLE.value,
        metavar="FORMAT",
        help=f"{', '.join(one.value for one in Format)}: table (the default) is for a terminal, text is German and can"
        " be mailed, csv-de is for a spreadsheet with German decimals, xrechnung is EN 16931 in XML; all are UTF-8",
    )
    parser.add_argument(
        "--number",
        metavar="TEXT",
        help="the number of the invoice, for an XRechnung; that has the date of today, and the parties of --config",
    )
    parser.add_argument(
        "-c",
        "--config",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="homeserver.yaml, or a folder of YAML files, with the prices and the customer of the storage module;"
        " repeat it as for Synapse. Without it the service's own price list holds",
    )


def _run(options: argparse.Namespace) -> int:
    from synapse_bum.cli.check.configuration import ConfigurationError  # noqa: PLC0415 - see the head of this file
    from synapse_bum.cli.invoice.answer import Asked, printed  # noqa: PLC0415 - the same
    from synapse_bum.cli.invoice.settings import read_settings  # noqa: PLC0415 - the same
    from synapse_bum.storage.invoice.price_list import InvoiceError  # noqa: PLC0415 - the same

    asked = Asked(
        options.users, options.storage_gb, options.customer_users, tuple(options.item), options.month, options.number
    )
    try:
        text = printed(asked, read_settings(options.config), Format(options.format))
    except (ConfigurationError, InvoiceError) as error:
        print(f"synapse-bum invoice: {error}", file=sys.stderr)
        return 1
    # As bytes: the ends of lines and the umlauts stay what the format says, whatever the terminal is set to.
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    return 0


INVOICE: Final = Command(
    name="invoice",
    summary="calculate what a month costs, without a server",
    description="Calculates the invoice of a month from the number of users and the used storage, and prints its lines"
    " and the net total in euros.",
    add_options=_add_options,
    run=_run,
)
