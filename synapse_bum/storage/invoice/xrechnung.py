"""An invoice as authorities can book it: EN 16931 in UBL 2.1, profile XRechnung 3.0. Pure.

Comments name the business terms (BT, BG) and rules (BR) of EN 16931 and of the specification XRechnung 3.0.2. The tests
let the published rules judge what comes out.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from synapse_bum.storage.invoice.calculation import Invoice, Line, Unit
from synapse_bum.storage.invoice.german import day, last_day
from synapse_bum.storage.invoice.parties import Buyer, ElectronicAddress, Parties, Payment, Seller, missing_keys
from synapse_bum.storage.invoice.price_list import CURRENCY, InvoiceError

_NAMESPACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "xmlns": "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2",
        "xmlns:cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
        "xmlns:cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
    }
)
_SPECIFICATION: Final = "urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0"
_PROCESS: Final = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"
_COMMERCIAL_INVOICE: Final = "380"  # UNTDID 1001
_SEPA_CREDIT_TRANSFER: Final = "58"  # UNTDID 4461
_STANDARD_RATE: Final = "S"  # UNTDID 5305
_COUNTRY: Final = "DE"  # ISO 3166-1
_CENT: Final = Decimal("0.01")

_UNITS: Final[Mapping[Unit, str]] = MappingProxyType(
    {Unit.USER: "C62", Unit.GIGABYTE: "E34", Unit.PIECE: "C62", Unit.HOUR: "HUR"}
)
"""UN/ECE Recommendation 20: one, gigabyte, hour."""


def xrechnung(invoice: Invoice, parties: Parties, number: str, issue_date: date) -> bytes:
    """Writes an invoice as XML.

    Args:
        invoice: of a full month, with numbers that are final; its amounts are net.
        parties: who bills whom.
        number: of the invoice, one of a kind among all that the seller writes.
        issue_date: when it was written; after the month.

    Returns:
        The document in UTF-8.

    Raises:
        InvoiceError: the configuration lacks something, the month had not ended on `issue_date`, or a text can't stand
            in an invoice.
    """
    if missing := missing_keys(parties):
        raise InvoiceError(f"an XRechnung needs more configuration; these keys are missing: {', '.join(missing)}")
    end = last_day(invoice.month)
    if issue_date <= end:
        raise InvoiceError(
            f"{invoice.month} had not ended on {issue_date.isoformat()}: an XRechnung is written for a full month,"
            f" from {(end + timedelta(days=1)).isoformat()} on"
        )
    root = Element("Invoice", dict(_NAMESPACES))
    _add_head(root, invoice, parties, number, issue_date)
    _add_seller(root, parties.seller)
    _add_buyer(root, parties.buyer)
    _add_payment(root, parties.payment, number, issue_date)
    _add_totals(root, invoice.total, parties.vat_percent)
    for line_number, line in enumerate(invoice.lines, start=1):
        _add_line(root, line_number, line, parties.vat_percent)
    indent(root)
    document: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return document


def _add_head(root: Element, invoice: Invoice, parties: Parties, number: str, issue_date: date) -> None:
    _write(root, "CustomizationID", _SPECIFICATION)  # BT-24
    _write(root, "ProfileID", _PROCESS)  # BT-23
    _write(root, "ID", number)  # BT-1
    _write(root, "IssueDate", issue_date.isoformat())  # BT-2
    _write(root, "DueDate", _due(issue_date, parties.payment).isoformat())  # BT-9
    _write(root, "InvoiceTypeCode", _COMMERCIAL_INVOICE)  # BT-3
    _write(root, "DocumentCurrencyCode", CURRENCY)  # BT-5
    _write(root, "BuyerReference", parties.buyer.leitweg_id)  # BT-10
    period = _group(root, "InvoicePeriod")  # BG-14
    _write(period, "StartDate", invoice.month.first_day.isoformat())
    _write(period, "EndDate", last_day(invoice.month).isoformat())
    _write(_group(root, "ContractDocumentReference"), "ID", parties.contract)  # BT-12


def _add_seller(root: Element, seller: Seller) -> None:  # BG-4
    party = _group(_group(root, "AccountingSupplierParty"), "Party")
    _add_endpoint(party, seller.endpoint)  # BT-34
    _add_address(party, seller)
    if seller.vat_id is not None:
        _add_tax_registration(party, seller.vat_id, "VAT")  # BT-31
    if seller.tax_number is not None:
        _add_tax_registration(party, seller.tax_number, "FC")  # BT-32
    legal = _group(party, "PartyLegalEntity")
    _write(legal, "RegistrationName", seller.name)  # BT-27
    if seller.registration is not None:
        _write(legal, "CompanyID", seller.registration)  # BT-30
    contact = _group(party, "Contact")  # BG-6
    _write(contact, "Name", seller.contact)
    _write(contact, "Telephone", seller.phone)
    _write(contact, "ElectronicMail", seller.email)


def _add_buyer(root: Element, buyer: Buyer) -> None:  # BG-7
    party = _group(_group(root, "AccountingCustomerParty"), "Party")
    _add_endpoint(party, buyer.endpoint)  # BT-49
    _add_address(party, buyer)
    _write(_group(party, "PartyLegalEntity"), "RegistrationName", buyer.name)  # BT-44


def _add_endpoint(party: Element, endpoint: ElectronicAddress | None) -> None:
    if endpoint is not None:
        _write(party, "EndpointID", endpoint.identifier, schemeID=endpoint.scheme)


def _add_address(party: Element, owner: Seller | Buyer) -> None:  # BG-5, BG-8
    address = _group(party, "PostalAddress")
    _write(address, "StreetName", owner.street)
    _write(address, "CityName", owner.city)
    _write(address, "PostalZone", owner.post_code)
    _write(_group(address, "Country"), "IdentificationCode", _COUNTRY)


def _add_tax_registration(party: Element, identifier: str, scheme: str) -> None:
    registration = _group(party, "PartyTaxScheme")
    _write(registration, "CompanyID", identifier)
    _write(_group(registration, "TaxScheme"), "ID", scheme)


def _add_payment(root: Element, payment: Payment, number: str, issue_date: date) -> None:  # BG-16
    means = _group(root, "PaymentMeans")
    _write(means, "PaymentMeansCode", _SEPA_CREDIT_TRANSFER)
    _write(means, "PaymentID", number)  # BT-83: what the transfer is for
    account = _group(means, "PayeeFinancialAccount")  # BG-17
    _write(account, "ID", payment.iban)
    if payment.account_name is not None:
        _write(account, "Name", payment.account_name)
    if payment.bic is not None:
        _write(_group(account, "FinancialInstitutionBranch"), "ID", payment.bic)
    terms = f"Zahlbar bis zum {day(_due(issue_date, payment))} ohne Abzug."
    _write(_group(root, "PaymentTerms"), "Note", terms)  # BT-20


def _add_totals(root: Element, net: Decimal, vat_percent: Decimal) -> None:
    """Write tax and sums. All lines have the same rate, so the tax is rounded once, for their sum (BR-CO-17)."""
    tax = (net * vat_percent / 100).quantize(_CENT, ROUND_HALF_UP)
    tax_total = _group(root, "TaxTotal")
    _write_amount(tax_total, "TaxAmount", tax)  # BT-110
    subtotal = _group(tax_total, "TaxSubtotal")  # BG-23
    _write_amount(subtotal, "TaxableAmount", net)
    _write_amount(subtotal, "TaxAmount", tax)
    _add_tax_category(subtotal, "TaxCategory", vat_percent)
    totals = _group(root, "LegalMonetaryTotal")  # BG-22
    _write_amount(totals, "LineExtensionAmount", net)
    _write_amount(totals, "TaxExclusiveAmount", net)
    _write_amount(totals, "TaxInclusiveAmount", net + tax)
    _write_amount(totals, "PayableAmount", net + tax)


def _add_line(root: Element, number: int, line: Line, vat_percent: Decimal) -> None:  # BG-25
    row = _group(root, "InvoiceLine")
    _write(row, "ID", str(number))
    _write(row, "InvoicedQuantity", str(line.quantity), unitCode=_UNITS[line.unit])
    _write_amount(row, "LineExtensionAmount", line.amount)
    item = _group(row, "Item")
    _write(item, "Name", line.description)
    _write(_group(item, "SellersItemIdentification"), "ID", line.position)  # BT-155
    _add_tax_category(item, "ClassifiedTaxCategory", vat_percent)
    _write_amount(_group(row, "Price"), "PriceAmount", line.unit_price)


def _add_tax_category(parent: Element, name: str, vat_percent: Decimal) -> None:
    category = _group(parent, name)
    _write(category, "ID", _STANDARD_RATE)
    _write(category, "Percent", f"{vat_percent:.2f}")
    _write(_group(category, "TaxScheme"), "ID", "VAT")


def _due(issue_date: date, payment: Payment) -> date:
    return issue_date + timedelta(days=payment.days)


def _group(parent: Element, name: str) -> Element:
    return SubElement(parent, f"cac:{name}")


def _write_amount(parent: Element, name: str, euros: Decimal) -> None:
    _write(parent, name, f"{euros:.2f}", currencyID=CURRENCY)


def _write(parent: Element, name: str, value: str | None, **attributes: str) -> None:
    """Write a value. An empty one is forbidden (PEPPOL-EN16931-R008), and XML has no way to write some characters."""
    if not value or value != value.strip() or not value.isprintable():
        raise InvoiceError(f"{name} of an XRechnung must be one line of text that is not empty")
    SubElement(parent, f"cbc:{name}", attributes).text = value
