"""Section `invoice` of the storage module: a slip in it must not become a wrong invoice."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from synapse.module_api.errors import ConfigError

from synapse_bum.config import parse
from synapse_bum.storage.invoice.parties import ElectronicAddress, Parties, missing_keys


def parties(section: str, **keys: object) -> Parties:
    return parse(Parties, {section: keys})


def test_nothing_is_needed_until_an_electronic_invoice_is_asked_for() -> None:
    nothing = parse(Parties, {})
    assert nothing.vat_percent == 19
    assert nothing.payment.days == 30
    assert len(missing_keys(nothing)) == 15


@pytest.mark.parametrize(
    ("seller", "missing"),
    [
        ({}, ["invoice.seller.vat_id (or tax_number and registration)"]),
        ({"tax_number": "133/8150/8159"}, ["invoice.seller.registration (or vat_id)"]),
        ({"registration": "HRB 1234"}, ["invoice.seller.tax_number (or vat_id)"]),
        ({"tax_number": "133/8150/8159", "registration": "HRB 1234"}, []),
        ({"vat_id": "DE123456789"}, []),
    ],
)
def test_the_seller_needs_a_number_of_the_tax_authorities(seller: Mapping[str, Any], missing: list[str]) -> None:
    assert [key for key in missing_keys(parse(Parties, {"seller": seller})) if "vat_id" in key] == missing


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("seller", "name", ""),
        ("seller", "name", " Betrieb"),
        ("seller", "name", "Betrieb\nGmbH"),
        ("seller", "name", "Betrieb\ufffe"),
        ("seller", "name", "B" * 201),
        ("seller", "post_code", 40212),
        ("seller", "post_code", "4021"),
        ("seller", "post_code", "D-40212"),
        ("seller", "vat_id", "DE12345678"),
        ("seller", "vat_id", "FR12345678901"),
        ("seller", "vat_id", "DE 123456789"),
        ("seller", "phone", "n/a"),
        ("seller", "phone", 49211123456),
        ("seller", "email", "rechnung"),
        ("seller", "email", "a@b"),
        ("seller", "email", "a@b@c.example"),
        ("seller", "email", "a@b..example"),
        ("buyer", "leitweg_id", "04011000-1234512345-07"),
        ("buyer", "leitweg_id", "04011000-1234512354-06"),
        ("buyer", "leitweg_id", "04011000"),
        ("buyer", "leitweg_id", "991-33333test-33"),
        ("buyer", "leitweg_id", 4011000),
        ("buyer", "electronic_address", "1234:567"),
        ("buyer", "electronic_address", "0204:"),
        ("buyer", "electronic_address", "amt"),
        ("payment", "iban", "DE02120300000000202052"),
        ("payment", "iban", "DE02120300000000220051"),
        ("payment", "iban", "DE02"),
        ("payment", "iban", "02120300000000202051"),
        ("payment", "bic", "BYLADEM"),
        ("payment", "days", -1),
        ("payment", "days", 14.5),
    ],
)
def test_a_slip_is_refused_with_the_key(section: str, key: str, value: object) -> None:
    with pytest.raises(ConfigError, match="must") as refused:
        parties(section, **{key: value})
    assert refused.value.path == (section, key)


@pytest.mark.parametrize("percent", [0, 0.19, -19, 100, "19", 19.001, True, float("nan"), float("inf")])
def test_a_rate_of_tax_that_is_none_is_refused(percent: object) -> None:
    with pytest.raises(ConfigError, match="must"):
        parse(Parties, {"vat_percent": percent})


@pytest.mark.parametrize(("percent", "read"), [(19, "19"), (7.5, "7.5"), (16.05, "16.05")])
def test_a_rate_of_tax_is_read_exactly(percent: float, read: str) -> None:
    assert parse(Parties, {"vat_percent": percent}).vat_percent == Decimal(read)


@pytest.mark.parametrize("leitweg_id", ["04011000-1234512345-06", "991-33333TEST-33", "992-90009-96"])
def test_published_leitweg_ids_are_taken(leitweg_id: str) -> None:
    assert parties("buyer", leitweg_id=leitweg_id).buyer.endpoint == ElectronicAddress("0204", leitweg_id)


@pytest.mark.parametrize(
    ("address", "read"),
    [
        ("rechnung@amt.example", ElectronicAddress("EM", "rechnung@amt.example")),
        ("9930:DE123456789", ElectronicAddress("9930", "DE123456789")),
        ("0088:4012345000009", ElectronicAddress("0088", "4012345000009")),
    ],
)
def test_an_electronic_address_goes_before_the_leitweg_id(address: str, read: ElectronicAddress) -> None:
    buyer = parties("buyer", leitweg_id="04011000-1234512345-06", electronic_address=address).buyer
    assert buyer.endpoint == read


def test_an_iban_is_stored_without_spaces() -> None:
    assert parties("payment", iban="DE02 1203 0000 0000 2020 51").payment.iban == "DE02120300000000202051"
