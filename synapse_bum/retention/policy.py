"""What is expired, and what has to be confirmed before it is deleted. Pure."""

from datetime import tzinfo

import attr

from synapse_bum.quantities import Duration


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Decision:
    """What a run may do to one class.

    Attributes:
        cutoff_ts: what has this age timestamp or an earlier one is deleted; ms since the epoch. None: nothing is.
        needs_confirmation: whether more would be deleted once somebody confirms it.
    """

    cutoff_ts: int | None
    needs_confirmation: bool = False


def cutoff(lifetime: Duration, now_ms: int, zone: tzinfo) -> int:
    """The age timestamp at which an item has lived exactly its lifetime; calendar years are counted in the zone.

    An item of this very millisecond is expired, a younger one is not.
    """
    return lifetime.before(now_ms, zone)


def decide(
    wanted: Duration, agreed: Duration | None, *, large: bool, confirmed: bool, now_ms: int, zone: tzinfo
) -> Decision:
    """Decide how far a run may go.

    A large class that was never purged, or whose lifetime has become shorter, waits for an operator: a mistyped `365s`
    must not empty a server. What was expired by the agreed lifetime goes on without asking.

    Args:
        wanted: the configured lifetime.
        agreed: the one that the last finished run went by; None when there was none.
        large: whether the class has so many items that a mistake would matter.
        confirmed: whether an operator has confirmed it in this run.
        now_ms: ms since the epoch.
        zone: where calendar years are counted.
    """
    wanted_cutoff = cutoff(wanted, now_ms, zone)
    if confirmed or not large:
        return Decision(wanted_cutoff)
    if agreed is None:
        return Decision(None, needs_confirmation=True)
    agreed_cutoff = cutoff(agreed, now_ms, zone)
    if wanted_cutoff > agreed_cutoff:
        return Decision(agreed_cutoff, needs_confirmation=True)
    return Decision(wanted_cutoff)
