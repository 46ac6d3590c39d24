"""Who bills whom, for which contract, and where the money goes: section `invoice`. Pure.

All of it may be left out: only an electronic invoice (XRechnung) needs it, and says then what is missing. What is there
is read strictly, because a slip in an account number or in a Leitweg-ID makes a wrong invoice.

Both parties are in Germany. A buyer abroad would owe the tax himself, which is another kind of invoice.
"""

import operator
import re
from decimal import Decimal
from typing import Final

import attr

from synapse_bum.config import Path, fail, integer, matching, number, option, section, text

_MAX_LINE: Final = 200
_LEITWEG_ID: Final = re.compile(r"[0-9]{2,12}(?:-[A-Z0-9]{1,30})?-[0-9]{2}", re.ASCII)
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
_BIC: Final = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", re.ASCII)
_VAT_ID: Final = re.compile(r"DE[0-9]{9}", re.ASCII)
_POST_CODE: Final = re.compile(r"[0-9]{5}", re.ASCII)
# As the rule BR-DE-28 of XRechnung has it.
_MAIL_ADDRESS: Final = re.compile(r"[^@\s]+@(?:[^@.\s]+\.)+[^@.\s]+")
_DIGITS_OF_PHONE: Final = 3  # at least, rule BR-DE-27

_SCHEMES: Final = ("0088", "0204", "9930")
"""Electronic addresses beside mail (code list EAS): GLN, Leitweg-ID, German VAT number."""

