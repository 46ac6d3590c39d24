"""When the service was out, from the results of probes. Pure.

A slice of time (a minute, unless the probes ask more often) is good when a result in it is good, failed when all its
results failed, and not measured without one. An outage begins with the first failed slice and ends with the first good
one. A few slices without a result inside of it are bridged: a probe that has to wait for its own time-outs misses some.
A longer gap ends it with its last failed slice, because nobody knows what was then.
"""

from collections.abc import Iterable
from typing import Final

import attr

from synapse_bum.availability.calculation import Span

BRIDGED_SLICES: Final = 5
"""How many slices without a result don't end an outage."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Measured:
    """An outage as the results say.

    Attributes:
        begin_ms: of its first failed slice, ms since the epoch.
        end_ms: None while it goes on.
        seen_until_ms: the end of its last failed slice.
    """

    begin_ms: int
    end_ms: int | None
    seen_until_ms: int

    def touches(self, begin_ms: int, end_ms: int | None) -> bool:
        """Whether another one overlaps or touches it; None for one that goes on."""
        return (end_ms is None or self.begin_ms <= end_ms) and (self.end_ms is None or begin_ms <= self.end_ms)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Slices:
    """How time is cut.

    Attributes:
        length_ms: of one slice.
    """

    length_ms: int

    @property
    def longest_gap_ms(self) -> int:
        """The longest time without results that does not end an outage."""
        return BRIDGED_SLICES * self.length_ms

    def begin_of(self, ts_ms: int) -> int:
        """The first moment of the slice with a moment in it."""
        return ts_ms - ts_ms % self.length_ms

    def outages(self, results: Iterable[tuple[int, bool]], now_ms: int) -> list[Measured]:
        """Find the outages.

        Args:
            results: when, in ms since the epoch, and whether all was well; in any order.
            now_ms: the present: decides whether the last one goes on.

        Returns:
            in order of time; they don't touch each other.
        """
        good: dict[int, bool] = {}
        for ts_ms, is_good in results:
            begin_ms = self.begin_of(ts_ms)
            good[begin_ms] = good.get(begin_ms, False) or is_good
        found: list[Measured] = []
        running: Span | None = None
        for begin_ms in sorted(good):
            if running is not None and begin_ms - running.end_ms > self.longest_gap_ms:
                found.append(Measured(running.begin_ms, running.end_ms, running.end_ms))
                running = None
            if not good[begin_ms]:
                running = Span(begin_ms if running is None else running.begin_ms, begin_ms + self.length_ms)
            elif running is not None:
                found.append(Measured(running.begin_ms, begin_ms, running.end_ms))
                running = None
        if running is not None:
            goes_on = now_ms - running.end_ms <= self.longest_gap_ms
            found.append(Measured(running.begin_ms, None if goes_on else running.end_ms, running.end_ms))
        return found
