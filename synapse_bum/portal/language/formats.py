"""Numbers, sizes and times as the reader of a language writes them. Pure.

German: `1.234,5`, `31.01.2026, 14:05 Uhr`. All times are those of Germany.
"""

import datetime as dt
from typing import Final
from zoneinfo import ZoneInfo

from synapse_bum.german import SWAPPED
from synapse_bum.months import midnight_ms

ZONE: Final = ZoneInfo("Europe/Berlin")
NOTHING: Final = "\N{EN DASH}"
"""Stands where there is no value."""

_NARROW_SPACE: Final = "\N{NO-BREAK SPACE}"
_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000  # as contract and invoice count
_MS_PER_MINUTE: Final = 60_000


class Formats:
    """Writes values; each method takes None for "no value"."""

    def __init__(self, language: str) -> None:
        """Takes `de` or `en`."""
        self._german = language == "de"

    def number(self, value: float | None, digits: int | None = None) -> str:
        """Writes a number with separators.

        Args:
            value: None for none.
            digits: behind the comma; None for as many as a short number needs: none, or one.
        """
        if value is None:
            return NOTHING
        if digits is None:
            digits = 0 if float(value).is_integer() else 1
        written = f"{value:,.{digits}f}"
        return written.translate(SWAPPED) if self._german else written

    def percent(self, share: float | None, digits: int = 1) -> str:
        """Writes a share of one as a percentage."""
        return NOTHING if share is None else f"{self.number(share * 100, digits)}{_NARROW_SPACE}%"

    def size(self, value: int | None) -> str:
        """Writes a number of bytes with a decimal unit, at most four digits."""
        if value is None:
            return NOTHING
        amount, unit = float(value), 0
        while abs(amount) >= _STEP - 0.5 and unit < len(_SIZES) - 1:
            amount, unit = amount / _STEP, unit + 1
        digits = 0 if unit == 0 or abs(amount) >= 99.95 else 1
        return f"{self.number(amount, digits)}{_NARROW_SPACE}{_SIZES[unit]}"

    def money(self, amount: str | None) -> str:
        """Writes an amount in euros, as the API has it: text with two decimals."""
        if amount is None:
            return NOTHING
        euros, _dot, cents = amount.partition(".")
        whole = self.number(int(euros))
        return f"{whole},{cents}{_NARROW_SPACE}\N{EURO SIGN}" if self._german else f"\N{EURO SIGN}{whole}.{cents}"

    def date(self, ts_ms: int | None) -> str:
        """Writes the day of a moment, given in ms since the epoch."""
        if ts_ms is None:
            return NOTHING
        return moment(ts_ms).strftime("%d.%m.%Y" if self._german else "%Y-%m-%d")

    def time(self, ts_ms: int | None) -> str:
        """Writes day and minute of a moment, given in ms since the epoch."""
        if ts_ms is None:
            return NOTHING
        return moment(ts_ms).strftime("%d.%m.%Y, %H:%M Uhr" if self._german else "%Y-%m-%d %H:%M")

    def machine_time(self, ts_ms: int) -> str:
        """Writes a moment for the `datetime` attribute of HTML's `time`."""
        return moment(ts_ms).isoformat(timespec="seconds")

    def duration(self, length_ms: int | None) -> str:
        """Writes a length of time in its two largest units, minutes at least."""
        if length_ms is None:
            return NOTHING
        minutes = -(-length_ms // _MS_PER_MINUTE)
        days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
        names = (
            ("Tag/Tage", "Stunde/Stunden", "Minute/Minuten")
            if self._german
            else ("day/days", "hour/hours", "minute/minutes")
        )
        parts = [
            f"{self.number(amount)}{_NARROW_SPACE}{name.split('/')[amount != 1]}"
            for amount, name in zip((days, hours, minutes), names, strict=True)
            if amount
        ]
        return " ".join(parts[:2]) or f"0{_NARROW_SPACE}{names[2].split('/')[1]}"


def moment(ts_ms: int) -> dt.datetime:
    """Returns the moment as one of Germany."""
    return dt.datetime.fromtimestamp(ts_ms / 1000, ZONE)


def day_begin_ms(day: str) -> int | None:
    """Returns the first moment of a day such as `2026-01-31` in Germany, ms since the epoch; None for no day."""
    try:
        found = dt.date.fromisoformat(day)
    except ValueError:
        return None
    return midnight_ms(found, ZONE)
