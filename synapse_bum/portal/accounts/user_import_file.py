"""The list of accounts to be made: its columns, and what may be wrong with a line. Pure.

The preview carries a list that was read as text (`as_text`), and read again by the same code when it is carried
out: what the browser sends back is trusted no more than what was pasted.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import attr

from synapse_bum.portal import csv_cells
from synapse_bum.portal.accounts.account_details import MAX_DISPLAY_NAME, address_complaint, name_complaint
from synapse_bum.portal.accounts.accounts import WantedAccount
from synapse_bum.portal.csv_cells import UnreadableError
from synapse_bum.portal.forms.form import Complaint

MAX_ROWS: Final = 500

MAX_LENGTH: Final = 250_000
"""Characters; a form has room for four times as many bytes."""

NAME: Final = "benutzername"
DISPLAY_NAME: Final = "anzeigename"
ADDRESS: Final = "e-mail"
ADMIN: Final = "administrator"
COLUMNS: Final = (NAME, DISPLAY_NAME, ADDRESS, ADMIN)

_LINE: Final = "zeile"
_IGNORED: Final = "-"
_SAME: Final[Mapping[str, str]] = {
    "email": ADDRESS,
    "e-mail-adresse": ADDRESS,
    "e-mail address": ADDRESS,
    "user name": NAME,
    "display name": DISPLAY_NAME,
    # What else an export has; see `pages/user_export.py` and `texts/*/export.yaml`.
    "vollständiger name": _IGNORED,
    "full name": _IGNORED,
    "zustand": _IGNORED,
    "state": _IGNORED,
    "angelegt am": _IGNORED,
    "created": _IGNORED,
    "zuletzt gesehen": _IGNORED,
    "last seen": _IGNORED,
}
"""What columns are called besides: as an export of accounts names them, in both languages."""
_YES: Final = frozenset({"ja", "j", "yes", "1", "x", "true", "wahr"})
_NO: Final = frozenset({"", "nein", "n", "no", "0", "false", "falsch"})


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Line:
    """One line of the list.

    Attributes:
        number: in the list, counted from 1.
        wanted: the account, as far as it can be understood.
        complaints: what is wrong with it; nothing when it can be made.
    """

    number: int
    wanted: WantedAccount
    complaints: tuple[Complaint, ...] = ()

    def with_complaint(self, complaint: Complaint) -> "Line":
        """Returns the line with one complaint more."""
        return attr.evolve(self, complaints=(*self.complaints, complaint))


def lines_of(text: str, server_name: str) -> list[Line]:
    """Reads a list, as it was pasted or as `as_text` wrote it.

    Raises:
        UnreadableError: no line of it can be understood, or there are none, or too many.
    """
    rows = csv_cells.read(text)
    if not rows:
        raise UnreadableError("csv.empty")
    header = [_SAME.get(cell.lower(), cell.lower()) for cell in rows[0][1]]
    while header and not header[-1]:
        header.pop()
    _check(header)
    if len(rows) == 1:
        raise UnreadableError("csv.empty")
    if len(rows) > MAX_ROWS + 1:
        raise UnreadableError("csv.too_many", count=MAX_ROWS)
    return _without_duplicates([_line(number, cells, header, server_name) for number, cells in rows[1:]])


def as_text(lines: Sequence[Line]) -> str:
    """Writes lines for the hidden field of the preview."""
    rows = [
        (str(line.number), line.wanted.name, line.wanted.display_name, line.wanted.address, _word(line.wanted.admin))
        for line in lines
    ]
    return csv_cells.write_text([(_LINE, *COLUMNS), *rows])


def template() -> bytes:
    """Returns a file with one account, to be filled in."""
    return csv_cells.write(
        [COLUMNS, ("erika.mustermann", "Erika Mustermann", "erika.mustermann@behoerde.example", "nein")]
    )


def _word(admin: bool) -> str:  # noqa: FBT001 - a value, no switch
    return "ja" if admin else "nein"


def _check(header: Sequence[str]) -> None:
    for column in header:
        if column == _IGNORED:
            continue
        if column not in (*COLUMNS, _LINE):
            raise UnreadableError("csv.unknown_column", column=column[:50], known=", ".join(COLUMNS))
        if header.count(column) > 1:
            raise UnreadableError("csv.column_twice", column=column)
    if NAME not in header:
        raise UnreadableError("csv.no_name_column", column=NAME)


def _line(number: int, cells: Sequence[str], header: Sequence[str], server_name: str) -> Line:
    given = dict(zip(header, (*cells, *[""] * len(header)), strict=False))
    counted = given.get(_LINE, "")
    number = int(counted) if counted.isascii() and counted.isdigit() and len(counted) < 9 else number
    admin = given.get(ADMIN, "").lower()
    wanted = WantedAccount(given[NAME], given.get(DISPLAY_NAME, ""), given.get(ADDRESS, "").lower(), admin in _YES)
    complaints = [
        Complaint("csv.too_many_cells") if any(cells[len(header) :]) else None,
        name_complaint(wanted.name, server_name),
        _display_name_complaint(wanted.display_name),
        address_complaint(wanted.address) if wanted.address else None,
        None if admin in _YES | _NO else Complaint("csv.admin", {"value": admin[:50]}),
    ]
    return Line(number, wanted, tuple(complaint for complaint in complaints if complaint is not None))


def _display_name_complaint(name: str) -> Complaint | None:
    if len(name) > MAX_DISPLAY_NAME:
        return Complaint("csv.display_name_too_long", {"count": MAX_DISPLAY_NAME})
    return None if name.isprintable() else Complaint("csv.display_name_characters")


def _without_duplicates(lines: Sequence[Line]) -> list[Line]:
    names: dict[str, int] = {}
    addresses: dict[str, int] = {}
    found = []
    for line in lines:
        name, address = line.wanted.name.lower(), line.wanted.address
        if name and names.setdefault(name, line.number) != line.number:
            line = line.with_complaint(Complaint("csv.name_twice", {"line": str(names[name])}))  # noqa: PLW2901
        if address and addresses.setdefault(address, line.number) != line.number:
            line = line.with_complaint(Complaint("csv.address_twice", {"line": str(addresses[address])}))  # noqa: PLW2901
        found.append(line)
    return found
