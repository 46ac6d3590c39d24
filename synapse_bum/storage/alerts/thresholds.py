"""Which thresholds of the pool have been reached, and who has been told. Pure."""

from collections.abc import Collection
from decimal import Decimal
from typing import Final

import attr

MARGIN: Final = Decimal("0.02")
"""By how much of a threshold the usage must fall below it before reaching it again is news."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Crossing:
    """What one look at the pool means.

    Attributes:
        new: thresholds that are reached and that nobody was told of, ascending.
        left: thresholds that somebody was told of and that are not reached any more, ascending.
        told: thresholds of which everybody has been told after this.
    """

    new: tuple[Decimal, ...]
    left: tuple[Decimal, ...]
    told: frozenset[Decimal]


def crossed(
    used_bytes: int, included_bytes: int, thresholds: Collection[Decimal], told: Collection[Decimal]
) -> Crossing:
    """Compare the pool with the thresholds.

    Args:
        used_bytes: what counts.
        included_bytes: the pool; where nothing is included, the first byte reaches every threshold.
        thresholds: shares of the pool; those that are no longer configured are forgotten.
        told: thresholds of which operators have been told.
    """
    known = frozenset(told) & frozenset(thresholds)
    left = {each for each in known if used_bytes == 0 or used_bytes < each * included_bytes * (1 - MARGIN)}
    new = {each for each in thresholds if used_bytes and used_bytes >= each * included_bytes} - known
    return Crossing(tuple(sorted(new)), tuple(sorted(left)), known - left | new)


def percent(share: Decimal) -> str:
    """A share as a percentage without needless digits, with a decimal point: `80`, `95.5`."""
    return f"{(share * 100).normalize():f}"
