"""Taking turns, medians, ratios and goals. No I/O: what is measured is called, and the clock is an argument.

Contenders take turns round by round, in a rotating order, and a ratio is taken within each round before the median is
taken over all rounds: a machine that is slower for a while is slower for both sides of each ratio.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final, TypeVar

import attr

T = TypeVar("T")

_RESAMPLES: Final = 2_000
_SEED: Final = 1
"""The same values give the same interval."""
_TAIL: Final = 0.025
"""Of each side: 95 % of the resamples lie between."""


class Effort(Enum):
    """How much time to spend on everything together."""

    THOROUGH = "some minutes"
    QUICK = "about a minute"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Spread:
    """A median, and how far the machine was from repeating itself.

    Attributes:
        median: of all values.
        lowest: of all values.
        highest: of all values.
        runs: how many values.
    """

    median: float
    lowest: float
    highest: float
    runs: int


def spread(values: Sequence[float]) -> Spread:
    """Summarise values.

    Raises:
        statistics.StatisticsError: there are none.
    """
    return Spread(statistics.median(values), min(values), max(values), len(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Compare two contenders round by round.

    Args:
        ours: one value a round.
        theirs: the values of the same rounds.

    Returns:
        The median of the rounds' ratios and the range of these.

    Raises:
        ValueError: not the same number of rounds.
    """
    return spread([our / their for our, their in zip(ours, theirs, strict=True)])


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Between which two values the median lies, with 95 % confidence (Efron's bootstrap, percentiles).

    Raises:
        statistics.StatisticsError: there are none.
    """
    chance = random.Random(_SEED)  # noqa: S311 - nothing is kept secret by it
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    cut = int(_RESAMPLES * _TAIL)
    return medians[cut], medians[-1 - cut]


def fastest(seconds: Mapping[str, Sequence[float]]) -> str:
    """Name the contender with the lowest median; of equal ones the first."""
    return min(seconds, key=lambda name: statistics.median(seconds[name]))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Batch:
    """What one contender did in one turn.

    Attributes:
        seconds_each: time of each file, from the request to the answer.
        elapsed_s: from the first request to the last answer.
        cpu_s: processor time of the contender meanwhile, without that of the server that it asks. Steadier than the
            others on a machine with other work.
    """

    seconds_each: Sequence[float]
    elapsed_s: float
    cpu_s: float

    @property
    def latency_s(self) -> float:
        """How long a file took."""
        return statistics.median(self.seconds_each)

    @property
    def seconds_per_file(self) -> float:
        """Time divided by files: the inverse of the throughput."""
        return self.elapsed_s / len(self.seconds_each)

    @property
    def cpu_per_file_s(self) -> float:
        """Processor time divided by files."""
        return self.cpu_s / len(self.seconds_each)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Turns:
    """How often contenders take turns.

    Attributes:
        warm_up: rounds that don't count.
        least: rounds that count, whatever they take.
        most: rounds that count, even when there is time left.
        seconds: after the least rounds, no round begins later than this after the start.
    """

    warm_up: int
    least: int
    most: int
    seconds: float


def take_turns(
    contenders: Mapping[str, Callable[[], T]], turns: Turns, clock: Callable[[], float] = time.monotonic
) -> dict[str, list[T]]:
    """Let contenders take turns.

    Args:
        contenders: by name; each call is one turn.
        turns: how often.
        clock: in seconds.

    Returns:
        What each contender's turns returned, round by round.
    """
    names = list(contenders)
    returned: dict[str, list[T]] = {name: [] for name in names}
    began = clock()
    for number in range(turns.warm_up + turns.most):
        counted = number - turns.warm_up
        if counted >= turns.least and clock() - began > turns.seconds:
            break
        first = number % len(names)
        for name in names[first:] + names[:first]:
            outcome = contenders[name]()
            if counted >= 0:
                returned[name].append(outcome)
    return returned


class GoalResult(Enum):
    """What a measurement says about a goal."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"
    """The machine's noise is larger than what is to be seen: it misses the goal without us as well, or the limit lies
    within the interval of what was measured."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Goal:
    """What was promised and what was measured.

    Attributes:
        promise: one line.
        measured: in `unit`.
        limit: in `unit`.
        unit: for print, for example `x` or `ms`.
        at_least: whether more is better.
        without_us: what the machine reaches when we do nothing, where that was measured.
        between: the interval in which `measured` lies, where it is known.
    """

    promise: str
    measured: float
    limit: float
    unit: str
    at_least: bool = False
    without_us: float | None = None
    between: tuple[float, float] | None = None

    @property
    def result(self) -> "GoalResult":
        """Whether the promise was kept; a measurement that is no number does not keep it."""
        if self.between is not None and len({self._keeps(value) for value in self.between}) > 1:
            return GoalResult.UNDECIDED
        if self._keeps(self.measured):
            return GoalResult.MET
        if self.without_us is not None and not self._keeps(self.without_us):
            return GoalResult.UNDECIDED
        return GoalResult.MISSED

    def _keeps(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit
