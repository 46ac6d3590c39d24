"""The published rules (UBL 2.1, EN 16931, XRechnung 3.0) judge what we write, and would notice what is wrong in it."""

import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse_bum.config import parse
from synapse_bum.storage.invoice.calculation import Item, StorageUse, calculate
from synapse_bum.storage.invoice.parties import Parties
from synapse_bum.storage.invoice.price_list import OWN_LIST
from synapse_bum.storage.invoice.readings import Readings, TierReading
from synapse_bum.storage.invoice.xrechnung import xrechnung
from synapse_bum.storage.month import Month

if TYPE_CHECKING:
    from synapse_bum.testing.xrechnung_rules import XRechnungRules

SCRIPT = Path(__file__).resolve().parents[4] / "scripts" / "fetch_xrechnung_rules.py"

SELLER: Mapping[str, Any] = {
    "name": "Messenger-Betrieb GmbH",
    "street": "Königsallee 1",
    "post_code": "40212",
    "city": "Düsseldorf",
    "vat_id": "DE123456789",
    "contact": "Rechnungsstelle",
    "phone": "+49 211 123456",
    "email": "rechnung@betrieb.example",
}
BUYER: Mapping[str, Any] = {
    "name": "Amt für <Maß> & Gewicht",
    "street": "Postfach 12 34",
    "post_code": "01067",
    "city": "Dresden",
    "leitweg_id": "04011000-1234512345-06",
}
PAYMENT: Mapping[str, Any] = {"iban": "DE02120300000000202051"}
CONFIG: Mapping[str, Any] = {"contract": "BWM-2026-017", "seller": SELLER, "buyer": BUYER, "payment": PAYMENT}
ITEMS = (Item("ELO.1", Decimal(1)), Item("AL.1", Decimal(0)), Item("AL.3", Decimal("7.5")))

pytestmark = pytest.mark.requires("xrechnung-rules")


@pytest.fixture(scope="module")
def rules() -> "XRechnungRules":
    # Needs what a machine may lack; the mark above has looked.
    from synapse_bum.testing.xrechnung_rules import XRechnungRules  # noqa: PLC0415

    folder = subprocess.run([sys.executable, SCRIPT], check=True, capture_output=True, text=True).stdout.strip()
    return XRechnungRules(Path(folder))


def document(
    config: Mapping[str, Any] = CONFIG,
    *,
    users: int = 960,
    extension_gb: int = 40,
    items: tuple[Item, ...] = ITEMS,
    readings: Readings = Readings(),  # noqa: B008 - frozen
) -> bytes:
    storage = StorageUse(Decimal(users + extension_gb), Decimal(users), extension_gb)
    invoice = calculate(Month.parse("2026-06"), users, storage, OWN_LIST, items=items, readings=readings)
    return xrechnung(invoice, parse(Parties, config), "R-2026-0042", date(2026, 7, 3))


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        {**CONFIG, "vat_percent": 7.5},
        {**CONFIG, "payment": {**PAYMENT, "bic": "BYLADEM1001", "account_name": "Kasse", "days": 0}},
        {**CONFIG, "buyer": {**BUYER, "electronic_address": "rechnung@amt.example"}},
        {**CONFIG, "buyer": {**BUYER, "electronic_address": "0088:4012345000009"}},
        {**CONFIG, "seller": {**SELLER, "electronic_address": "9930:DE123456789"}},
        {**CONFIG, "seller": {**SELLER, "tax_number": "133/8150/8159"}},
        {
            **CONFIG,
            "seller": {**SELLER, "vat_id": None, "tax_number": "133/8150/8159", "registration": "HRB 1234, Düsseldorf"},
        },
    ],
)
def test_the_rules_have_nothing_to_say(rules: "XRechnungRules", config: Mapping[str, Any]) -> None:
    assert rules.complaints(document(config)) == []


def test_graduated_price_steps_are_fine_too(rules: "XRechnungRules") -> None:
    assert rules.complaints(document(users=50_001, readings=Readings(tiers=TierReading.GRADUATED))) == []


@settings(max_examples=25)
@given(users=st.integers(0, 100_000), extension_gb=st.integers(0, 10**6), percent=st.integers(100, 9_999))
def test_no_numbers_break_a_rule(rules: "XRechnungRules", users: int, extension_gb: int, percent: int) -> None:
    config = {**CONFIG, "vat_percent": percent / 100}
    assert rules.complaints(document(config, users=users, extension_gb=extension_gb)) == []


@pytest.mark.parametrize(
    ("pattern", "replacement", "complaint"),
    [
        (r"<cbc:BuyerReference>.*?</cbc:BuyerReference>", "", "[BR-DE-15]"),
        (r"(</?cac:)ContractDocumentReference", r"\g<1>Contract", "not expected"),
        (r"(<cac:LegalMonetaryTotal>\s*<cbc:LineExtensionAmount[^>]*>)4242.00", r"\g<1>4242.01", "[BR-CO-10]"),
        (r"(<cbc:TaxExclusiveAmount[^>]*>)4242.00", r"\g<1>4242.01", "[BR-CO-13]"),
        (r"(<cbc:TaxInclusiveAmount[^>]*>)5047.98", r"\g<1>5047.99", "[BR-CO-15]"),
        (r"(<cbc:PayableAmount[^>]*>)5047.98", r"\g<1>5047.99", "[BR-CO-16]"),
        (r"(<cbc:PriceAmount[^>]*>)2.00", r"\g<1>2.10", "[PEPPOL-EN16931-R120]"),
        (r"<cbc:Percent>19.00", "<cbc:Percent>17.00", "[BR-S-09]"),
        (r"<cbc:ID>S<", "<cbc:ID>Z<", "[BR-Z-05]"),
        (r"DE02120300000000202051", "DE02120300000000202052", "[BR-DE-19]"),
        (r"<cac:Contact>.*?</cac:Contact>", "", "[BR-DE-2]"),
        (r"<cbc:Telephone>[^<]*", "<cbc:Telephone>n/a", "[BR-DE-27]"),
        (r"<cac:PartyTaxScheme>.*?</cac:PartyTaxScheme>", "", "[BR-S-02]"),
        (r"<cbc:EndpointID.*?</cbc:EndpointID>", "", "[PEPPOL-EN16931-R020]"),
        (r'unitCode="HUR"', 'unitCode="STUNDE"', "[BR-CL-23]"),
        (r"<cbc:DueDate>.*?</cbc:DueDate>", "<cbc:DueDate>02.08.2026</cbc:DueDate>", "DueDate"),
    ],
)
def test_the_rules_notice_what_is_wrong(
    rules: "XRechnungRules", pattern: str, replacement: str, complaint: str
) -> None:
    """Otherwise their silence would say nothing."""
    broken, replaced = re.subn(pattern, replacement, document().decode(), flags=re.DOTALL)
    assert replaced
    assert any(complaint in found for found in rules.complaints(broken.encode()))
