"""Amounts and sizes as they are written in German, beside what `synapse_bum.german` has. Pure."""

from decimal import ROUND_CEILING, Decimal
from typing import Final

from synapse_bum.german import SWAPPED, day, last_day, month_name, whole

__all__ = ["day", "gigabytes", "last_day", "money", "month_name", "whole"]

_THOUSANDTH: Final = Decimal("0.001")


def money(euros: Decimal) -> str:
    """Writes an amount with two decimals, for example `2.896,00`."""
    return f"{euros:,.2f}".translate(SWAPPED)


def gigabytes(number: Decimal) -> str:
    """Writes a size without needless decimals, for example `1.000,5`.

    It is rounded up to a thousandth, so that what has started the next gigabyte never looks as if it had not.
    """
    rounded = number.quantize(_THOUSANDTH, ROUND_CEILING)
    return f"{rounded:,f}".rstrip("0").rstrip(".").translate(SWAPPED)
