"""Cells of a CSV file (RFC 4180) that a spreadsheet may open: the one rule by which no text becomes a formula. Pure.

A spreadsheet takes text that begins with `=`, `+`, `-` or `@` for a formula, quoted or not; some skip white space
before these, or read wide forms of them (OWASP, "CSV Injection"). Such text gets an apostrophe in front. The same after
every `,`, `;`, tab and line end in it: opened with another separator than it was written with, quotes keep nothing
together behind the first cell, and what stands there begins a cell of its own. `as_meant` takes them away again.
"""

import re
import unicodedata
from typing import Final

END_OF_ROW: Final = "\r\n"

_FORMULA_BEGINNINGS: Final = tuple("=+-@")
_SEPARATING_SPACE: Final = tuple("\t\r")
_APOSTROPHE: Final = "'"
# The character that follows is looked at, and not taken: it may be the separator before the next one.
_BETWEEN: Final = re.compile(r"""([,;\t\r\n](?:[^\S\t\r\n]|")*)(?=(\S))""")
_BETWEEN_GUARDED: Final = re.compile(r"""([,;\t\r\n](?:[^\S\t\r\n]|")*)'(?=(\S))""")


def quoted(content: str) -> str:
    """Quotes text so that no spreadsheet calculates it; numbers, which are never quoted, need no such thing."""
    return '"' + harmless(content).replace('"', '""') + '"'


def harmless(content: str) -> str:
    """Returns text that no spreadsheet calculates, to be quoted where the format needs that."""
    return _APOSTROPHE * _needs_guard(content) + _BETWEEN.sub(_guarded, content)


def as_meant(cell: str) -> str:
    """Returns what `harmless` was given."""
    inside = _BETWEEN_GUARDED.sub(_unguarded, cell.removeprefix(_APOSTROPHE))
    return inside if _needs_guard(inside) else _BETWEEN_GUARDED.sub(_unguarded, cell)


def _needs_guard(cell: str) -> bool:
    """Whether a spreadsheet might calculate this, or it looks as if it had been guarded."""
    return _is_beginning(cell.lstrip()[:1]) or cell.startswith((*_SEPARATING_SPACE, _APOSTROPHE))


def _is_beginning(character: str) -> bool:
    return unicodedata.normalize("NFKC", character).startswith(_FORMULA_BEGINNINGS)


def _guarded(found: "re.Match[str]") -> str:
    return found[1] + _APOSTROPHE if _is_beginning(found[2]) or found[2] == _APOSTROPHE else found[1]


def _unguarded(found: "re.Match[str]") -> str:
    return found[1] if _is_beginning(found[2]) or found[2] == _APOSTROPHE else found[0]
