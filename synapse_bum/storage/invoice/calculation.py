"""From numbers of users, gigabytes and ordered items to the lines of an invoice. Pure; exact, because over Decimal."""

import re
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, Decimal
from enum import Enum
from typing import Final

import attr

from synapse_bum.quantities import shown
from synapse_bum.storage.invoice.german import whole
from synapse_bum.storage.invoice.price_list import (
    SERVICE_POSITION,
    STORAGE_POSITION,
    InvoiceError,
    PriceList,
    Tier,
)
from synapse_bum.storage.invoice.readings import MinimumReading, Readings, TierReading
from synapse_bum.storage.month import Month

_QUANTITY: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)
_NO_MONEY: Final = Decimal("0.00")


class Unit(Enum):
    """What one of a quantity is."""

    USER = "user"
    GIGABYTE = "gb"
    PIECE = "piece"
    HOUR = "hour"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Item:
    """What was ordered beyond users and storage.

    Attributes:
        position: its name in the price list, for example `AL.3`.
        quantity: pieces, or hours of work; not negative.
    """

    position: str
    quantity: Decimal


@attr.s(auto_attribs=True, frozen=True, slots=True)
class StorageUse:
    """The storage that a month is billed for.

    Attributes:
        used_gb: what counts as stored.
        included_gb: the pool that the users bring with them.
        extension_gb: started gigabytes beyond the pool; not always those of the other two, which may be means.
    """

    used_gb: Decimal
    included_gb: Decimal
    extension_gb: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Line:
    """One line of an invoice.

    Attributes:
        position: its name in the price list.
        description: German.
        quantity: what is billed, a minimum or a started hour included.
        unit: what one of it is.
        unit_price: euros, net, two decimals.
    """

    position: str
    description: str
    quantity: int
    unit: Unit
    unit_price: Decimal

    @property
    def amount(self) -> Decimal:
        """Euros, net, two decimals."""
        return self.quantity * self.unit_price + _NO_MONEY


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Invoice:
    """What a month costs.

    Attributes:
        month: the billed one.
        users: registered users.
        customer_users: of all servers of the customer, if that decided about the price step.
        billed_users: for whom the price of the users is billed: the registered ones, or the minimum.
        storage: what it is billed for.
        lines: users, storage, service, then items in the order in which they were asked for.
        price_list: from which the prices are.
        readings: how it was read.
    """

    month: Month
    users: int
    customer_users: int | None
    billed_users: int
    storage: StorageUse
    lines: tuple[Line, ...]
    price_list: PriceList
    readings: Readings

    @property
    def total(self) -> Decimal:
        """The sum of all lines: euros, net, two decimals."""
        return sum((line.amount for line in self.lines), _NO_MONEY)


def calculate(
    month: Month,
    users: int,
    storage: StorageUse,
    price_list: PriceList,
    *,
    customer_users: int | None = None,
    items: Sequence[Item] = (),
    readings: Readings = Readings(),  # noqa: B008 - frozen
) -> Invoice:
    """Calculates the invoice of a full month.

    Args:
        month: the billed one; decides about the rates of hourly work.
        users: registered users of this server.
        storage: what it is billed for.
        price_list: that of the month, see `price_list.choose`.
        customer_users: registered users of all servers of the customer, this one included. They decide about the
            price step and about nothing else: the minimum of a step holds for each server. None when there is no other.
        items: what was ordered beyond users and storage, each position once.
        readings: how the price list is read where it leaves room.

    Raises:
        InvoiceError: a number is negative, the customer has fewer users than this server, an item is unknown, there
            twice, no whole piece, or has no rate in this year, or `customer_users` and graduated steps come together.
    """
    if min(users, storage.extension_gb) < 0:
        raise InvoiceError("users and storage can't be negative")
    if customer_users is not None and customer_users < users:
        raise InvoiceError(f"the customer can't have {customer_users} users in all when this server has {users}")
    if readings.tiers is TierReading.GRADUATED and customer_users not in (None, users):
        raise InvoiceError(
            "graduated price steps can't be taken from the users of all servers (`customer_users`):"
            " nobody could say which server's users are in which step"
        )
    tier = price_list.tier_of(users if customer_users is None else customer_users)
    billed_users = max(users, tier.minimum)
    service_users = billed_users if readings.minimum is MinimumReading.USERS_AND_SERVICE else users
    lines = (
        *_lines_of_users(billed_users, tier, price_list, readings.tiers),
        Line(
            STORAGE_POSITION,
            "Speichererweiterung je angefangenes GB",
            storage.extension_gb,
            Unit.GIGABYTE,
            price_list.storage_price,
        ),
        Line(
            SERVICE_POSITION,
            "Service je registrierten Nutzer",
            service_users,
            Unit.USER,
            price_list.service_price,
        ),
        *_lines_of_items(items, month.year, price_list),
    )
    return Invoice(month, users, customer_users, billed_users, storage, lines, price_list, readings)


