"""CSV that somebody made to do harm, or that is simply too much."""

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.csv_cells import as_meant, harmless, quoted
from synapse_bum.portal import csv_cells
from synapse_bum.portal.accounts.user_import_file import lines_of
from synapse_bum.portal.csv_cells import UnreadableError

SERVER = "test"


def refusal(text: str) -> str:
    with pytest.raises(UnreadableError) as refused:
        lines_of(text, SERVER)
    return refused.value.complaint.key


@pytest.mark.parametrize(
    "cell",
    ["=1", "+1", "-1", "@a", "\t=1", "\r=1", " =1", "\u00a0=1", "\n=1", "\uff1d1", "\uff0b1", "\ufe631", "\uff201"],
)
def test_what_a_spreadsheet_might_calculate_is_guarded_and_comes_back(cell: str) -> None:
    written = csv_cells.write([[cell]]).decode("utf-8-sig")
    assert written.startswith("\"'")
    assert written.replace("'", "") == f'"{cell}"\r\n'
    ((_number, (again,)),) = csv_cells.read(written.replace("\r\n", "\n"))
    assert again.strip() == cell.strip()


@pytest.mark.parametrize("cell", ["1=1", "a+b", "a-b", "a@b.example", "Erika", "", "\u2013", "a, b; c\nd's", "1,5"])
def test_what_is_harmless_stays(cell: str) -> None:
    assert csv_cells.write([[cell]]).decode("utf-8-sig") == f'"{cell}"\r\n'


@given(st.text(alphabet="=+-@' \t\n;\"a\uff1d", max_size=12))
def test_no_mixture_gets_through(cell: str) -> None:
    for written in (csv_cells.write([["", cell]]).decode("utf-8-sig"), csv_cells.write_text([["", cell]])):
        ((_empty, found),) = csv.reader(io.StringIO(written, newline=""), delimiter=";")
        assert not found.strip().startswith(("=", "+", "-", "@", "\uff1d"))


@given(st.text(alphabet="=+-@' \t\r\n;,\"a\uff1d", max_size=12))
def test_no_other_separator_makes_a_formula_of_a_part(cell: str) -> None:
    """As a spreadsheet reads it that takes the semicolons for text, and what stands between other signs for cells."""
    written = csv_cells.write([["a", cell, "b"]]).decode("utf-8-sig")
    for separator in (",", "\t"):
        for row in csv.reader(io.StringIO(written, newline=""), delimiter=separator):
            assert not [part for part in row if part.strip().startswith(("=", "+", "-", "@", "\uff1d"))]


@given(st.text(alphabet="=+-@' \t\r\n;,\"a\uff1d\u00a0", max_size=12))
def test_what_was_guarded_comes_back(cell: str) -> None:
    assert as_meant(harmless(cell)) == cell
    assert quoted(cell) == '"' + harmless(cell).replace('"', '""') + '"'


@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_ten_thousand_lines_are_refused_at_once(separator: str) -> None:
    text = f"benutzername{separator}anzeigename\n" + "".join(f"nutzer{n}{separator}Name\n" for n in range(10_000))
    begun = time.process_time()
    assert refusal(text) == "csv.too_many"
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "text",
    [
        "benutzername;anzeigename\n" + '"' * 200_001,
        "benutzername\n" + "a;" * 100_000,
        ";" * 200_000,
        "benutzername\n" + "\n" * 200_000,
        "benutzername\n" + '"' + "a\n" * 100_000,
    ],
)
def test_lists_that_are_one_long_mistake_take_no_time(text: str) -> None:
    begun = time.process_time()
    try:
        lines = lines_of(text, SERVER)
    except UnreadableError:
        lines = []
    assert all(line.complaints for line in lines)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16"])
def test_files_in_other_encodings_are_noticed(encoding: str) -> None:
    """As they come when a person opens such a file as UTF-8 and pastes what she sees."""
    text = "benutzername;anzeigename\nanna;Jürgen Groß\n".encode(encoding).decode("utf-8", "replace")
    assert refusal(text) == "csv.encoding"
