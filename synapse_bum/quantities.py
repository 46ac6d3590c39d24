"""Durations and sizes as operators write them: `30s 15m 24h 90d 1y`, `100K 50M 1G`.

Pure. Stricter than Synapse's own parser on purpose: there a bare `365` is 365 milliseconds and `1g` is a traceback.
Every text that is accepted here means the same in Synapse (`synapse.config._base.Config.parse_size`, `parse_duration`).
"""

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Final

import attr

_MS_PER_UNIT: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DAYS_PER_NOMINAL_YEAR: Final = 365
_DURATION: Final = re.compile(r"([0-9]{1,15})([smhdy])", re.ASCII)
_MAX_YEARS: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

_BYTES_PER_SUFFIX: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE: Final = re.compile(r"([0-9]{1,19})([KMGT]?)", re.ASCII)
_NEARLY_SIZE: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?\s*([kmgt])(?:i?b)?", re.ASCII | re.IGNORECASE)
_MAX_SIZE: Final = 2**60

DURATION_EXPECTED: Final = "a duration with a unit, one of `30s`, `15m`, `24h`, `90d`, `1y`"
SIZE_EXPECTED: Final = "a size such as `100K`, `50M`, `1G` (binary units), or a whole number of bytes"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Duration:
    """A span of time that is either fixed or counted in calendar years.

    A lifetime of `1y` ends on the same day of the year before, whether or not a 29 February lies between. That is
    only known once there is a date, so decide with `before()`, and use `nominal_ms` where a plain number is shown.

    Attributes:
        fixed_ms: length in ms; 0 when the span is counted in calendar years.
        years: calendar years; 0 when the length is fixed.
    """

    fixed_ms: int
    years: int = 0

    @property
    def nominal_ms(self) -> int:
        """Length in ms, a year taken as 365 days as Synapse does."""
        return self.fixed_ms + self.years * _DAYS_PER_NOMINAL_YEAR * _MS_PER_UNIT["d"]

    def before(self, ts_ms: int, zone: tzinfo = timezone.utc) -> int:
        """Returns the instant that lies this span before another one.

        Args:
            ts_ms: ms since the epoch.
            zone: where calendar years are counted; a fixed span does not depend on it.

        Returns:
            ms since the epoch. A year before 29 February is 28 February.
        """
        if not self.years:
            return ts_ms - self.fixed_ms
        moment = (_EPOCH + timedelta(milliseconds=ts_ms)).astimezone(zone)
        year = moment.year - self.years
        try:
            earlier = moment.replace(year=year)
        except ValueError:
            earlier = moment.replace(year=year, day=28)
        return (earlier.astimezone(timezone.utc) - _EPOCH) // timedelta(milliseconds=1)


def parse_duration(value: object) -> Duration:
    """Reads a duration.

    Args:
        value: as YAML delivers it.

    Returns:
        the span, always longer than nothing and at most 1000 years.

    Raises:
        ValueError: the text says what is wrong and what would be right.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"must be {DURATION_EXPECTED}, not {kind_of(value)}")  # noqa: TRY004 - one kind of error
    if not isinstance(value, str):
        raise ValueError(f"`{value}` has no unit; must be {DURATION_EXPECTED}")  # noqa: TRY004 - one kind of error
    matched = _DURATION.fullmatch(value)
    if matched is None:
        raise ValueError(f"{shown(value)} is no duration; must be {DURATION_EXPECTED}")
    amount, unit = int(matched[1]), matched[2]
    if amount == 0:
        raise ValueError(f"{shown(value)} must be longer than zero")
    found = Duration(fixed_ms=0, years=amount) if unit == "y" else Duration(fixed_ms=amount * _MS_PER_UNIT[unit])
    if found.nominal_ms > Duration(fixed_ms=0, years=_MAX_YEARS).nominal_ms:
        raise ValueError(f"{shown(value)} is longer than {_MAX_YEARS} years")
    return found


def parse_size(value: object) -> int:
    """Reads a size in bytes, as Synapse does where Synapse accepts it.

    Args:
        value: as YAML delivers it: a whole number of bytes, or text with one of the suffixes K, M, G, T.

    Returns:
        bytes, at least 1.

    Raises:
        ValueError: the text says what is wrong and, where it can be guessed, the right form.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"must be {SIZE_EXPECTED}, not {kind_of(value)}")  # noqa: TRY004 - one kind of error
    if isinstance(value, int):
        size = value
    else:
        matched = _SIZE.fullmatch(value)
        if matched is None:
            raise ValueError(f"{shown(value)} is no size; {_right_form_of(value)}")
        size = int(matched[1]) * _BYTES_PER_SUFFIX[matched[2]]
    if size <= 0:
        raise ValueError(f"{shown(value)} must be more than zero bytes")
    if size > _MAX_SIZE:
        raise ValueError(f"{shown(value)} is larger than any file can be")
    return size


def _right_form_of(text: str) -> str:
    matched = _NEARLY_SIZE.fullmatch(text)
    if matched is None:
        return f"must be {SIZE_EXPECTED}"
    whole, fraction, suffix = matched[1], matched[2] or "", matched[3].upper()
    size = int(whole + fraction) * _BYTES_PER_SUFFIX[suffix] // 10 ** len(fraction)
    return f"write `{as_size(size)}`" if size else f"must be {SIZE_EXPECTED}"


def as_size(size: int) -> str:
    """Writes a size so that `parse_size` reads the same number of bytes again, for example `1536M`."""
    for suffix in ("T", "G", "M", "K"):
        if size and size % _BYTES_PER_SUFFIX[suffix] == 0:
            return f"{size // _BYTES_PER_SUFFIX[suffix]}{suffix}"
    return str(size)


def kind_of(value: object) -> str:
    """Names the type of a YAML value in an operator's words; never shows the value."""
    if value is None:
        return "empty (null)"
    if isinstance(value, bool):
        return "true or false"
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (str, "text"),
        (int, "a whole number"),
        (float, "a number"),
        (dict, "a mapping"),
        ((list, tuple), "a list"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), f"a {type(value).__name__}")


def shown(value: object) -> str:
    """Quotes a value for an error message: one line, at most 60 characters."""
    text = str(value)
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return f"`{printable}`" if len(printable) <= 60 else f"`{printable[:57]}...`"


def escaped(text: str) -> str:
    r"""Text in one line, for terminals and logs: what can't be shown becomes `\x1b`, `\n`, `\ud800`.

    What it quotes of files and strangers shall neither forge a line nor steer a terminal. Pure.
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
