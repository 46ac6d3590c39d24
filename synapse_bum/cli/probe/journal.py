"""Results that have not been delivered yet: one JSON object a line, in a file of the probe.

A dead server can't note its own absence, so every result goes here first and leaves when the server has it. A line that
a crash has cut off is left out: it was never delivered and says nothing.
"""

import json
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import attr

from synapse_bum.cli.probe.files import write_whole
from synapse_bum.cli.probe.result import Result

MAX_RESULTS: Final = 90_000
"""More than two months of minutes; the server takes nothing that is older."""


class Journal:
    """The file; one process uses it at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, result: Result) -> None:
        """Adds a result.

        Raises:
            OSError: the disk is full, or the file can't be written.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            # What a crash has cut off must not spoil the next line.
            end = file.seek(0, os.SEEK_END)
            broken = end > 0 and (file.seek(end - 1), file.read(1))[1] != b"\n"
            file.write(b"\n" * broken + json.dumps(result.as_json()).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[Result]:
        """Returns all results, oldest first; what is no result is left out.

        Raises:
            OSError: the file can't be read.
        """
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = [result for line in lines if (result := _result(line)) is not None]
        return found[-MAX_RESULTS:]

    def settle_clock(self, offset_ms: int) -> None:
        """Notes how far this clock is off for results of which nobody knew, because no server answered.

        Raises:
            OSError: the file can't be written.
        """
        self._rewrite(
            lambda result: attr.evolve(result, clock_offset_ms=offset_ms) if result.clock_offset_ms is None else result
        )

    def remove(self, delivered: Collection[str]) -> None:
        """Takes results out that the server has.

        Args:
            delivered: their ids.

        Raises:
            OSError: the file can't be written; the server takes no result twice.
        """
        self._rewrite(lambda result: None if result.probe_id in delivered else result)

    def _rewrite(self, changed: Callable[[Result], Result | None]) -> None:
        before = self.read()
        after = [result for old in before if (result := changed(old)) is not None]
        if after != before:
            write_whole(self._path, "".join(json.dumps(result.as_json()) + "\n" for result in after))


def _result(line: bytes) -> Result | None:
    try:
        return Result.from_json(json.loads(line))
    except (ValueError, TypeError, KeyError):
        return None
