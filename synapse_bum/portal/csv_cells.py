"""CSV as spreadsheets write and read it (RFC 4180); no written text is a formula (`synapse_bum.csv_cells`). Pure."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from synapse_bum.csv_cells import as_meant, harmless
from synapse_bum.portal.forms.form import Complaint

CSV_TYPE: Final = "text/csv; charset=utf-8"

_BYTE_ORDER_MARK: Final = "\ufeff"
_MAX_CELL: Final = 4_000
_REPLACEMENT: Final = "\ufffd"
_SEPARATORS: Final = (";", ",", "\t")


class UnreadableError(Exception):
    """A file is no CSV that we understand.

    Attributes:
        complaint: what is wrong with it.
    """

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.complaint = Complaint(key, values)


def write(rows: Iterable[Sequence[str]]) -> bytes:
    """Writes rows as German spreadsheets open them: `;` between cells, UTF-8 with a byte order mark."""
    return (_BYTE_ORDER_MARK + _written(rows, csv.QUOTE_ALL)).encode()


def write_text(rows: Iterable[Sequence[str]]) -> str:
    """Writes rows for a field of a page; only cells that need it are quoted: in HTML a quote takes five characters."""
    return _written(rows, csv.QUOTE_MINIMAL)


def _written(rows: Iterable[Sequence[str]], quoting: Literal[0, 1]) -> str:
    """Rows with `;` between cells; none is a formula."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=";", quoting=quoting, lineterminator="\r\n")
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return file.getvalue()


def read(text: str) -> list[tuple[int, list[str]]]:
    """Reads text with `;`, `,` or, as spreadsheets copy their cells, tabs between cells.

    Returns:
        the rows that are not empty, each with the number of the line on which it ends, counted from 1.

    Raises:
        UnreadableError: it is not such text, or was read in the wrong encoding before it came here.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)
    if _REPLACEMENT in text or _is_misread(text):
        raise UnreadableError("csv.encoding")
    first = text.lstrip("\n").partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(_SEPARATORS, key=first.count), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            cells = [as_meant(cell.strip()) for cell in row]
            if any(len(cell) > _MAX_CELL for cell in cells):
                raise UnreadableError("csv.cell_too_long", line=reader.line_num)
            if any(cells):
                rows.append((reader.line_num, cells))
    except csv.Error:
        raise UnreadableError("csv.quotes", line=reader.line_num) from None
    return rows


def _is_misread(text: str) -> bool:
    """Whether this is UTF-8 that was taken for Windows-1252, so that `ü` became two other characters."""
    if text.isascii():
        return False
    try:
        text.encode("cp1252").decode()
    except UnicodeError:
        return False
    return True
