"""Readers of single values, lists and open mappings. Each is `reader(value, path)`, or makes such a reader.

Pure. A refusal shows what came only where that can't be a secret (words of a list, numbers, durations, sizes), never
free text and paths.
"""

import unicodedata
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from immutabledict import immutabledict

from synapse_bum import identifiers
from synapse_bum.quantities import Duration, kind_of, parse_duration, parse_size, shown
from synapse_bum.reading.sections import Path, Reader, fail, nearest

T = TypeVar("T")
K = TypeVar("K")
E = TypeVar("E", bound=Enum)

_MAX_TEXT: Final = 4_000


def boolean(value: object, path: Path) -> bool:
    """Reads `true` or `false`; the text "true" is an error."""
    if not isinstance(value, bool):
        fail(path, f"must be `true` or `false` (without quotes), not {kind_of(value)}")
    return value


def integer(minimum: int, maximum: int) -> Reader[int]:
    """Reads a whole number within a range, both ends included."""

    def read(value: object, path: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            fail(path, f"must be a whole number from {minimum} to {maximum}, not {kind_of(value)}")
        if not minimum <= value <= maximum:
            fail(path, f"must be a whole number from {minimum} to {maximum}, not {shown(value)}")
        return value

    return read


def number(minimum: float, maximum: float) -> Reader[float]:
    """Reads a whole or broken number within a range, both ends included; NaN is none."""

    def read(value: object, path: Path) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            fail(path, f"must be a number from {minimum} to {maximum}, not {kind_of(value)}")
        if not minimum <= value <= maximum:
            fail(path, f"must be a number from {minimum} to {maximum}, not {shown(value)}")
        return float(value)

    return read


def text(value: object, path: Path) -> str:
    """Reads text that is not empty, has no space at its ends and only characters that can be stored and printed."""
    if not isinstance(value, str):
        fail(path, f"must be text, not {kind_of(value)}")
    if not value or value != value.strip():
        fail(path, "must be text that is not empty and has no space at its ends")
    if len(value) > _MAX_TEXT:
        fail(path, f"must have at most {_MAX_TEXT} characters")
    if any(unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t" for character in value):
        fail(path, "must not contain control characters")
    return value


def one_of(choices: type[E]) -> Reader[E]:
    """Reads one of the values of an enumeration."""
    valid: dict[str, E] = {str(choice.value): choice for choice in choices}

    def read(value: object, path: Path) -> E:
        listed = " | ".join(valid)
        if not isinstance(value, str):
            fail(path, f"must be one of {listed}, not {kind_of(value)}")
        if value not in valid:
            near = nearest(value, tuple(valid))
            hint = f"; did you mean `{near}`?" if near else ""
            fail(path, f"{shown(value)} is not one of {listed}{hint}")
        return valid[value]

    return read


def matching(valid: Callable[[str], bool], expected: str) -> Reader[str]:
    """Reads text that a predicate accepts.

    Args:
        valid: the predicate, for example `identifiers.is_user_id`.
        expected: completes "must be ...".
    """

    def read(value: object, path: Path) -> str:
        if not isinstance(value, str):
            fail(path, f"must be {expected}, not {kind_of(value)}")
        if not valid(value):
            fail(path, f"must be {expected}")
        return value

    return read


def duration(value: object, path: Path) -> Duration:
    """Reads a duration with a unit; `1y` is a calendar year."""
    return _converted(parse_duration, value, path)


def duration_ms(value: object, path: Path) -> int:
    """Reads a duration with a unit as ms, a year taken as 365 days: for time-outs and intervals, not for lifetimes."""
    return duration(value, path).nominal_ms


def size(value: object, path: Path) -> int:
    """Reads a size in bytes with binary units."""
    return _converted(parse_size, value, path)


def _converted(parser: Callable[[object], T], value: object, path: Path) -> T:
    try:
        return parser(value)
    except ValueError as e:
        fail(path, str(e))


def time_zone(value: object, path: Path) -> ZoneInfo:
    """Reads the name of a time zone of the IANA database, for example `Europe/Berlin`."""
    name = text(value, path)
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        fail(path, "must be a time zone that this machine knows, such as `Europe/Berlin` (package tzdata) or `UTC`")


def host(value: object, path: Path) -> str:
    """Reads a host name or address without port and returns it in lower case, an IPv6 address in brackets."""
    bare = _host_text(value, path).lower()
    bracketed = f"[{bare}]" if ":" in bare and not bare.startswith("[") else bare
    if not identifiers.is_host(bracketed):
        fail(path, "must be a host name such as `admin.example`, without scheme, port or path")
    return bracketed


_host_text: Final = matching(bool, "a host name such as `admin.example`")

server_name: Final = matching(
    identifiers.is_server_name, "a Matrix server name such as `example.org` or `example.org:8448`"
)

user_id: Final = matching(identifiers.is_user_id, "a full user id such as `@name:example.org`")

absolute_path: Final = matching(
    lambda value: value.startswith("/") and value.isprintable(),
    "an absolute path such as `/etc/synapse/secret`",
)


def _is_user_pattern(value: str) -> bool:
    return identifiers.is_user_id(value.replace("*", "x").replace("?", "x"))


user_pattern: Final = matching(
    _is_user_pattern,
    "a full user id such as `@name:example.org`, with `*` for any characters and `?` for one",
)


def list_of(reader: Reader[T], *, minimum: int = 0) -> Reader[tuple[T, ...]]:
    """Reads a list without duplicates; one item that is no list is an error.

    Args:
        reader: what each item must be.
        minimum: the smallest number of items.
    """

    def read(value: object, path: Path) -> tuple[T, ...]:
        if not isinstance(value, (list, tuple)):
            fail(path, f"must be a list, not {kind_of(value)}")
        items = tuple(reader(item, (*path, f"<item {position}>")) for position, item in enumerate(value))
        if len(items) < minimum:
            fail(path, f"must have at least {minimum} item{'s' if minimum > 1 else ''}")
        for position, item in enumerate(items):
            if item in items[:position]:
                fail((*path, f"<item {position}>"), "stands in the list twice")
        return items

    return read


def one_or_more(reader: Reader[T]) -> Reader[tuple[T, ...]]:
    """Reads either one item or a list of at least one."""
    several = list_of(reader, minimum=1)

    def read(value: object, path: Path) -> tuple[T, ...]:
        return several(value, path) if isinstance(value, (list, tuple)) else (reader(value, path),)

    return read


def mapping_of(key_reader: Reader[K], value_reader: Reader[T], *, defaults: object = None) -> Reader[Mapping[K, T]]:
    """Reads a mapping whose keys are data, for example partners by server name or actions by class.

    Args:
        key_reader: what each key must be, for example `one_of(HeuristicClass)` or `server_name`.
        value_reader: what each value must be.
        defaults: entries that hold unless the operator sets the same key, as an operator would write them.
    """

    def entries(value: object, path: Path) -> dict[K, T]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            fail(path, f"must be a mapping, not {kind_of(value)}")
        found: dict[K, T] = {}
        for key, item in value.items():
            place = (*path, str(key))
            read_key = key_reader(key, place)
            if read_key in found:
                fail(place, "stands there twice")
            found[read_key] = value_reader(item, place)
        return found

    standing = entries(defaults, ("default",))

    def read(value: object, path: Path) -> Mapping[K, T]:
        return immutabledict({**standing, **entries(value, path)})

    return read
