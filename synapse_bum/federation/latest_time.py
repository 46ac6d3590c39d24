"""A time that does not go back when somebody sets the clock back: what has ended once has ended for this process."""

import time
from collections.abc import Callable
from typing import Final

_NS: Final = 1_000_000


class LatestTime:
    """The latest time that a clock has shown, and what has passed since then."""

    __slots__ = ("_monotonic_ns", "_offset_ms")

    def __init__(self, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """Prepares.

        Args:
            monotonic_ns: a clock in ns that nobody sets, from any beginning.
        """
        self._monotonic_ns = monotonic_ns
        self._offset_ms: int | None = None

    def __call__(self, now_ms: int) -> int:
        """Takes the time of the clock, and returns it, or the later one that it would show had it not been set back.

        Args:
            now_ms: ms since the epoch.
        """
        passed_ms = self._monotonic_ns() // _NS
        offset_ms = now_ms - passed_ms
        if self._offset_ms is None or offset_ms > self._offset_ms:
            self._offset_ms = offset_ms
        return passed_ms + self._offset_ms
