"""How many files are removed together: as many as fit into a transaction that nobody has to wait for. Pure."""

from typing import Final

MIN_FILES: Final = 50
MAX_FILES: Final = 500

LONG_MS: Final = 80.0
"""Longer transactions make the next batch smaller: on SQLite nobody else writes meanwhile."""

SHORT_MS: Final = 40.0
"""Shorter ones make it larger."""


class Pace:
    """The size of the next batch.

    Attributes:
        files: how many.
    """

    def __init__(self) -> None:
        self.files = MIN_FILES
        self._longest_ms = 0.0

    def took(self, ms: float) -> None:
        """Takes note of a transaction of the batch."""
        self._longest_ms = max(self._longest_ms, ms)

    def end_batch(self, *, all_reached: bool) -> None:
        """Ends a batch.

        Args:
            all_reached: whether all files had their turn; a slow place gets fewer at a time.
        """
        if not all_reached or self._longest_ms > LONG_MS:
            self.files = max(MIN_FILES, self.files // 2)
        elif self._longest_ms < SHORT_MS:
            self.files = min(MAX_FILES, self.files * 3 // 2)
        self._longest_ms = 0.0