_NEEDED: Final = (
    "contract",
    "seller.name",
    "seller.street",
    "seller.post_code",
    "seller.city",
    "seller.contact",
    "seller.phone",
    "seller.email",
    "buyer.name",
    "buyer.street",
    "buyer.post_code",
    "buyer.city",
    "buyer.leitweg_id",
    "payment.iban",
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ElectronicAddress:
    """Where electronic invoices can be sent to.

    Attributes:
        scheme: from the code list EAS, for example `EM` for mail.
        identifier: within the scheme.
    """

    scheme: str
    identifier: str


def _has_good_check_digits(identifier: str) -> bool:
    """Whether an identifier is 1 modulo 97, letters counting from 10 (ISO 7064, MOD 97-10)."""
    return int("".join(str(int(character, 36)) for character in identifier)) % 97 == 1


def _is_line(value: str) -> bool:
    return 0 < len(value) <= _MAX_LINE and value == value.strip() and value.isprintable()


def _is_leitweg_id(value: str) -> bool:
    return _LEITWEG_ID.fullmatch(value) is not None and _has_good_check_digits(value.replace("-", ""))


def _is_mail_address(value: str) -> bool:
    return _is_line(value) and _MAIL_ADDRESS.fullmatch(value) is not None


_line: Final = matching(
    _is_line, f"one line of text, in quotes where it is a number, with up to {_MAX_LINE} characters"
)
_mail_address: Final = matching(_is_mail_address, "one mail address, for example `rechnung@example.org`")
_post_code: Final = matching(lambda value: _POST_CODE.fullmatch(value) is not None, "five digits in quotes")
_vat_id: Final = matching(lambda value: _VAT_ID.fullmatch(value) is not None, "`DE` and nine digits")
_bic: Final = matching(lambda value: _BIC.fullmatch(value) is not None, "a BIC with 8 or 11 characters")
_leitweg_id: Final = matching(
    _is_leitweg_id, "a Leitweg-ID whose check digits fit, in quotes, for example `04011000-1234512345-06`"
)
_phone: Final = matching(
    lambda value: _is_line(value) and sum(character.isdecimal() for character in value) >= _DIGITS_OF_PHONE,
    "a telephone number in quotes, for example `+49 30 123456`",
)


def _iban(value: object, path: Path) -> str:
    """Reads an account number, with or without spaces, and returns it without."""
    iban = _line(value, path).replace(" ", "")
    if _IBAN.fullmatch(iban) is None or not _has_good_check_digits(iban[4:] + iban[:4]):
        fail(path, "must be an IBAN whose check digits fit")
    return iban


def _vat_percent(value: object, path: Path) -> Decimal:
    """Reads a rate of tax exactly as it is written; no tax at all is another kind of invoice.

    The published rules take a rate below 0.5 for none (BR-CO-17).
    """
    percent = Decimal(str(number(1, 99.99)(value, path)))
    if percent != round(percent, 2):
        fail(path, "must have at most two decimals")
    return percent


def _electronic_address(value: object, path: Path) -> ElectronicAddress:
    written = _line(value, path)
    scheme, colon, identifier = written.partition(":")
    if colon and scheme in _SCHEMES and _is_line(identifier):
        return ElectronicAddress(scheme, identifier)
    if not _is_mail_address(written):
        fail(
            path,
            "must be a mail address, or a scheme and an identifier, for example `0204:04011000-1234512345-06`;"
            f" the schemes are {', '.join(_SCHEMES)}",
        )
    return ElectronicAddress("EM", written)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Seller:
    """Section `seller`: who provides the service.

    Attributes:
        name: as registered.
        street: with the number of the house, or a post office box.
        post_code: five digits.
        city: where it is.
        vat_id: the German VAT number (Umsatzsteuer-Identifikationsnummer).
        tax_number: of the tax office, where there is no VAT number.
        registration: in a public register, for example the Handelsregister; needed where there is no VAT number.
        contact: whom the buyer asks: a person or a department.
        phone: of the contact.
        email: of the contact.
        electronic_address: for electronic messages to the seller; None for `email`.
    """

    name: str | None = option(_line, default=None)
    street: str | None = option(_line, default=None)
    post_code: str | None = option(_post_code, default=None)
    city: str | None = option(_line, default=None)
    vat_id: str | None = option(_vat_id, default=None)
    tax_number: str | None = option(_line, default=None)
    registration: str | None = option(_line, default=None)
    contact: str | None = option(_line, default=None)
    phone: str | None = option(_phone, default=None)
    email: str | None = option(_mail_address, default=None)
    electronic_address: ElectronicAddress | None = option(_electronic_address, default=None)

    @property
    def endpoint(self) -> ElectronicAddress | None:
        """Where electronic messages reach the seller."""
        by_mail = None if self.email is None else ElectronicAddress("EM", self.email)
        return self.electronic_address or by_mail


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Buyer:
    """Section `buyer`: who is billed.

    Attributes:
        name: as registered.
        street: with the number of the house, or a post office box.
        post_code: five digits.
        city: where it is.
        leitweg_id: by which an authority's invoices find their way.
        electronic_address: for the invoice; None for the Leitweg-ID, by which the portals of the administration are
            reached.
    """

    name: str | None = option(_line, default=None)
    street: str | None = option(_line, default=None)
    post_code: str | None = option(_post_code, default=None)
    city: str | None = option(_line, default=None)
    leitweg_id: str | None = option(_leitweg_id, default=None)
    electronic_address: ElectronicAddress | None = option(_electronic_address, default=None)

    @property
    def endpoint(self) -> ElectronicAddress | None:
        """Where electronic messages reach the buyer."""
        by_leitweg_id = None if self.leitweg_id is None else ElectronicAddress("0204", self.leitweg_id)
        return self.electronic_address or by_leitweg_id


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Payment:
    """Section `payment`: a SEPA credit transfer.

    Attributes:
        iban: of the account, without spaces.
        bic: of its bank.
        account_name: who holds it, where that is not the seller.
        days: from the date of the invoice until it is due.
    """

    iban: str | None = option(_iban, default=None)
    bic: str | None = option(_bic, default=None)
    account_name: str | None = option(_line, default=None)
    days: int = option(integer(0, 365), default=30)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Parties:
    """Section `invoice`.

    Attributes:
        contract: its number, as the buyer knows it.
        address: of the buyer, for invoices as text; may have several lines.
        vat_percent: the rate of tax that an electronic invoice adds.
        seller: who provides the service.
        buyer: who is billed.
        payment: where the money goes.
    """

    contract: str | None = option(_line, default=None)
    address: str | None = option(text, default=None)
    vat_percent: Decimal = option(_vat_percent, default=19)
    seller: Seller = option(section(Seller), default={})
    buyer: Buyer = option(section(Buyer), default={})
    payment: Payment = option(section(Payment), default={})


def missing_keys(parties: Parties) -> list[str]:
    """Names what an electronic invoice needs and the configuration lacks.

    Returns:
        Paths below `config`, for example `invoice.buyer.leitweg_id`; empty when nothing is missing.
    """
    missing = [f"invoice.{key}" for key in _NEEDED if operator.attrgetter(key)(parties) is None]
    seller = parties.seller
    if seller.vat_id is None and (seller.tax_number is None or seller.registration is None):
        if seller.tax_number is None and seller.registration is None:
            missing.append("invoice.seller.vat_id (or tax_number and registration)")
        else:
            missing.append(
                f"invoice.seller.{'tax_number' if seller.tax_number is None else 'registration'} (or vat_id)"
            )
    return missing
