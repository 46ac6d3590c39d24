"""Files of random bytes on disk that no scanner has seen before: clamd remembers the hashes of clean files.

A file is written once and gets a new stamp in its middle for each scan. So every contender has the same content to scan
but for 32 bytes, no scan meets a remembered hash, and no written page waits for the disk while something is measured.
"""

import os
from pathlib import Path
from typing import Final

STAMP_BYTES: Final = 32


class SampleFiles:
    """Some files of one size."""

    def __init__(self, directory: Path, size: int, count: int) -> None:
        """Write them.

        Args:
            directory: an existing one, for these files alone.
            size: in bytes, at least `STAMP_BYTES`.
            count: at least 1.
        """
        self._stamp_offset = (size - STAMP_BYTES) // 2
        self._paths = [directory / f"{number}.bin" for number in range(count)]
        content = os.urandom(size)
        for path in self._paths:
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

    def fresh(self, count: int) -> list[Path]:
        """Stamp and return the first `count` files; what was returned before is changed by that."""
        for path in self._paths[:count]:
            with path.open("r+b") as file:
                file.seek(self._stamp_offset)
                file.write(os.urandom(STAMP_BYTES))
        return self._paths[:count]
