"""An invoice as CSV (RFC 4180), for machines or for a spreadsheet with German decimals. Pure.

Text is always quoted and numbers never are. A spreadsheet takes text that begins with `=`, `+`, `-` or `@` for a
formula, quoted or not, so such text gets an apostrophe in front (OWASP, "CSV Injection").
"""

import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Final

from synapse_bum.storage.invoice.calculation import Invoice, Unit
from synapse_bum.storage.invoice.document import Particulars, euros
from synapse_bum.storage.invoice.price_list import CURRENCY

_FORMULA_BEGINNINGS: Final = frozenset("=+-@")
_END_OF_ROW: Final = "\r\n"
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
    rows = [separator.join(cells) + _END_OF_ROW for cells in _rows(invoice, particulars, decimals)]
    return ("" if decimals is Decimals.POINT else _BYTE_ORDER_MARK) + "".join(rows)


def _rows(invoice: Invoice, particulars: Particulars, decimals: Decimals) -> Iterator[list[str]]:
    german = decimals is Decimals.COMMA
    yield [_text(name) for name in (_GERMAN_HEADER if german else _HEADER)]
    yes, no = ("ja", "nein") if german else ("true", "false")
    front = [
        _text(str(invoice.month)),
        _text(particulars.contract or ""),
        _text(", ".join((particulars.address or "").splitlines())),
        _text(yes if particulars.preliminary else no),
    ]
    for line in invoice.lines:
        yield [
            *front,
            _text(line.position),
            _text(line.description),
            str(line.quantity),
            _text(_GERMAN_UNITS[line.unit] if german else line.unit.value),
            _money(line.unit_price, decimals),
            _money(line.amount, decimals),
            _text(CURRENCY),
        ]
    total = "Summe" if german else "total"
    yield [*front, _text(total), "", "", "", "", _money(invoice.total, decimals), _text(CURRENCY)]


def _text(content: str) -> str:
    """Quotes text so that no spreadsheet calculates it; wide forms of the signs are read as signs by some."""
    begin = unicodedata.normalize("NFKC", content.lstrip()[:1])
    safe = f"'{content}" if begin in _FORMULA_BEGINNINGS else content
    return '"' + safe.replace('"', '""') + '"'


def _money(amount: Decimal, decimals: Decimals) -> str:
    return euros(amount) if decimals is Decimals.POINT else euros(amount).replace(".", ",")