def _lines_of_users(billed_users: int, tier: Tier, price_list: PriceList, reading: TierReading) -> Iterator[Line]:
    if reading is TierReading.WHOLE:
        yield _line_of_tier(tier, billed_users, price_list)
        return
    for step in price_list.tiers:
        if step.from_users <= max(billed_users, 1):
            last_user = price_list.last_user_of(step)
            reached = billed_users if last_user is None else min(billed_users, last_user)
            yield _line_of_tier(step, max(0, reached - step.from_users + 1), price_list)


def _line_of_tier(tier: Tier, quantity: int, price_list: PriceList) -> Line:
    last_user = price_list.last_user_of(tier)
    span = f"ab {whole(tier.from_users)}" if last_user is None else f"{whole(tier.from_users)} bis {whole(last_user)}"
    return Line(tier.position, f"Registrierte Nutzer, Stufe {span}", quantity, Unit.USER, tier.price)


def _lines_of_items(items: Sequence[Item], year: int, price_list: PriceList) -> Iterator[Line]:
    seen: set[str] = set()
    for item in items:
        if item.position in seen:
            raise InvoiceError(f"item {item.position} stands there twice; give its whole quantity once")
        seen.add(item.position)
        if not item.quantity.is_finite() or item.quantity < 0:
            raise InvoiceError(f"item {item.position}: {item.quantity} is no quantity")
        if item.position in price_list.once:
            yield _line_of_pieces(item, price_list.once[item.position])
        else:
            yield _line_of_hours(item, year, price_list)


def _line_of_pieces(item: Item, price: Decimal) -> Line:
    if item.quantity != item.quantity.to_integral_value():
        raise InvoiceError(f"item {item.position} is ordered by the piece; {item.quantity} is no whole number")
    return Line(item.position, "Einmalige Leistung", int(item.quantity), Unit.PIECE, price)


def _line_of_hours(item: Item, year: int, price_list: PriceList) -> Line:
    rates = price_list.hourly.get(item.position)
    if rates is None:
        known = ", ".join([*price_list.once, *price_list.hourly]) or "none"
        raise InvoiceError(f"there is no item {shown(item.position)}; the items of the price list are: {known}")
    if year not in rates:
        known = ", ".join(str(known_year) for known_year in sorted(rates))
        raise InvoiceError(f"item {item.position} has no rate for {year}; there are rates for: {known}")
    hours = int(item.quantity.to_integral_value(ROUND_CEILING))
    return Line(item.position, f"Arbeit je angefangene Stunde ({year})", hours, Unit.HOUR, rates[year])


def extension_gb(used_gb: Decimal, included_gb: Decimal) -> int:
    """Returns how many gigabytes beyond the pool were started."""
    return max(0, int((used_gb - included_gb).to_integral_value(ROUND_CEILING)))


def parse_quantity(text: str) -> Decimal:
    """Reads a quantity as it is typed: digits, and after a point up to nine more.

    Raises:
        InvoiceError: it is no such number: negative, `NaN`, `1e3`, with a comma, or too large.
    """
    if _QUANTITY.fullmatch(text) is None:
        raise InvoiceError(f"{shown(text)} is no quantity; write digits, and a point before decimals, such as `7.5`")
    return Decimal(text)


def parse_item(text: str) -> Item:
    """Reads an item as it is typed, for example `AL.3=7.5`.

    Raises:
        InvoiceError: it has no `=`, no position, or no number.
    """
    position, equals, quantity = text.partition("=")
    if not position or not equals:
        raise InvoiceError(f"{shown(text)} is no item; write a position and its quantity, such as `AL.3=7.5`")
    return Item(position, parse_quantity(quantity))
