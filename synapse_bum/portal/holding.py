"""Holds on a user or a room: what is said of them on its page, and before something of it is deleted.

Synapse's own deletions ask for no holds: whoever lets it delete something asks here first. Whether there are holds at
all is for homeserver.yaml to say. An answer can't tell: a proxy that does not let the path through answers as a
homeserver without holds would.
"""

import logging
from collections.abc import Mapping
from typing import Final

import attr

from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import HoldsUnknownError, NotOfferedError, UnavailableError
from synapse_bum.portal.visit import Visit

logger = logging.getLogger(__name__)

RETENTION: Final = "synapse_bum.retention"
"""The package whose module keeps holds."""

_HOLDING: Final = BUM + "/retention/holding/{target}"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Holding:
    """What holds something of a user or a room.

    Attributes:
        hold: values for a sentence: `target`, `until` (the last day) and `reason`; None for no hold.
        is_own: whether that hold is on the user or the room itself.
    """

    hold: Mapping[str, object] | None
    is_own: bool


async def holding_of(visit: Visit, target: str) -> Holding | None:
    """Returns what holds something of a user or a room; None where the retention module is not loaded.

    Args:
        visit: whose homeserver is asked.
        target: room id or user id.

    Raises:
        HoldsUnknownError: the module is loaded and does not answer.
    """
    if not visit.has_module(RETENTION):
        return None
    try:
        answer = await visit.server.get(_HOLDING, target=target)
    except (NotOfferedError, UnavailableError) as e:
        logger.error(
            "Whether %s is on hold is not known, so nothing of it can be deleted in the portal: %s."
            " `config.admin_hosts` of the retention module must name the host of the portal's `config.admin_api_url`,"
            " and every proxy before it must let %s through",
            target,
            e,
            BUM,
        )
        raise HoldsUnknownError(str(e)) from e
    holds = answer["holds"]
    if not holds:
        return Holding(None, is_own=False)
    values = {
        "target": holds[0]["target"],
        "reason": holds[0]["reason"],
        "until": visit.formats.date(holds[0]["until_ts"] - 1),
    }
    return Holding(values, any(hold["target"] == target for hold in holds))


async def hold_on(visit: Visit, target: str) -> Mapping[str, object] | None:
    """Returns the values of a sentence about the hold by which something of a user or a room must stay, None for none.

    Args:
        visit: whose homeserver is asked.
        target: room id or user id.

    Raises:
        HoldsUnknownError: as `holding_of`.
    """
    holding = await holding_of(visit, target)
    return None if holding is None else holding.hold
