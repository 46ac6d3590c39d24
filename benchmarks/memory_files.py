"""Files that a process holds in memory (memfd_create(2)): memory of its cgroup, although not of its resident set."""

import contextlib
import time
from pathlib import Path
from typing import Final

_BLOCK_BYTES: Final = 512  # of st_blocks, whatever the file system has (stat(2))
_PAUSE_SECONDS: Final = 0.001


class MemoryFiles:
    """The files in memory of one process, seen from outside.

    Attributes:
        peak_bytes: of all of them together, at the fullest moment that was looked at.
    """

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}/fd")
        self.peak_bytes = 0

    def look(self) -> None:
        """Take a millisecond's pause and a look."""
        time.sleep(_PAUSE_SECONDS)
        held: dict[int, int] = {}  # by inode: a file may have several descriptors
        for descriptor in self._folder.iterdir():
            # A descriptor may be closed between two steps.
            with contextlib.suppress(FileNotFoundError):
                if str(descriptor.readlink()).startswith("/memfd:"):
                    status = descriptor.stat()
                    held[status.st_ino] = status.st_blocks * _BLOCK_BYTES
        self.peak_bytes = max(self.peak_bytes, sum(held.values()))
