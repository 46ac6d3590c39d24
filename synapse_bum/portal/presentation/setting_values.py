"""The values of settings as a reader understands them. Pure."""

from typing import Any, Final

from synapse_bum.portal.language.formats import Formats
from synapse_bum.portal.language.texts import Texts

_MS_PER_SECOND: Final = 1_000
_MS_PER_MINUTE: Final = 60_000
_MS_PER_HOUR: Final = 3_600_000
_MOST_DIGITS: Final = 6


def value_text(value: Any, unit: str | None, texts: Texts, formats: Formats) -> str:  # noqa: ANN401 - a JSON value
    """Writes the value of a setting.

    Args:
        value: as the API has it.
        unit: `ms`, `bytes`, `years`, `share`, `word` or None.
        texts: the catalogue.
        formats: writes numbers.
    """
    if value is None:
        return texts("configuration.value_not_set")
    if isinstance(value, bool):
        return texts("configuration.value_true" if value else "configuration.value_false")
    if isinstance(value, (int, float)):
        return _number_text(value, unit, texts, formats)
    if isinstance(value, list):
        items = [value_text(item, unit, texts, formats) for item in value]
        return ", ".join(items) or texts("configuration.value_empty")
    key = f"configuration.value_{value}"
    return texts(key) if unit == "word" and key in texts else str(value)


def _number_text(value: float, unit: str | None, texts: Texts, formats: Formats) -> str:
    if unit == "years":
        return texts("configuration.years_count", count=value)
    if unit == "bytes":
        return formats.size(int(value))
    if unit == "ms":
        return _time_text(int(value), texts, formats)
    if unit == "share":
        return formats.percent(value, _digits(value * 100))
    return formats.number(value, _digits(value))


def _time_text(value_ms: int, texts: Texts, formats: Formats) -> str:
    """A length of time; formats know of no seconds."""
    if value_ms < _MS_PER_HOUR and value_ms % _MS_PER_MINUTE:
        return texts("configuration.seconds_count", count=value_ms / _MS_PER_SECOND)
    return formats.duration(value_ms)


def _digits(value: float) -> int:
    """How many digits behind the comma a number needs."""
    return len(f"{value:.{_MOST_DIGITS}f}".rstrip("0").partition(".")[2])
