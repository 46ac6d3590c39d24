"""Names, passwords and the files with accounts: what is taken, what is refused, and that nothing becomes a formula."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal import csv_cells
from synapse_bum.portal.accounts.account_details import (
    address_complaint,
    addresses_in,
    name_complaint,
    new_password,
    password_complaint,
)
from synapse_bum.portal.accounts.accounts import WantedAccount
from synapse_bum.portal.accounts.user_import_file import Line, as_text, lines_of, template
from synapse_bum.portal.csv_cells import UnreadableError
from synapse_bum.portal.pages.user_detail import devices_of

HEADER = "benutzername;anzeigename;e-mail;administrator\n"
SERVER = "messenger.example"


def keys(line: Line) -> list[str]:
    return [complaint.key for complaint in line.complaints]


def refusal(text: str) -> str:
    with pytest.raises(UnreadableError) as caught:
        lines_of(text, SERVER)
    return caught.value.complaint.key


@pytest.mark.parametrize("name", ["erika", "erika.mustermann", "e-m_1=/+", "1a"])
def test_names_that_may_be(name: str) -> None:
    assert name_complaint(name, SERVER) is None


@pytest.mark.parametrize(
    "name", ["", "Erika", "jörg", "a b", "@a", "a:b", "_bridge", "123", "a" * 240, "a\n", "a<b", "\u0430"]
)
def test_names_that_may_not_be(name: str) -> None:
    assert name_complaint(name, SERVER) is not None


def test_first_passwords_differ_and_can_be_typed() -> None:
    passwords = {new_password() for _ in range(200)}
    assert len(passwords) == 200
    assert all(password_complaint(password) is None for password in passwords)
    assert not set("".join(passwords)) & set("0Oo1lI")


def test_addresses_are_taken_once_and_in_lower_case() -> None:
    assert addresses_in("A@b.example\n\n a@B.example \nc@d.example") == ("a@b.example", "c@d.example")


@pytest.mark.parametrize("address", ["a", "a@b", "a b@c.example", "a@b.example,c@d.example", "<a@b.example>"])
def test_no_addresses(address: str) -> None:
    assert address_complaint(address) is not None


@pytest.mark.parametrize("password", ["short", "ä" * 37])
def test_passwords_that_are_no_good(password: str) -> None:
    assert password_complaint(password) is not None


def test_what_devices_did_is_read_only_where_it_may_be_shown() -> None:
    device = {"device_id": "D", "display_name": None, "last_seen_ts": 5, "last_seen_ip": "192.0.2.1"}
    (hidden,) = devices_of([device], show_activity=False)
    assert (hidden.last_seen_ms, hidden.address) == (None, None)
    (shown,) = devices_of([device], show_activity=True)
    assert (shown.last_seen_ms, shown.address) == (5, "192.0.2.1")


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lists_as_spreadsheets_write_and_copy_them(separator: str, mark: str) -> None:
    text = HEADER + "juergen;Jürgen Groß;J.Gross@behoerde.example;ja\n;;;\nanna;;;\n"
    lines = lines_of(mark + text.replace(";", separator), SERVER)
    assert [line.wanted for line in lines] == [
        WantedAccount("juergen", "Jürgen Groß", "j.gross@behoerde.example", admin=True),
        WantedAccount("anna", "", "", admin=False),
    ]
    assert [line.number for line in lines] == [2, 4]
    assert not any(line.complaints for line in lines)


def test_columns_in_any_order_and_the_name_alone() -> None:
    assert lines_of("E-Mail;Benutzername\na@b.example;anna\n", SERVER)[0].wanted.name == "anna"
    assert lines_of("benutzername\nanna\n", SERVER)[0].wanted.address == ""


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "csv.empty"),
        (HEADER, "csv.empty"),
        (HEADER + "a;J\ufffdrgen;;", "csv.encoding"),
        (HEADER + "a;Jürgen Groß;;".encode().decode("cp1252"), "csv.encoding"),
        ("name;anzeigename\nx;y", "csv.unknown_column"),
        ("anzeigename\nx", "csv.no_name_column"),
        ("benutzername;benutzername\nx;y", "csv.column_twice"),
        (HEADER + 'a;"b;c', "csv.quotes"),
        (HEADER + 'a;"b"c;', "csv.quotes"),
        ("benutzername\n" + "\n".join(f"u{number}" for number in range(501)), "csv.too_many"),
        ("benutzername\n" + "a" * 5_000, "csv.cell_too_long"),
    ],
)
def test_lists_that_are_refused_as_a_whole(text: str, key: str) -> None:
    assert refusal(text) == key


def test_each_line_says_what_is_wrong_with_it() -> None:
    text = HEADER + "Anna;;;\nbert;;kein;\ncarl;;;vielleicht\ndora;;;;mehr\nemil;;e@b.example;\nemil;;E@b.example;ja\n"
    lines = lines_of(text, SERVER)
    assert [keys(line) for line in lines] == [
        ["account.name.characters"],
        ["account.addresses.wrong"],
        ["csv.admin"],
        ["csv.too_many_cells"],
        [],
        ["csv.name_twice", "csv.address_twice"],
    ]


def test_the_template_can_be_read() -> None:
    (line,) = lines_of(template().decode(), SERVER)
    assert line.wanted.name == "erika.mustermann"
    assert not line.complaints


def test_what_the_preview_carries_keeps_the_numbers_of_lines() -> None:
    lines = lines_of(HEADER + "X;;;\nanna;'=1+1;a@b.example;ja\n", SERVER)
    (again,) = lines_of(as_text(lines[1:]), SERVER)
    assert again == lines[1]
    assert again.number == 3
    assert again.wanted.display_name == "=1+1"


# UTF-8 that was taken for Windows-1252 is refused on purpose; it always has one of these.
MISREAD = "".join(map(chr, range(0xC2, 0xF5)))
CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=MISREAD), max_size=20).map(str.strip)


@given(st.lists(CELLS, min_size=2, max_size=5).filter(any))
def test_what_is_written_is_read_again_and_no_formula(row: list[str]) -> None:
    header = [str(number) for number in range(len(row))]
    written = csv_cells.write([header, row])
    assert [cells for _number, cells in csv_cells.read(written.decode())][1:] == [row]
    for cells in csv.reader(io.StringIO(written.decode("utf-8-sig")), delimiter=";"):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


@given(st.text(max_size=200))
def test_no_text_breaks_anything(text: str) -> None:
    for whole in (text, "benutzername;anzeigename\n" + text):
        try:
            lines = lines_of(whole, SERVER)
        except UnreadableError:
            continue
        assert [line.wanted for line in lines_of(as_text(lines), SERVER)] == [line.wanted for line in lines]
