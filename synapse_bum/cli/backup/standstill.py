"""Whether a program still does something, for one that may stand still for ever.

restic 0.14 sometimes does after an error of the repository, for example on a full disk: it says nothing then, uses no
time and does not end.
"""

import math
import os
import re
from pathlib import Path
from typing import Final

import attr

_TRANSFERRED: Final = re.compile(r"^[rw]char: (\d+)$", re.MULTILINE)

# One that stands still writes a line at times, refreshes its lock and collects garbage. A transfer that is as slow as
# this is none, and who computes uses a whole core.
_LEAST_BYTES: Final = 64 << 10
_LEAST_CPU_S: Final = 10.0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Activity:
    """What a process has done since it began.

    Attributes:
        said_lines: how many lines were read of it.
        transferred_bytes: read and written, by files, pipes and sockets (proc(5), `/proc/<pid>/io`).
        cpu_s: user and system.
    """

    said_lines: int
    transferred_bytes: int
    cpu_s: float

    @classmethod
    def of(cls, pid: int, said_lines: int) -> "Activity | None":
        """Looks at a process; None where it has ended or its activity can't be seen."""
        folder = Path("/proc", str(pid))
        try:
            transferred = sum(map(int, _TRANSFERRED.findall(folder.joinpath("io").read_text(encoding="ascii"))))
            stat = folder.joinpath("stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        ticks = sum(map(int, stat.rpartition(")")[2].split()[11:13]))
        return cls(said_lines, transferred, ticks / os.sysconf("SC_CLK_TCK"))

    def goes_on_since(self, before: "Activity") -> bool:
        """Whether this is more than a process does that stands still. Pure."""
        return (
            self.said_lines > before.said_lines
            or self.transferred_bytes - before.transferred_bytes >= _LEAST_BYTES
            or self.cpu_s - before.cpu_s >= _LEAST_CPU_S
        )


class Standstill:
    """Notices that a process stands still."""

    def __init__(self, longest_s: float = math.inf) -> None:
        """Nothing was seen yet.

        Args:
            longest_s: how long it may do nothing.
        """
        self._longest_s = longest_s
        self._last: tuple[float, Activity] | None = None

    def is_reached(self, now_s: float, activity: Activity | None) -> bool:
        """Whether it has done nothing for too long.

        Args:
            now_s: on a clock that only goes forward.
            activity: until now; None where it can't be seen: then nobody can tell, and it may go on.
        """
        if activity is None or self._last is None or activity.goes_on_since(self._last[1]):
            self._last = None if activity is None else (now_s, activity)
            return False
        return now_s - self._last[0] >= self._longest_s
