"""A clock that a jump of the system clock does not move: what is expired is decided by it. Pure.

A machine that boots a year ahead, and is corrected by NTP minutes later, must not have deleted a year's messages. So
time that passes is counted by the monotonic clock, and the system clock is believed only where the two agree. What
nobody counted (a restart, a suspended machine) is believed up to `BELIEVED_GAP_MS`. Beyond that the system clock has to
prove itself: it is believed after it has run steadily for `PROOF_MS`. Until then nothing is deleted by it.
"""

from typing import Final

import attr

TOLERANCE_MS: Final = 3_600_000
"""The clocks agree when they differ by no more than this: clocks drift, and are slewed."""

BELIEVED_GAP_MS: Final = 86_400_000
"""How much time may have passed uncounted."""

PROOF_MS: Final = 86_400_000
"""How long a system clock that has jumped has to run steadily before it is believed."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class TrustedTime:
    """What the clock knows.

    Attributes:
        trusted_ms: the time that was counted; ms since the epoch.
        wall_ms: what the system clock said at that moment.
        doubted_since_ms: on the trusted clock, when the system clock began to differ; None while they agree.
    """

    trusted_ms: int
    wall_ms: int
    doubted_since_ms: int | None = None

    @property
    def is_doubted(self) -> bool:
        """Whether the system clock is not believed now."""
        return self.doubted_since_ms is not None

    @property
    def is_behind(self) -> bool:
        """Whether the system clock is not believed because it is behind."""
        return self.is_doubted and self.wall_ms < self.trusted_ms

    @property
    def now_ms(self) -> int:
        """The time to decide by: never later than either clock."""
        return min(self.trusted_ms, self.wall_ms)


def first_seen(wall_ms: int) -> TrustedTime:
    """The clock of a server that has none yet: there is nothing else to believe."""
    return TrustedTime(wall_ms, wall_ms)


def believed(time: TrustedTime) -> TrustedTime:
    """The clock after an operator has confirmed that the system clock is right."""
    return TrustedTime(time.wall_ms, time.wall_ms)


def advanced(time: TrustedTime, wall_ms: int, counted_ms: int) -> TrustedTime:
    """The clock after some time.

    Args:
        time: before it.
        wall_ms: what the system clock says now.
        counted_ms: how much has passed on the monotonic clock; 0 when nobody counted.
    """
    expected = time.trusted_ms + counted_ms
    jump = wall_ms - (time.wall_ms + counted_ms)
    # While the system clock is doubted, only a return to the counted time ends that early, not a gap of a day.
    believed_gap = TOLERANCE_MS if time.is_doubted else BELIEVED_GAP_MS
    if -TOLERANCE_MS <= wall_ms - expected <= believed_gap:
        return TrustedTime(wall_ms, wall_ms)
    steady = time.doubted_since_ms is not None and abs(jump) <= TOLERANCE_MS
    since = time.doubted_since_ms if steady and time.doubted_since_ms is not None else expected
    if expected - since >= PROOF_MS:
        return TrustedTime(wall_ms, wall_ms)
    return TrustedTime(expected, wall_ms, since)
