"""An operator's own price lists: read exactly, or refused with the key; and which one holds for a month."""

import copy
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import attr
import pytest
import yaml
from synapse.module_api.errors import ConfigError

from synapse_bum.config import option, parse
from synapse_bum.storage.invoice.calculation import StorageUse, calculate, parse_item
from synapse_bum.storage.invoice.price_list import OWN_LIST, InvoiceError, PriceList, Tier, choose
from synapse_bum.storage.invoice.prices_config import price_lists
from synapse_bum.storage.month import Month

WRITTEN = """
- valid_from: 2027-01-01
  users:
    - {position: ML.1, from_users: 1, to_users: 199, price: 2.60, minimum: 50}
    - {position: ML.1a, from_users: 200, price: "2.3"}
  storage: 0.45
  service: 1
  once: {ELO.1: "300"}
  hourly: {AL.1: {2027: 180, "2028": "185.5"}}
"""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Prices:
    price_list: tuple[PriceList, ...] | None = option(price_lists, default=None)


def read(raw: object) -> tuple[PriceList, ...]:
    found = parse(Prices, {"price_list": raw}).price_list
    assert found is not None
    return found


def an_entry(**changes: object) -> dict[str, Any]:
    entry: dict[str, Any] = yaml.safe_load(WRITTEN)[0]
    return {**entry, **changes}


def a_tier(position: str, from_users: object, to_users: object = None, **more: object) -> dict[str, object]:
    return {"position": position, "from_users": from_users, "to_users": to_users, "price": "2.00", **more}


def test_a_list_is_read_exactly() -> None:
    (found,) = read(yaml.safe_load(WRITTEN))
    assert found.valid_from == date(2027, 1, 1)
    assert found.tiers == (Tier("ML.1", 1, Decimal("2.60"), 50), Tier("ML.1a", 200, Decimal("2.30"), 0))
    assert (str(found.storage_price), str(found.service_price)) == ("0.45", "1.00")
    assert {position: str(price) for position, price in found.once.items()} == {"ELO.1": "300.00"}
    assert found.hourly["AL.1"] == {2027: Decimal(180), 2028: Decimal("185.5")}
    assert copy.deepcopy(found) == found


def test_it_is_what_is_billed() -> None:
    (found,) = read(yaml.safe_load(WRITTEN))
    storage = StorageUse(Decimal(2), Decimal(1), 1)
    invoice = calculate(Month(2028, 1), 1, storage, found, items=[parse_item("AL.1=1"), parse_item("ELO.1=2")])
    assert [str(line.amount) for line in invoice.lines] == ["130.00", "0.45", "1.00", "185.50", "600.00"]


def test_nothing_is_taken_from_the_service_s_own_list() -> None:
    raw = an_entry()
    del raw["once"], raw["hourly"]
    (found,) = read([raw])
    with pytest.raises(InvoiceError, match="the items of the price list are: none"):
        calculate(Month(2027, 1), 1, StorageUse(Decimal(0), Decimal(0), 0), found, items=[parse_item("AL.1=1")])


@pytest.mark.parametrize("key", ["valid_from", "users", "storage", "service"])
def test_a_missing_key_is_named(key: str) -> None:
    raw = an_entry()
    del raw[key]
    with pytest.raises(ConfigError) as refused:
        read([raw])
    assert refused.value.msg == f"missing required key `config.price_list.<item 0>.{key}`"


@pytest.mark.parametrize("key", ["position", "from_users", "price"])
def test_a_missing_key_of_a_step_is_named(key: str) -> None:
    tier = a_tier("ML.1", 1)
    del tier[key]
    with pytest.raises(ConfigError) as refused:
        read([an_entry(users=[tier])])
    assert refused.value.msg == f"missing required key `config.price_list.<item 0>.users.<item 0>.{key}`"


