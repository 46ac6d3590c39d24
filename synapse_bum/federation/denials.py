"""Counting and logging who was denied, without letting strangers fill the log or the metrics."""

import logging
from collections.abc import Container
from enum import Enum
from typing import TYPE_CHECKING, Final

from synapse_bum.federation.metrics import DENIALS
from synapse_bum.quantities import shown

if TYPE_CHECKING:
    from prometheus_client import Counter

logger = logging.getLogger(__name__)

_LOG_EVERY_MS: Final = 600_000
_LINES_A_MINUTE: Final = 10
_MINUTE_MS: Final = 60_000
_MAX_LABELS: Final = 200
_MAX_REMEMBERED: Final = 1_000
_OTHER: Final = "other"


class Direction(Enum):
    """Who wanted to talk with whom."""

    IN = "in"
    """A server with us; cached files of it count too."""
    OUT = "out"
    """We with a server."""


class Denials:
    """What is noted about denials in one process."""

    def __init__(self) -> None:
        self._labels: set[str] = set()
        # By name and direction: the counter, and until when nothing is logged.
        self._noted: dict[tuple[str, Direction], tuple[Counter, int]] = {}
        self._minute = 0
        self._lines = 0
        self._probe: str | None = None
        self.probed = 0

    def expect_probe(self, name: str | None) -> None:
        """From now on denials of this name are only counted, in `probed`: see `Doors`."""
        self._probe, self.probed = name, 0

    def note(self, name: object, direction: Direction, *, once_partners: Container[str], now_ms: int) -> None:
        """Counts a denial, and logs a sample of them.

        Args:
            name: of the server, as it came; a request without a signature has none.
            direction: who wanted to talk with whom.
            once_partners: names that may become labels.
            now_ms: ms since the epoch.
        """
        text = name if isinstance(name, str) else ""
        noted = self._noted.get((text, direction))
        if noted is not None and now_ms < noted[1]:
            noted[0].inc()
            return
        if text and text == self._probe:
            self.probed += 1
            return
        counter = DENIALS.labels(direction=direction.value, server=self._label(text, once_partners))
        counter.inc()
        if self._may_log(now_ms):
            if len(self._noted) >= _MAX_REMEMBERED:
                self._noted.clear()
            self._noted[text, direction] = counter, now_ms + _LOG_EVERY_MS
            where = "came in from" if direction is Direction.IN else "went out to"
            logger.info("Nothing %s %s: it is no partner", where, shown(text or "a server without a name"))

    def _label(self, name: str, once_partners: Container[str]) -> str:
        if name in self._labels:
            return name
        if name in once_partners and len(self._labels) < _MAX_LABELS:
            self._labels.add(name)
            return name
        return _OTHER

    def _may_log(self, now_ms: int) -> bool:
        minute = now_ms // _MINUTE_MS
        if minute != self._minute:
            self._minute, self._lines = minute, 0
        if self._lines >= _LINES_A_MINUTE:
            return False
        self._lines += 1
        return True
