"""A line is read as it was written; a piece of one is known as such, and anything else is damage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.after_restore.lines import DamagedLineError, Line, TornLineError, read_line

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
LINES = st.builds(
    Line,
    seq=st.integers(0, 2**53 - 1),
    line_id=TEXT,
    ts=st.integers(0, 2**53 - 1),
    server=TEXT,
    source=TEXT,
    key=TEXT,
    state=st.none()
    | st.dictionaries(TEXT, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT, max_size=4),
)


@given(LINES)
def test_a_line_is_read_as_it_was_written(line: Line) -> None:
    encoded = line.encoded()
    assert encoded.endswith(b"\n")
    assert encoded.count(b"\n") == 1
    assert read_line(encoded.rstrip(b"\n")) == line


@given(LINES, st.data())
def test_every_piece_of_a_line_is_torn(line: Line, data: st.DataObject) -> None:
    encoded = line.encoded()
    piece = encoded[: data.draw(st.integers(1, len(encoded) - 2))]
    with pytest.raises(TornLineError):
        read_line(piece)


@given(st.binary(min_size=1))
def test_nothing_else_is_read(raw: bytes) -> None:
    with pytest.raises((DamagedLineError, TornLineError)):
        read_line(raw)


@given(LINES, st.binary(min_size=1, max_size=5), st.data())
def test_a_line_with_something_behind_it_is_damaged(line: Line, more: bytes, data: st.DataObject) -> None:
    del data
    if more.strip(b" \t\r\n"):
        with pytest.raises((DamagedLineError, TornLineError)):
            read_line(line.encoded().rstrip(b"\n") + more)
