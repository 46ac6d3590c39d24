"""From a module's configuration to what may be shown of it. Pure; what it does not understand it hides."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import attr

from synapse_bum.portal.configuration.allowed import MILLISECONDS
from synapse_bum.quantities import Duration
from synapse_bum.reading import written

Json: TypeAlias = bool | int | float | str | list[Any] | None

YEARS: Final = "years"
WORD: Final = "word"
"""The unit of a value that is one of a few words."""
_HIDDEN: Final = object()


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        key: dotted, as below `config:`.
        value: a JSON value.
        unit: `ms`, `bytes`, `years`, `share`, `word` or None.
        is_default: whether it would be the same without the key; None when that is not known.
    """

    key: str
    value: Json
    unit: str | None
    is_default: bool | None

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return {"key": self.key, "value": self.value, "unit": self.unit, "is_default": self.is_default}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Settings:
    """The settings of one module.

    Attributes:
        shown: those that may be shown.
        hidden: keys of the others.
    """

    shown: tuple[Setting, ...]
    hidden: tuple[str, ...]


def settings_of(config: object, units: Mapping[str, str | None]) -> Settings:
    """Sorts a module's options into shown and hidden ones.

    Args:
        config: what the module's `parse_config` has made; hidden whole when that is no object of attrs.
        units: of the keys that may be shown.
    """
    if not attr.has(type(config)):
        return Settings((), ())
    shown: list[Setting] = []
    hidden: list[str] = []
    for option in written(config):
        key = ".".join(option.path)
        value, unit = _HIDDEN, None
        if key in units:
            value, unit = _with_unit(option.value, units[key])
        if value is _HIDDEN:
            hidden.append(key)
        else:
            shown.append(Setting(key, value, unit, option.is_default))  # type: ignore[arg-type]
    return Settings(tuple(shown), tuple(hidden))


def _with_unit(value: object, unit: str | None) -> tuple[object, str | None]:
    if isinstance(value, Duration):
        return (value.years, YEARS) if value.years else (value.fixed_ms, MILLISECONDS)
    if isinstance(value, Enum):
        return _plain(value.value), WORD
    return _plain(value), None if value is None else unit


def _plain(value: object) -> object:
    """A value as JSON; `_HIDDEN` for everything whose kind is not known to be plain."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, ZoneInfo):
        return value.key
    if isinstance(value, (tuple, list)):
        items = list(_items(value))
        return _HIDDEN if _HIDDEN in items else items
    return _HIDDEN


def _items(values: "tuple[object, ...] | list[object]") -> Iterator[object]:
    return map(_plain, values)
