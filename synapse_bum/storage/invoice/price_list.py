"""What the service costs: price lists, the service's own one, and which one holds for a month. Pure, net, in euros."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import attr
from immutabledict import immutabledict

from synapse_bum.storage.month import Month

CURRENCY: Final = "EUR"
STORAGE_POSITION: Final = "ML.2"
SERVICE_POSITION: Final = "ML.3"


class InvoiceError(Exception):
    """There is no invoice for what was asked; the text says why and what would be right."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Tier:
    """One price step of the registered users.

    Attributes:
        position: its name in the price list, for example `ML.1a`.
        from_users: the smallest number of users that reaches it; it ends where the next one begins.
        price: for each registered user and month.
        minimum: as many users are billed at least; 0 for none.
    """

    position: str
    from_users: int
    price: Decimal
    minimum: int = 0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PriceList:
    """One dated price list.

    Attributes:
        valid_from: the first day on which it holds.
        tiers: ascending; the first one begins at one user.
        storage_price: for each started gigabyte beyond the pool and month.
        service_price: for each registered user and month.
        once: prices of what is ordered by the piece, by position.
        hourly: rates of work for each started hour, by position and by year.
    """

    valid_from: date
    tiers: tuple[Tier, ...]
    storage_price: Decimal
    service_price: Decimal
    once: Mapping[str, Decimal] = immutabledict()
    hourly: Mapping[str, Mapping[int, Decimal]] = immutabledict()

    def tier_of(self, users: int) -> Tier:
        """Returns the step that a number of users reaches; nobody at all is in the first one."""
        return max((tier for tier in self.tiers if tier.from_users <= max(users, 1)), key=_first_user)

    def last_user_of(self, tier: Tier) -> int | None:
        """Returns the largest number of users of a step, or None for the last step, which has no end."""
        return min((other.from_users - 1 for other in self.tiers if other.from_users > tier.from_users), default=None)


def _first_user(tier: Tier) -> int:
    return tier.from_users


def _rates(*euros: int) -> Mapping[int, Decimal]:
    return immutabledict({year: Decimal(rate) for year, rate in zip((2024, 2025, 2026), euros, strict=True)})


OWN_LIST: Final = PriceList(
    valid_from=date(2024, 1, 1),
    tiers=(
        Tier("ML.1", 1, Decimal("2.50"), minimum=50),
        Tier("ML.1a", 200, Decimal("2.25")),
        Tier("ML.1b", 501, Decimal("2.00")),
        Tier("ML.1c", 1_000, Decimal("1.80")),
        Tier("ML.1d", 5_000, Decimal("1.50")),
        Tier("ML.1e", 30_000, Decimal("1.20")),
        Tier("ML.1f", 50_000, Decimal("1.10")),
    ),
    storage_price=Decimal("0.40"),
    service_price=Decimal("1.00"),
    once=immutabledict({"ELO.1": Decimal("250.00")}),
    hourly=immutabledict(
        {
            "AL.1": _rates(165, 170, 175),
            "AL.2": _rates(155, 159, 164),
            "AL.3": _rates(129, 133, 137),
            "AL.4": _rates(43, 45, 46),
        }
    ),
)
"""The published price list of the service. It begins with the first year that it has hourly rates for."""


def choose(price_lists: Sequence[PriceList], month: Month) -> PriceList:
    """Returns the price list of a month: the one that holds on its first day.

    Only full months are billed, so a list that begins in the middle of a month holds from the next month on.

    Args:
        price_lists: in any order, each with another first day.
        month: the billed one.

    Raises:
        InvoiceError: the month lies before the first list.
    """
    started = [price_list for price_list in price_lists if price_list.valid_from <= month.first_day]
    if not started:
        first = min(price_list.valid_from for price_list in price_lists)
        raise InvoiceError(f"there is no price list for {month}: the first one holds from {first.isoformat()}")
    return max(started, key=lambda price_list: price_list.valid_from)
