"""What people see of the demo: plain text, at most 96 columns wide, with colours only on a terminal."""

import os
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

WIDTH: Final = 96
"""Columns of the widest line."""

_INDENT: Final = " " * 7
_NARROWEST: Final = 40
_BOLD: Final = "1"
_DIM: Final = "2"
_RED: Final = "31"
_GREEN: Final = "32"
_ERASE_LINE: Final = "\r\x1b[K"


class Report:
    """Writes to one stream, line by line, each at once."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str] = os.environ) -> None:
        """Look at what the stream can show.

        Args:
            stream: standard output, or another one for text.
            environment: `NO_COLOR` (https://no-color.org) and `TERM=dumb` forbid colours.
        """
        self._stream = stream
        self._live = stream.isatty() and environment.get("TERM") != "dumb"
        self._colours = self._live and not environment.get("NO_COLOR")
        self._width = WIDTH
        if self._live:
            self._width = max(_NARROWEST, min(WIDTH, shutil.get_terminal_size().columns - 1))
        self._encoding = stream.encoding or "utf-8"  # None: the stream keeps text as it is
        self._good, self._bad = ("✓", "✗") if self._can_show("✓✗") else ("+", "x")
        self._begun = ""

    def paragraph(self, text: str, *, bold: bool = False) -> None:
        """Write a text from the first column, and an empty line."""
        for line in textwrap.wrap(text, self._width):
            self._write(self._painted(_BOLD, line) if bold else line)
        self._write()

    def verbatim(self, lines: Sequence[str]) -> None:
        """Write lines as they are, because they are to be copied, and an empty line."""
        for line in lines:
            self._write(f"  {line}")
        self._write()

    def table(self, rows: Mapping[str, str]) -> None:
        """Write names and values in two columns, and an empty line."""
        widest = max(map(len, rows))
        self.verbatim([f"{name:<{widest}}  {value}" for name, value in rows.items()])

    def step_begins(self, number: int, title: str) -> None:
        """Say on a terminal what is being done; `step_ended` writes over it."""
        self._begun = f"{number:2}  {title}"
        if self._live:
            self._stream.write(f"   {self._begun} ..."[: self._width])
            self._stream.flush()

    def step_ended(self, *, kept: bool, happened: Sequence[str], proves: str, seconds: float) -> None:
        """Write what became of the step that began last.

        Args:
            kept: whether it was as promised.
            happened: sentences; the last ones say what went wrong, if something did.
            proves: what the operator has of the promise.
            seconds: how long it took.
        """
        if self._live:
            self._stream.write(_ERASE_LINE)
        mark = self._painted(_GREEN, self._good) if kept else self._painted(_RED, self._bad)
        took = duration(seconds)
        title = self._begun.ljust(self._width - len(took) - 4)
        self._write(f" {mark} {self._painted(_BOLD, title)} {self._painted(_DIM, took)}")
        for sentence in happened:
            self._indented(sentence)
        self._indented(f"Proves that {proves}." if kept else f"Not proven: that {proves}.", _DIM)
        self._write()

    def _indented(self, text: str, style: str | None = None) -> None:
        lines = textwrap.wrap(
            text,
            self._width,
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
            break_on_hyphens=False,  # they stand in identifiers, which are easier to copy in one piece
        )
        for line in lines:
            self._write(line if style is None else self._painted(style, line))

    def _painted(self, style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colours else text

    def _can_show(self, text: str) -> bool:
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            return False
        return True

    def _write(self, line: str = "") -> None:
        shown = line.encode(self._encoding, "replace").decode(self._encoding)
        self._stream.write(f"{shown}\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """Write a duration as people read it: `31 ms`, `6.2 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
