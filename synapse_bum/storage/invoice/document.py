"""What an invoice says beside its lines, and the invoice as JSON. Pure."""

from decimal import Decimal
from typing import Any

import attr

from synapse_bum.storage.invoice.calculation import Invoice, Line
from synapse_bum.storage.invoice.price_list import CURRENCY
from synapse_bum.storage.month import StorageBasis, UsersBasis
from synapse_bum.storage.usage import CountConfig


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Counted:
    """How the numbers of a month were counted.

    Attributes:
        users_basis: which number of users stands for the month.
        storage_basis: which storage stands for the month.
        count: what counts as stored.
        locked_users: how many of the users are locked.
        days_counted: days of the month with a count.
        days: days of the month; while it runs, those that have begun.
        preliminary: the month is not over.
    """

    users_basis: UsersBasis
    storage_basis: StorageBasis
    count: CountConfig
    locked_users: int
    days_counted: int
    days: int
    preliminary: bool


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Particulars:
    """What an invoice says beside its lines.

    Attributes:
        contract: number of the contract; configured text.
        address: of the customer, several lines maybe; configured text.
        gigabyte: bytes of one gigabyte.
        counted: how the numbers were counted; None when somebody gave them by hand.
    """

    contract: str | None = None
    address: str | None = None
    gigabyte: int = 1_000_000_000
    counted: Counted | None = None

    @property
    def preliminary(self) -> bool:
        """Whether the numbers may still change."""
        return self.counted is not None and self.counted.preliminary


def as_json(invoice: Invoice, particulars: Particulars) -> dict[str, Any]:
    """Returns the object that the API shows: money as text with two decimals, quantities and gigabytes as numbers."""
    shown: dict[str, Any] = {
        "month": str(invoice.month),
        "users": invoice.users,
        "billed_users": invoice.billed_users,
        "storage": {
            "used_gb": _number(invoice.storage.used_gb),
            "included_gb": _number(invoice.storage.included_gb),
            "extension_gb": invoice.storage.extension_gb,
        },
        "lines": [_line(line) for line in invoice.lines],
        "currency": CURRENCY,
        "net": True,
        "total": euros(invoice.total),
        "preliminary": particulars.preliminary,
        "contract": particulars.contract,
        "address": particulars.address,
        "customer_users": invoice.customer_users,
        "price_list_valid_from": invoice.price_list.valid_from.isoformat(),
        "gigabyte": particulars.gigabyte,
        "readings": {"tiers": invoice.readings.tiers.value, "minimum": invoice.readings.minimum.value},
    }
    counted = particulars.counted
    if counted is not None:
        shown |= {
            "users_basis": counted.users_basis.value,
            "storage_basis": counted.storage_basis.value,
            "locked_users": counted.locked_users,
            "days_counted": counted.days_counted,
            "days": counted.days,
        }
    return shown


def _line(line: Line) -> dict[str, Any]:
    return {
        "position": line.position,
        "description": line.description,
        "quantity": line.quantity,
        "unit_price": euros(line.unit_price),
        "amount": euros(line.amount),
    }


def euros(amount: Decimal) -> str:
    """Writes an amount for machines: two decimals after a point, no thousands separators."""
    return f"{amount:.2f}"


def _number(gigabytes: Decimal) -> int | float:
    return int(gigabytes) if gigabytes == gigabytes.to_integral_value() else float(gigabytes)
