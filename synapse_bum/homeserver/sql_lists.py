"""Statements about many rows at once, within the 999 parameters that SQLite takes before 3.32. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

MAX_PARAMETERS: Final = 999
_SPARE: Final = 19
"""Parameters that a statement may have beside those of its list."""


def in_chunks(items: Sequence[T], width: int) -> Iterator[Sequence[T]]:
    """Cuts a list into parts that fit into one statement each.

    Args:
        items: any number.
        width: parameters that each item needs.
    """
    size = (MAX_PARAMETERS - _SPARE) // width
    for start in range(0, len(items), size):
        yield items[start : start + size]


def marks(count: int) -> str:
    """Placeholders for `IN (...)`."""
    return ", ".join("?" * count)


def rows_of_marks(count: int, width: int) -> str:
    """Placeholders for `VALUES ...`: so many rows of so many values."""
    row = f"({marks(width)})"
    return ", ".join([row] * count)
