"""How the price list is read where its words leave room."""

from enum import Enum

import attr

from synapse_bum.config import one_of, option


class TierReading(Enum):
    """What a price step applies to."""

    WHOLE = "whole"
    """All users cost what the step costs that their number reaches."""
    GRADUATED = "graduated"
    """Each step's price is for the users within this step only."""


class MinimumReading(Enum):
    """Which positions the minimum of a price step holds for."""

    USERS = "users"
    """The price of the users only (ML.1)."""
    USERS_AND_SERVICE = "users_and_service"
    """The service (ML.3) as well."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Readings:
    """Section `readings`.

    Attributes:
        tiers: what a price step applies to.
        minimum: which positions the smallest billed number of users holds for. The pool always counts registered ones.
    """

    tiers: TierReading = option(one_of(TierReading), default="whole")
    minimum: MinimumReading = option(one_of(MinimumReading), default="users")
