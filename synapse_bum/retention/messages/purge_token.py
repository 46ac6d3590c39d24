"""Up to which depth a room's history can be purged in one step. Pure.

A purge deletes every message below a depth, whatever its age, so the depth is that of the lowest event that has to
stay: a message that is not expired or that somebody's hold keeps, an end of the history, an event that Synapse's own
tables point to. Above it nothing can be purged; expired messages there are emptied instead.
"""

from collections.abc import Callable, Collection, Sequence

import attr

from synapse_bum.homeserver.message_listing import Message


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Limits:
    """What bounds one step.

    Attributes:
        pinned: depths of events that Synapse can't do without.
        size: messages that the step should have at most.
        most: messages that it must not exceed; at least `size`. One depth can't be divided.
    """

    pinned: Collection[int]
    size: int
    most: int


def going_messages(
    lowest: Sequence[Message], *, is_complete: bool, keep: Callable[[Message], bool], limits: Limits
) -> tuple[int, Sequence[Message]] | None:
    """Decide on one step.

    Args:
        lowest: the messages of the room by depth, from the lowest on.
        is_complete: whether these are all; otherwise there may be more at the depth of the last one.
        keep: whether a message has to stay.
        limits: of the step.

    Returns:
        The depth below which everything goes, and the messages below it; None when nothing can go this way.
    """
    if not lowest:
        return None
    bounds = [message.depth for message in lowest if keep(message)][:1]
    bounds.append(lowest[-1].depth + 1 if is_complete else lowest[-1].depth)
    bounds.extend(limits.pinned)
    depth = min(bounds)
    possible = [message for message in lowest if message.depth < depth]
    if len(possible) > limits.size:
        depth = possible[limits.size].depth
        if depth == possible[0].depth:
            # All at one depth: it goes as a whole, or not at all.
            depth += 1
        possible = [message for message in possible if message.depth < depth]
    if not possible or len(possible) > limits.most:
        return None
    return depth, possible
