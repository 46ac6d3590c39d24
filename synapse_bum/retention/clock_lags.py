"""When the system clock was behind: what to write down of it at each look at the clock. Pure.

The bounds are wide rather than narrow: what is stored outside of them may be deleted early, and what is inside of them
by mistake is only kept longer.
"""

from typing import Final

import attr

from synapse_bum.homeserver.clock_lags import ClockLag
from synapse_bum.retention.trusted_clock import BELIEVED_GAP_MS, TOLERANCE_MS, TrustedTime

MARGIN_MS: Final = 60_000
"""Other processes and machines look at their clocks a little earlier or later."""

STREAM_MARGIN: Final = 100
"""Positions: events are not written quite in the order of their positions."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Look:
    """Two looks at the clock that follow each other.

    Attributes:
        before: what the clock knew; None when this is the first look ever.
        now: what it knows.
        counted_ms: how much passed between them on the monotonic clock; None when nobody counted.
    """

    before: TrustedTime | None
    now: TrustedTime
    counted_ms: int | None

    @property
    def was_behind(self) -> bool:
        """Whether a lag is open."""
        return self.before is not None and self.before.is_behind

    @property
    def begins(self) -> bool:
        """Whether a lag begins, maybe because the system clock has jumped in another."""
        return self.now.is_behind and not (self.was_behind and self._is_steady)

    @property
    def ends(self) -> bool:
        """Whether the open lag ends."""
        return self.was_behind and not (self.now.is_behind and self._is_steady)

    @property
    def is_to_be_kept(self) -> bool:
        """Whether something has begun or ended that must be written down at once."""
        return self.before is None or self.before.is_doubted != self.now.is_doubted or self.begins or self.ends

    @property
    def _is_steady(self) -> bool:
        """Whether the system clock may just have gone on."""
        if self.before is None:
            return False
        jump_ms = self.now.wall_ms - self.before.wall_ms - (self.counted_ms or 0)
        return -TOLERANCE_MS <= jump_ms <= (BELIEVED_GAP_MS if self.counted_ms is None else TOLERANCE_MS)

    @property
    def _most_passed_ms(self) -> int:
        """How much may have passed."""
        return BELIEVED_GAP_MS if self.counted_ms is None else self.counted_ms

    @property
    def begins_ts(self) -> int:
        """What the system clock said at the earliest when the lag began; ms since the epoch."""
        return self.now.wall_ms - self._most_passed_ms - MARGIN_MS

    def begun(self, stream_from: int, stream_end: int) -> ClockLag:
        """The lag that begins.

        Args:
            stream_from: position of the last event that was not stored in it, as far as one can see.
            stream_end: position of the last event.
        """
        return ClockLag(
            wall_from_ts=self.begins_ts,
            wall_to_ts=self.now.wall_ms + MARGIN_MS,
            trusted_to_ts=self.now.trusted_ms,
            stream_from=max(0, stream_from - STREAM_MARGIN),
            stream_to=stream_end + STREAM_MARGIN,
        )

    def continued(self, lag: ClockLag, stream_end: int) -> ClockLag:
        """The open lag as it is now, whether it ends or lasts.

        Args:
            lag: as it was written down.
            stream_end: position of the last event.
        """
        if self.before is None:
            return lag
        most_ms = self._most_passed_ms
        wall_to_ts = self.now.wall_ms if self._is_steady else self.before.wall_ms + most_ms
        # Uncounted time of a lag that lasts is what the system clock, which just went on, says.
        if self.counted_ms is None and not self.ends:
            most_ms = max(0, self.now.wall_ms - self.before.wall_ms)
        # Time that nobody counted when the lag began is missing in the trusted time until the end.
        seen_ts = min(self.now.wall_ms, self.before.trusted_ms + most_ms + BELIEVED_GAP_MS)
        return attr.evolve(
            lag,
            # It may have gone back a little further while nobody counted.
            wall_from_ts=min(lag.wall_from_ts, self.begins_ts) if self._is_steady else lag.wall_from_ts,
            wall_to_ts=max(lag.wall_to_ts, wall_to_ts + MARGIN_MS),
            trusted_to_ts=max(lag.trusted_to_ts, self.now.trusted_ms, self.before.trusted_ms + most_ms, seen_ts),
            stream_to=max(lag.stream_to, stream_end + STREAM_MARGIN),
        )
