"""An invoice as CSV (RFC 4180), for machines or for a spreadsheet with German decimals. Pure.

Text is always quoted and numbers never are: see `synapse_bum.csv_cells`.
"""

from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Final

from synapse_bum.csv_cells import END_OF_ROW, quoted
from synapse_bum.storage.invoice.calculation import Invoice, Unit
from synapse_bum.storage.invoice.document import Particulars, euros
from synapse_bum.storage.invoice.price_list import CURRENCY

_BYTE_ORDER_MARK: Final = "\ufeff"

_HEADER: Final = (
    "month",
    "contract",
    "address",
    "preliminary",
    "position",
    "description",
    "quantity",
    "unit",
    "unit_price",
    "amount",
    "currency",
)
_GERMAN_HEADER: Final = (
    "Monat",
    "Vertrag",
    "Anschrift",
    "Vorläufig",
    "Position",
    "Leistung",
    "Menge",
    "Einheit",
    "Einzelpreis netto",
    "Betrag netto",
    "Währung",
)
_GERMAN_UNITS: Final = {Unit.USER: "Nutzer", Unit.GIGABYTE: "GB", Unit.PIECE: "Stück", Unit.HOUR: "Stunde"}


class Decimals(Enum):
    """How numbers and columns are separated."""

    POINT = "point"
    """`1920.00,`: English names of columns, as machines read it."""
    COMMA = "comma"
    """`1920,00;`: German names of columns, and a byte order mark, without which Excel takes UTF-8 for Windows-1252."""


def as_csv(invoice: Invoice, particulars: Particulars, decimals: Decimals = Decimals.POINT) -> str:
    """Writes a header, a row for each line, and the total as the last row.

    Args:
        invoice: the calculated one.
        particulars: what it says beside its lines.
        decimals: for whom it is.

    Returns:
        rows that end with CR and LF. In files and answers it is UTF-8.
    """
    separator = "," if decimals is Decimals.POINT else ";"
    rows = [separator.join(cells) + END_OF_ROW for cells in _rows(invoice, particulars, decimals)]
    return ("" if decimals is Decimals.POINT else _BYTE_ORDER_MARK) + "".join(rows)


def _rows(invoice: Invoice, particulars: Particulars, decimals: Decimals) -> Iterator[list[str]]:
    german = decimals is Decimals.COMMA
    yield [quoted(name) for name in (_GERMAN_HEADER if german else _HEADER)]
    yes, no = ("ja", "nein") if german else ("true", "false")
    front = [
        quoted(str(invoice.month)),
        quoted(particulars.contract or ""),
        quoted(", ".join((particulars.address or "").splitlines())),
        quoted(yes if particulars.preliminary else no),
    ]
    for line in invoice.lines:
        yield [
            *front,
            quoted(line.position),
            quoted(line.description),
            str(line.quantity),
            quoted(_GERMAN_UNITS[line.unit] if german else line.unit.value),
            _money(line.unit_price, decimals),
            _money(line.amount, decimals),
            quoted(CURRENCY),
        ]
    total = "Summe" if german else "total"
    yield [*front, quoted(total), "", "", "", "", _money(invoice.total, decimals), quoted(CURRENCY)]


def _money(amount: Decimal, decimals: Decimals) -> str:
    return euros(amount) if decimals is Decimals.POINT else euros(amount).replace(".", ",")