@pytest.mark.parametrize(
    ("tiers", "path", "sentence"),
    [
        ([], "users", "at least 1 item"),
        ([a_tier("A", 2)], "users.<item 0>.from_users", "must be 1: there is no price for fewer than 2 users"),
        ([a_tier("A", 0)], "users.<item 0>.from_users", "from 1 to"),
        ([a_tier("A", 1, 9), a_tier("B", 11)], "users.<item 0>.to_users", "gap: the next step begins with 11 users"),
        ([a_tier("A", 1, 9), a_tier("B", 9)], "users.<item 0>.to_users", "overlaps the next step, which begins with 9"),
        ([a_tier("A", 1, 9), a_tier("B", 1)], "users.<item 0>.to_users", "overlaps the next step, which begins with 1"),
        ([a_tier("A", 1), a_tier("B", 10)], "users.<item 0>.to_users", "must be 9: only the last step has no end"),
        ([a_tier("A", 1, 9)], "users.<item 0>.to_users", "must be left out"),
        (
            [a_tier("A", 1, 9), a_tier("B", 10, 8), a_tier("C", 9)],
            "users.<item 1>.to_users",
            "not be less than `from_users`, which is 10",
        ),
        ([a_tier("A", 1, 9), a_tier("A", 10)], "users.<item 1>.position", "`A` has a price already"),
        ([a_tier("ML.2", 1)], "storage", "`ML.2` has a price already"),
        ([a_tier("ELO.1", 1)], "once.ELO.1", "`ELO.1` has a price already"),
        ([a_tier("A", 1, 9, minimum=10), a_tier("B", 10)], "users.<item 0>.minimum", "not be more than `to_users`"),
        ([a_tier("A", 1, minimum=-1)], "users.<item 0>.minimum", "from 0 to"),
        ([a_tier("A", "1")], "users.<item 0>.from_users", "not text"),
        ([a_tier("A", 1.0)], "users.<item 0>.from_users", "not a number"),
        ([a_tier("=A", 1)], "users.<item 0>.position", "a position such as `ML.1a`"),
        ([a_tier("A" * 13, 1)], "users.<item 0>.position", "at most 12"),
        ([a_tier("A", 1, form_users=3)], "users.<item 0>.form_users", "from_users"),
    ],
)
def test_steps_must_cover_every_number_of_users_once(tiers: list[object], path: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read([an_entry(users=tiers)])
    assert ".".join(refused.value.path or ()) == f"price_list.<item 0>.{path}"
    assert sentence in refused.value.msg


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("1,50", 'has a comma; write `"1.50"`'),
        ("free", "euros with at most two decimals"),
        ("", "euros with at most two decimals"),
        ("1e3", "not `1e3`"),
        (1e16, "not `1e+16`"),
        ("-1.00", "not `-1.00`"),
        (-1, "from 0"),
        (0.001, "at most two decimals"),
        ("1.005", "at most two decimals"),
        (100_000, "to 99999.99"),
        (float("nan"), "not `nan`"),
        (float("inf"), "not `inf`"),
        (True, "not true or false"),
        (["1"], "not a list"),
        ("٣", "euros"),
        ("1.00 EUR", "euros"),
    ],
)
@pytest.mark.parametrize("key", ["storage", "service"])
def test_a_price_must_be_one(key: str, value: object, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read([an_entry(**{key: value})])
    assert refused.value.path == ("price_list", "<item 0>", key)
    assert sentence in refused.value.msg


@pytest.mark.parametrize(
    ("changes", "path", "sentence"),
    [
        ({"hourly": {"AL.1": {27: 180}}}, "hourly.AL.1.27", "from 2000 to 2999"),
        ({"hourly": {"AL.1": {"next": 180}}}, "hourly.AL.1.next", "not text"),
        ({"hourly": {"AL.1": {2027: "a lot"}}}, "hourly.AL.1.2027", "euros"),
        ({"hourly": {"AL.1": {2027: 1, "2027": 2}}}, "hourly.AL.1.2027", "twice"),
        ({"hourly": {"AL.1": 180}}, "hourly.AL.1", "mapping"),
        ({"once": {"AL=1": 1}}, "once.AL=1", "a position"),
        ({"once": {"AL.1": 1}}, "hourly.AL.1", "`AL.1` has a price already"),
        ({"valid_from": "2027-02-30"}, "valid_from", "no day of the calendar"),
        ({"valid_from": "1.1.2027"}, "valid_from", "such as `2027-01-01`"),
        ({"valid_from": 2027}, "valid_from", "such as `2027-01-01`"),
        ({"valid_from": datetime(2027, 1, 1, tzinfo=timezone.utc)}, "valid_from", "such as `2027-01-01`"),
        ({"user": []}, "user", "`users`"),
    ],
)
def test_other_mistakes(changes: dict[str, object], path: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read([an_entry(**changes)])
    assert ".".join(refused.value.path or ()) == f"price_list.<item 0>.{path}"
    assert sentence in refused.value.msg


@pytest.mark.parametrize("raw", [[], {}, "2.50", an_entry()])
def test_it_must_be_a_list_of_lists(raw: object) -> None:
    with pytest.raises(ConfigError):
        read(raw)


def test_two_lists_can_t_begin_on_the_same_day() -> None:
    with pytest.raises(ConfigError) as refused:
        read([an_entry(), an_entry(storage="0.50", valid_from="2027-01-01")])
    assert refused.value.path == ("price_list", "<item 1>", "valid_from")


def test_a_price_may_be_written_as_a_number_or_as_text() -> None:
    assert read([an_entry(storage=2.5)])[0].storage_price == read([an_entry(storage="2.50")])[0].storage_price


class TestDatedLists:
    old, new = attr.evolve(OWN_LIST, valid_from=date(2025, 1, 1)), attr.evolve(OWN_LIST, valid_from=date(2025, 6, 15))

    def test_the_list_of_the_first_day_holds_for_the_month(self) -> None:
        lists = (self.new, self.old)
        assert choose(lists, Month(2025, 1)) is self.old
        assert choose(lists, Month(2025, 5)) is self.old
        assert choose(lists, Month(2025, 6)) is self.old
        assert choose(lists, Month(2025, 7)) is self.new
        assert choose(lists, Month(2026, 7)) is self.new

    def test_a_list_of_the_first_day_itself(self) -> None:
        assert choose((self.old, attr.evolve(self.new, valid_from=date(2025, 6, 1))), Month(2025, 6)) is not self.old

    def test_a_month_before_the_first_list_is_an_error(self) -> None:
        with pytest.raises(InvoiceError, match="no price list for 2024-12: the first one holds from 2025-01-01"):
            choose((self.new, self.old), Month(2024, 12))
        with pytest.raises(InvoiceError, match="2023-12"):
            choose((OWN_LIST,), Month(2023, 12))

    def test_they_are_sorted_by_their_first_day(self) -> None:
        found = read([an_entry(valid_from="2028-01-01"), an_entry()])
        assert [price_list.valid_from.year for price_list in found] == [2027, 2028]
