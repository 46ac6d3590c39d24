"""What a month costs: the published example, each price step by hand, and an independent calculation."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.storage.invoice.calculation import (
    Invoice,
    Item,
    StorageUse,
    Unit,
    calculate,
    extension_gb,
    parse_item,
    parse_quantity,
)
from synapse_bum.storage.invoice.price_list import OWN_LIST, InvoiceError, choose
from synapse_bum.storage.invoice.readings import MinimumReading, Readings, TierReading
from synapse_bum.storage.month import Month

JUNE = Month(2026, 6)
GRADUATED = Readings(tiers=TierReading.GRADUATED)
NO_STORAGE = StorageUse(Decimal(0), Decimal(0), 0)


def bought(invoice: Invoice) -> list[tuple[str, int, str]]:
    return [(line.position, line.quantity, str(line.amount)) for line in invoice.lines]


def with_storage(users: int, used_bytes: int) -> Invoice:
    used, included = Decimal(used_bytes) / 10**9, Decimal(users)
    return calculate(JUNE, users, StorageUse(used, included, extension_gb(used, included)), OWN_LIST)


def test_the_published_example() -> None:
    invoice = with_storage(960, 1_000 * 10**9)
    assert bought(invoice) == [("ML.1b", 960, "1920.00"), ("ML.2", 40, "16.00"), ("ML.3", 960, "960.00")]
    assert str(invoice.total) == "2896.00"
    assert (invoice.users, invoice.billed_users, invoice.storage.extension_gb) == (960, 960, 40)


@pytest.mark.parametrize(
    ("users", "position", "billed", "of_users", "of_service", "total"),
    [
        (0, "ML.1", 50, "125.00", "0.00", "125.00"),
        (1, "ML.1", 50, "125.00", "1.00", "126.00"),
        (49, "ML.1", 50, "125.00", "49.00", "174.00"),
        (50, "ML.1", 50, "125.00", "50.00", "175.00"),
        (51, "ML.1", 51, "127.50", "51.00", "178.50"),
        (199, "ML.1", 199, "497.50", "199.00", "696.50"),
        (200, "ML.1a", 200, "450.00", "200.00", "650.00"),
        (500, "ML.1a", 500, "1125.00", "500.00", "1625.00"),
        (501, "ML.1b", 501, "1002.00", "501.00", "1503.00"),
        (999, "ML.1b", 999, "1998.00", "999.00", "2997.00"),
        (1000, "ML.1c", 1000, "1800.00", "1000.00", "2800.00"),
        (4999, "ML.1c", 4999, "8998.20", "4999.00", "13997.20"),
        (5000, "ML.1d", 5000, "7500.00", "5000.00", "12500.00"),
        (29999, "ML.1d", 29999, "44998.50", "29999.00", "74997.50"),
        (30000, "ML.1e", 30000, "36000.00", "30000.00", "66000.00"),
        (49999, "ML.1e", 49999, "59998.80", "49999.00", "109997.80"),
        (50000, "ML.1f", 50000, "55000.00", "50000.00", "105000.00"),
    ],
)
def test_each_price_step(users: int, position: str, billed: int, of_users: str, of_service: str, total: str) -> None:
    invoice = calculate(JUNE, users, NO_STORAGE, OWN_LIST)
    assert bought(invoice) == [(position, billed, of_users), ("ML.2", 0, "0.00"), ("ML.3", users, of_service)]
    assert (invoice.billed_users, str(invoice.total)) == (billed, total)


@pytest.mark.parametrize(
    ("used_bytes", "quantity", "amount"),
    [
        (0, 0, "0.00"),
        (960 * 10**9 - 1, 0, "0.00"),
        (960 * 10**9, 0, "0.00"),
        (960 * 10**9 + 1, 1, "0.40"),
        (961 * 10**9, 1, "0.40"),
        (961 * 10**9 + 1, 2, "0.80"),
    ],
)
def test_storage_around_the_pool(used_bytes: int, quantity: int, amount: str) -> None:
    assert bought(with_storage(960, used_bytes))[1] == ("ML.2", quantity, amount)


class TestCustomerWithMoreServers:
    def test_all_his_users_decide_about_the_price_step(self) -> None:
        invoice = calculate(JUNE, 300, NO_STORAGE, OWN_LIST, customer_users=1000)
        assert bought(invoice)[0] == ("ML.1c", 300, "540.00")

    def test_the_minimum_is_that_of_the_step_and_holds_for_each_server(self) -> None:
        assert bought(calculate(JUNE, 30, NO_STORAGE, OWN_LIST, customer_users=199))[0] == ("ML.1", 50, "125.00")
        assert bought(calculate(JUNE, 30, NO_STORAGE, OWN_LIST, customer_users=200))[0] == ("ML.1a", 30, "67.50")

    def test_he_can_t_have_fewer_users_than_the_server(self) -> None:
        with pytest.raises(InvoiceError, match="959 users in all when this server has 960"):
            calculate(JUNE, 960, NO_STORAGE, OWN_LIST, customer_users=959)
        assert bought(calculate(JUNE, 960, NO_STORAGE, OWN_LIST, customer_users=960))[0][0] == "ML.1b"


class TestGraduatedSteps:
    def test_each_price_is_for_the_users_within_its_step(self) -> None:
        invoice = calculate(JUNE, 960, NO_STORAGE, OWN_LIST, readings=GRADUATED)
        assert bought(invoice)[:3] == [("ML.1", 199, "497.50"), ("ML.1a", 301, "677.25"), ("ML.1b", 460, "920.00")]
        assert (invoice.billed_users, str(invoice.total)) == (960, "3054.75")

    @pytest.mark.parametrize(
        ("users", "quantities"),
        [
            (0, [50]),
            (49, [50]),
            (199, [199]),
            (200, [199, 1]),
            (50000, [199, 301, 499, 4000, 25000, 20000, 1]),
        ],
    )
    def test_around_the_steps(self, users: int, quantities: list[int]) -> None:
        lines = calculate(JUNE, users, NO_STORAGE, OWN_LIST, readings=GRADUATED).lines
        assert [line.quantity for line in lines if line.position.startswith("ML.1")] == quantities

    def test_not_together_with_users_of_other_servers(self) -> None:
        with pytest.raises(InvoiceError, match="customer_users"):
            calculate(JUNE, 10, NO_STORAGE, OWN_LIST, customer_users=11, readings=GRADUATED)


def test_the_minimum_may_hold_for_the_service_too() -> None:
    readings = Readings(minimum=MinimumReading.USERS_AND_SERVICE)
    assert bought(calculate(JUNE, 7, NO_STORAGE, OWN_LIST, readings=readings))[2] == ("ML.3", 50, "50.00")
    assert bought(calculate(JUNE, 51, NO_STORAGE, OWN_LIST, readings=readings))[2] == ("ML.3", 51, "51.00")


class TestItems:
    def items(self, *written: str, month: Month = JUNE) -> list[tuple[str, int, str]]:
        invoice = calculate(month, 960, NO_STORAGE, OWN_LIST, items=[parse_item(text) for text in written])
        return bought(invoice)[3:]

    def test_hours_that_were_started_count_as_whole_ones(self) -> None:
        assert self.items("AL.3=7.5") == [("AL.3", 8, "1096.00")]
        assert self.items("AL.3=8") == [("AL.3", 8, "1096.00")]
        assert self.items("AL.3=8.000000001") == [("AL.3", 9, "1233.00")]

    @pytest.mark.parametrize(
        ("year", "amounts"),
        [
            (2024, ["165.00", "155.00", "129.00", "43.00"]),
            (2025, ["170.00", "159.00", "133.00", "45.00"]),
            (2026, ["175.00", "164.00", "137.00", "46.00"]),
        ],
    )
    def test_the_rate_is_that_of_the_year(self, year: int, amounts: list[str]) -> None:
        found = self.items("AL.1=1", "AL.2=1", "AL.3=1", "AL.4=1", month=Month(year, 12))
        assert [amount for _, _, amount in found] == amounts

    def test_once_and_in_the_order_in_which_they_were_asked_for(self) -> None:
        found = self.items("AL.4=2", "ELO.1=1", "AL.1=0")
        assert found == [("AL.4", 2, "92.00"), ("ELO.1", 1, "250.00"), ("AL.1", 0, "0.00")]

    @pytest.mark.parametrize(
        ("written", "sentence"),
        [
            (["AL.5=1"], "no item `AL.5`; the items of the price list are: ELO.1, AL.1, AL.2, AL.3, AL.4"),
            (["ML.2=1"], "no item `ML.2`"),
            (["AL.3=1", "AL.3=2"], "AL.3 stands there twice"),
            (["ELO.1=1.5"], "ELO.1 is ordered by the piece; 1.5 is no whole number"),
        ],
    )
    def test_what_can_t_be_billed_is_said(self, written: list[str], sentence: str) -> None:
        with pytest.raises(InvoiceError, match=sentence.replace(".", r"\.")):
            self.items(*written)

    @pytest.mark.parametrize("year", [2027, 2999])
    def test_a_year_without_a_rate_is_an_error_that_names_the_years(self, year: int) -> None:
        with pytest.raises(InvoiceError, match=f"AL.3 has no rate for {year}; there are rates for: 2024, 2025, 2026"):
            self.items("AL.3=1", month=Month(year, 1))
        assert self.items("ELO.1=1", month=Month(year, 1)) == [("ELO.1", 1, "250.00")]

    @pytest.mark.parametrize("quantity", ["-1", "NaN", "Infinity", "-0.1"])
    def test_what_is_no_quantity_is_refused_by_the_calculation_too(self, quantity: str) -> None:
        with pytest.raises(InvoiceError, match="no quantity"):
            calculate(JUNE, 960, NO_STORAGE, OWN_LIST, items=[Item("AL.3", Decimal(quantity))])


@pytest.mark.parametrize("users", [-1, -960])
def test_negative_users_and_storage_are_refused(users: int) -> None:
    with pytest.raises(InvoiceError, match="negative"):
        calculate(JUNE, users, NO_STORAGE, OWN_LIST)
    with pytest.raises(InvoiceError, match="negative"):
        calculate(JUNE, 960, StorageUse(Decimal(0), Decimal(0), users), OWN_LIST)


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "NaN", "inf", "1e3", "1_000", "1,5", ".5", "5.", " 5", "0x10", "٣", "1" * 10, "1\n"]
)
def test_what_is_typed_must_be_a_plain_number(text: str) -> None:
    with pytest.raises(InvoiceError, match=r"write digits, and a point before decimals, such as `7\.5`"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["AL.3", "=1", "", "AL.3=", "AL.3=x", "AL.3==1"])
def test_what_is_no_item_is_refused(text: str) -> None:
    with pytest.raises(InvoiceError, match="write"):
        parse_item(text)


def test_every_line_knows_its_unit() -> None:
    items = [parse_item("ELO.1=1"), parse_item("AL.1=1")]
    invoice = calculate(JUNE, 960, NO_STORAGE, OWN_LIST, items=items)
    assert [line.unit for line in invoice.lines] == [Unit.USER, Unit.GIGABYTE, Unit.USER, Unit.PIECE, Unit.HOUR]


def cents_of_reference(users: int, extension: int, customer_users: int, hours: Fraction) -> int:
    """The published prices once more, by hand and in cents."""
    price = (
        250
        if customer_users <= 199
        else 225
        if customer_users <= 500
        else 200
        if customer_users <= 999
        else 180
        if customer_users <= 4_999
        else 150
        if customer_users <= 29_999
        else 120
        if customer_users <= 49_999
        else 110
    )
    billed = users if customer_users > 199 or users > 50 else 50
    return billed * price + extension * 40 + users * 100 + ceil(hours) * 13_700


@given(
    users=st.integers(0, 60_000),
    others=st.integers(0, 60_000),
    extension=st.integers(0, 10**6),
    hours=st.decimals(0, 1_000, places=3),
)
def test_an_independent_calculation_agrees_and_the_lines_are_the_total(
    users: int, others: int, extension: int, hours: Decimal
) -> None:
    storage = StorageUse(Decimal(users + extension), Decimal(users), extension)
    items = [Item("AL.3", hours)]
    invoice = calculate(JUNE, users, storage, OWN_LIST, customer_users=users + others, items=items)
    expected = cents_of_reference(users, extension, users + others, Fraction(hours))
    assert invoice.total * 100 == expected
    assert sum(int(line.amount * 100) for line in invoice.lines) == expected
    assert {line.amount.as_tuple().exponent for line in invoice.lines} == {-2}


@given(users=st.integers(0, 60_000), more=st.integers(0, 1_000), readings=st.sampled_from([Readings(), GRADUATED]))
def test_more_users_or_gigabytes_are_never_fewer_billed(users: int, more: int, readings: Readings) -> None:
    few = calculate(JUNE, users, StorageUse(Decimal(users), Decimal(0), users), OWN_LIST, readings=readings)
    many = calculate(
        JUNE, users + more, StorageUse(Decimal(users + more), Decimal(0), users + more), OWN_LIST, readings=readings
    )
    assert few.billed_users <= many.billed_users
    assert few.lines[-2].quantity <= many.lines[-2].quantity
    assert few.lines[-1].quantity <= many.lines[-1].quantity
    for invoice in (few, many):
        of_users = [line.quantity for line in invoice.lines if line.position.startswith("ML.1")]
        assert sum(of_users) == invoice.billed_users >= invoice.users


@given(used=st.integers(0, 10**13), included=st.integers(0, 10**13))
def test_started_gigabytes_cover_what_is_beyond_the_pool(used: int, included: int) -> None:
    extension = extension_gb(Decimal(used) / 10**9, Decimal(included) / 10**9)
    assert extension >= 0
    assert included + extension * 10**9 >= used
    assert extension == 0 or included + (extension - 1) * 10**9 < used


def test_the_own_list_is_chosen_from_its_first_month_on() -> None:
    assert choose((OWN_LIST,), Month(2024, 1)) is OWN_LIST
    assert choose((OWN_LIST,), Month(2999, 12)) is OWN_LIST
