"""Reading an operator's own price lists: the key `price_list` of the storage module.

    price_list:
      - valid_from: 2027-01-01
        users:
          - {position: ML.1, from_users: 1, to_users: 199, price: "2.60", minimum: 50}
          - {position: ML.1a, from_users: 200, price: "2.30"}
        storage: "0.40"
        service: "1.00"
        once: {ELO.1: "250.00"}
        hourly: {AL.1: {2027: "180.00"}}

Each entry stands alone: nothing is taken from another entry or from the service's own list, because a price that nobody
wrote down would be billed unnoticed. Without `once` and `hourly` there are no such items.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import attr

from synapse_bum.config import Path, Reader, fail, integer, list_of, mapping_of, matching, option, section
from synapse_bum.quantities import kind_of, shown
from synapse_bum.storage.invoice.price_list import SERVICE_POSITION, STORAGE_POSITION, PriceList, Tier

MAX_USERS: Final = 100_000_000
"""More than that is a mistake of typing; up to here every amount fits into the columns of a printed invoice."""

_EXPECTED_PRICE: Final = 'euros with at most two decimals, from 0 to 99999.99, such as `"2.50"`'
_PRICE: Final = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,2})?", re.ASCII)
_PRICE_WITH_COMMA: Final = re.compile(r"[0-9]{1,5},[0-9]{1,2}", re.ASCII)
_POSITION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,11}", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def price(value: object, path: Path) -> Decimal:
    """Reads euros exactly as they are written, as a number or as text; returns two decimals."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        fail(path, f"must be {_EXPECTED_PRICE}, not {kind_of(value)}")
    written = str(value)
    if _PRICE_WITH_COMMA.fullmatch(written):
        fail(path, f'has a comma; write `"{written.replace(",", ".")}"`')
    if _PRICE.fullmatch(written) is None:
        fail(path, f"must be {_EXPECTED_PRICE}, not {shown(value)}")
    return Decimal(written) + Decimal("0.00")


def _first_day(value: object, path: Path) -> date:
    """Reads a day as YAML or text delivers it."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or _DAY.fullmatch(value) is None:
        fail(path, "must be a day such as `2027-01-01`")
    try:
        return date.fromisoformat(value)
    except ValueError:
        fail(path, f"{shown(value)} is no day of the calendar")


_position: Final = matching(
    lambda text: _POSITION.fullmatch(text) is not None,
    "a position such as `ML.1a`: at most 12 letters, digits, points, hyphens and underscores",
)


def _year(value: object, path: Path) -> int:
    """Reads a year; JSON and quoted YAML keys deliver it as text."""
    is_text = isinstance(value, str) and re.fullmatch(r"[0-9]{4}", value, re.ASCII) is not None
    return integer(2000, 2999)(int(str(value)) if is_text else value, path)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _TierEntry:
    position: str = option(_position)
    from_users: int = option(integer(1, MAX_USERS))
    to_users: int | None = option(integer(1, MAX_USERS), default=None)
    price: Decimal = option(price)
    minimum: int = option(integer(0, MAX_USERS), default=0)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _ListEntry:
    valid_from: date = option(_first_day)
    users: tuple[_TierEntry, ...] = option(list_of(section(_TierEntry), minimum=1))
    storage: Decimal = option(price)
    service: Decimal = option(price)
    once: Mapping[str, Decimal] = option(mapping_of(_position, price), default={})
    hourly: Mapping[str, Mapping[int, Decimal]] = option(mapping_of(_position, mapping_of(_year, price)), default={})


_entry: Final[Reader[_ListEntry]] = section(_ListEntry)


def price_lists(value: object, path: Path) -> tuple[PriceList, ...]:
    """Reads one or more dated price lists.

    Args:
        value: a list of at least one entry, see the head of this file.
        path: of the key.

    Returns:
        the lists in the order of their first days.

    Raises:
        Refusal: a key is missing, unknown or no number; price steps leave a gap or overlap; a position or a first day
            is there twice. The path leads to the key.
    """
    found = list_of(_price_list, minimum=1)(value, path)
    days = [price_list.valid_from for price_list in found]
    _refuse_repeated(days, lambda number: (*path, _item(number), "valid_from"))
    return tuple(sorted(found, key=lambda price_list: price_list.valid_from))


def _price_list(value: object, path: Path) -> PriceList:
    entry = _entry(value, path)
    for number, tier in enumerate(entry.users):
        _check_tier(tier, entry.users[number + 1 :], first=number == 0, path=(*path, "users", _item(number)))
    _check_positions(entry, path)
    return PriceList(
        valid_from=entry.valid_from,
        tiers=tuple(Tier(tier.position, tier.from_users, tier.price, tier.minimum) for tier in entry.users),
        storage_price=entry.storage,
        service_price=entry.service,
        once=entry.once,
        hourly=entry.hourly,
    )


def _check_tier(tier: _TierEntry, following: Sequence[_TierEntry], *, first: bool, path: Path) -> None:
    """Refuse a step that does not begin at one user, or does not end where the next one begins."""
    if first and tier.from_users != 1:
        fail((*path, "from_users"), f"must be 1: there is no price for fewer than {tier.from_users} users")
    if tier.to_users is not None and tier.to_users < tier.from_users:
        fail((*path, "to_users"), f"must not be less than `from_users`, which is {tier.from_users}")
    if not following:
        if tier.to_users is not None:
            fail((*path, "to_users"), "must be left out: the last step has no end, or there were users without a price")
    elif tier.to_users is None:
        fail((*path, "to_users"), f"must be {following[0].from_users - 1}: only the last step has no end")
    elif tier.to_users + 1 < following[0].from_users:
        fail((*path, "to_users"), f"leaves a gap: the next step begins with {following[0].from_users} users")
    elif tier.to_users + 1 > following[0].from_users:
        fail((*path, "to_users"), f"overlaps the next step, which begins with {following[0].from_users} users")
    if tier.to_users is not None and tier.minimum > tier.to_users:
        fail((*path, "minimum"), f"must not be more than `to_users`, which is {tier.to_users}")


def _check_positions(entry: _ListEntry, path: Path) -> None:
    """Refuse a position that has two prices."""
    places = [
        *((tier.position, ("users", _item(number), "position")) for number, tier in enumerate(entry.users)),
        (STORAGE_POSITION, ("storage",)),
        (SERVICE_POSITION, ("service",)),
        *((position, ("once", position)) for position in entry.once),
        *((position, ("hourly", position)) for position in entry.hourly),
    ]
    _refuse_repeated([position for position, _ in places], lambda number: (*path, *places[number][1]))


def _refuse_repeated(values: Sequence[object], path_of: Callable[[int], Path]) -> None:
    for number, value in enumerate(values):
        if value in values[:number]:
            fail(path_of(number), f"{shown(value)} has a price already")


def _item(number: int) -> str:
    return f"<item {number}>"
