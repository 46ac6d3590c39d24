"""What an XRechnung says, and when there is none. Whether it is a valid one: `test_xrechnung_rules.py`."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.config import parse
from synapse_bum.storage.invoice.calculation import Invoice, Item, StorageUse, calculate
from synapse_bum.storage.invoice.parties import Parties
from synapse_bum.storage.invoice.price_list import OWN_LIST, InvoiceError
from synapse_bum.storage.invoice.xrechnung import xrechnung
from synapse_bum.storage.month import Month

NAMESPACES = {
    "": "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2",
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}
CONFIG: Mapping[str, Any] = {
    "contract": "BWM-2026-017",
    "seller": {
        "name": "Messenger-Betrieb GmbH",
        "street": "Königsallee 1",
        "post_code": "40212",
        "city": "Düsseldorf",
        "vat_id": "DE123456789",
        "contact": "Rechnungsstelle",
        "phone": "+49 211 123456",
        "email": "rechnung@betrieb.example",
    },
    "buyer": {
        "name": "Amt für Maß & Gewicht",
        "street": "Postfach 12 34",
        "post_code": "01067",
        "city": "Dresden",
        "leitweg_id": "04011000-1234512345-06",
    },
    "payment": {"iban": "DE02 1203 0000 0000 2020 51"},
}
ISSUED = date(2026, 7, 3)


def an_invoice(users: int = 960, extension_gb: int = 40, items: tuple[Item, ...] = ()) -> Invoice:
    storage = StorageUse(Decimal(users + extension_gb), Decimal(users), extension_gb)
    return calculate(Month.parse("2026-06"), users, storage, OWN_LIST, items=items)


def written(invoice: Invoice | None = None, config: Mapping[str, Any] = CONFIG, issued: date = ISSUED) -> Element:
    document = xrechnung(invoice or an_invoice(), parse(Parties, config), "R-2026-0042", issued)
    return ET.fromstring(document)  # noqa: S314 - our own


def said(root: Element, path: str) -> str | None:
    return root.findtext(path, namespaces=NAMESPACES)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cbc:ID", "R-2026-0042"),
        ("cbc:IssueDate", "2026-07-03"),
        ("cbc:DueDate", "2026-08-02"),
        ("cbc:InvoiceTypeCode", "380"),
        ("cbc:DocumentCurrencyCode", "EUR"),
        ("cbc:BuyerReference", "04011000-1234512345-06"),
        ("cac:InvoicePeriod/cbc:StartDate", "2026-06-01"),
        ("cac:InvoicePeriod/cbc:EndDate", "2026-06-30"),
        ("cac:ContractDocumentReference/cbc:ID", "BWM-2026-017"),
        ("cac:AccountingSupplierParty/cac:Party/cac:PartyLegalEntity/cbc:RegistrationName", "Messenger-Betrieb GmbH"),
        ("cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme/cbc:CompanyID", "DE123456789"),
        ("cac:AccountingSupplierParty/cac:Party/cac:PostalAddress/cbc:CityName", "Düsseldorf"),
        ("cac:AccountingSupplierParty/cac:Party/cac:Contact/cbc:Name", "Rechnungsstelle"),
        ("cac:AccountingSupplierParty/cac:Party/cac:Contact/cbc:Telephone", "+49 211 123456"),
        ("cac:AccountingSupplierParty/cac:Party/cac:Contact/cbc:ElectronicMail", "rechnung@betrieb.example"),
        ("cac:AccountingSupplierParty/cac:Party/cbc:EndpointID[@schemeID='EM']", "rechnung@betrieb.example"),
        ("cac:AccountingCustomerParty/cac:Party/cac:PartyLegalEntity/cbc:RegistrationName", "Amt für Maß & Gewicht"),
        ("cac:AccountingCustomerParty/cac:Party/cac:PostalAddress/cbc:PostalZone", "01067"),
        ("cac:AccountingCustomerParty/cac:Party/cbc:EndpointID[@schemeID='0204']", "04011000-1234512345-06"),
        ("cac:PaymentMeans/cbc:PaymentMeansCode", "58"),
        ("cac:PaymentMeans/cbc:PaymentID", "R-2026-0042"),
        ("cac:PaymentMeans/cac:PayeeFinancialAccount/cbc:ID", "DE02120300000000202051"),
        ("cac:PaymentTerms/cbc:Note", "Zahlbar bis zum 02.08.2026 ohne Abzug."),
        ("cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory/cbc:Percent", "19.00"),
    ],
)
def test_it_carries(path: str, value: str) -> None:
    assert said(written(), path) == value


def test_the_published_example_costs_3446_24_with_tax() -> None:
    totals = written().find("cac:LegalMonetaryTotal", NAMESPACES)
    assert totals is not None
    assert [amount.text for amount in totals] == ["2896.00", "2896.00", "3446.24", "3446.24"]
    assert said(written(), "cac:TaxTotal/cbc:TaxAmount") == "550.24"


def test_each_line_says_what_it_is_how_much_and_at_what_price() -> None:
    items = (Item("ELO.1", Decimal(1)), Item("AL.3", Decimal("7.5")))
    invoice = an_invoice(extension_gb=0, items=items)
    rows = written(invoice).findall("cac:InvoiceLine", NAMESPACES)
    units = [row.find("cbc:InvoicedQuantity", NAMESPACES) for row in rows]
    assert [
        (
            said(row, "cbc:ID"),
            said(row, "cac:Item/cac:SellersItemIdentification/cbc:ID"),
            None if unit is None else (unit.text, unit.get("unitCode")),
            said(row, "cac:Price/cbc:PriceAmount"),
            said(row, "cbc:LineExtensionAmount"),
        )
        for row, unit in zip(rows, units, strict=True)
    ] == [
        ("1", "ML.1b", ("960", "C62"), "2.00", "1920.00"),
        ("2", "ML.2", ("0", "E34"), "0.40", "0.00"),
        ("3", "ML.3", ("960", "C62"), "1.00", "960.00"),
        ("4", "ELO.1", ("1", "C62"), "250.00", "250.00"),
        ("5", "AL.3", ("8", "HUR"), "137.00", "1096.00"),
    ]
    assert [said(row, "cac:Item/cbc:Name") for row in rows] == [line.description for line in invoice.lines]


@pytest.mark.parametrize(
    ("users", "percent", "tax"),
    [
        # At least 50 users at 2.50, and the service at 1.00 for each who is there: 126.00 and 125.00 euros.
        (1, 19, "23.94"),
        (0, 19, "23.75"),
        (0, 7, "8.75"),
        (0, 1.3, "1.63"),  # 1.625 is rounded up, not to the even cent
    ],
)
def test_tax_is_rounded_half_up_once_for_the_whole_sum(users: int, percent: float, tax: str) -> None:
    root = written(an_invoice(users, extension_gb=0), {**CONFIG, "vat_percent": percent})
    assert said(root, "cac:TaxTotal/cbc:TaxAmount") == tax


@given(users=st.integers(0, 10**8), extension_gb=st.integers(0, 10**8), percent=st.integers(100, 9_999))
def test_sums_add_up_to_the_cent(users: int, extension_gb: int, percent: int) -> None:
    root = written(an_invoice(users, extension_gb), {**CONFIG, "vat_percent": percent / 100})
    lines = [Decimal(row.text or "") for row in root.findall("cac:InvoiceLine/cbc:LineExtensionAmount", NAMESPACES)]
    net, tax, gross = (
        Decimal(said(root, path) or "")
        for path in (
            "cac:LegalMonetaryTotal/cbc:TaxExclusiveAmount",
            "cac:TaxTotal/cbc:TaxAmount",
            "cac:LegalMonetaryTotal/cbc:PayableAmount",
        )
    )
    assert (sum(lines), net + tax) == (net, gross)
    assert abs(tax - net * percent / 10_000) <= Decimal("0.005")


def test_one_error_names_every_key_that_is_missing() -> None:
    with pytest.raises(InvoiceError) as refused:
        written(config={})
    address = ("name", "street", "post_code", "city")
    for key in (
        "invoice.contract",
        *(f"invoice.seller.{name}" for name in (*address, "vat_id", "contact", "phone", "email")),
        *(f"invoice.buyer.{name}" for name in (*address, "leitweg_id")),
        "invoice.payment.iban",
    ):
        assert key in str(refused.value)


@pytest.mark.parametrize("issued", [date(2026, 6, 30), date(2026, 6, 1), date(2026, 5, 31)])
def test_a_month_that_still_runs_gives_none(issued: date) -> None:
    with pytest.raises(InvoiceError, match=f"2026-06 had not ended on {issued.isoformat()}.*from 2026-07-01 on"):
        written(issued=issued)


def test_it_can_be_written_on_the_day_after_the_month() -> None:
    assert said(written(issued=date(2026, 7, 1)), "cbc:IssueDate") == "2026-07-01"


@pytest.mark.parametrize("number", ["", " ", "R-1 ", "R-1\nR-2", "R\x00", "R\ufffe"])
def test_a_number_that_no_document_can_hold_is_refused(number: str) -> None:
    with pytest.raises(InvoiceError, match="ID of an XRechnung must be one line"):
        xrechnung(an_invoice(), parse(Parties, CONFIG), number, ISSUED)
