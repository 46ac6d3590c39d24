"""Reading clamd.conf and c-icap.conf: a word and its value on each line. Pure."""

import re
from collections.abc import Mapping
from typing import Final

_SIZE: Final = re.compile(r"([0-9]+)([kKmMgG]?)", re.ASCII)
_BYTES: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_YES: Final = frozenset({"yes", "true", "1", "on"})
_NO: Final = frozenset({"no", "false", "0", "off"})

Directives = Mapping[str, tuple[str, ...]]
"""The values of each word, in their order; words in lower case."""


def directives(text: str) -> Directives:
    """Read the lines; comments and empty ones say nothing.

    Args:
        text: of the file.
    """
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        word, _, value = line.strip().partition("#")[0].strip().replace("\t", " ").partition(" ")
        if word:
            found[word.lower()] = (*found.get(word.lower(), ()), value.strip().strip('"'))
    return found


def last(found: Directives, word: str) -> str | None:
    """The last value of a word, which counts; None where it is not there."""
    values = found.get(word.lower())
    return values[-1] if values else None


def bytes_of(value: str) -> int | None:
    """A size as both programs read it: a number, with K, M or G for more. None when it is none."""
    matched = _SIZE.fullmatch(value)
    return None if matched is None else int(matched[1]) * _BYTES[matched[2].upper()]


def is_on(value: str | None) -> bool | None:
    """Whether a switch is on; None when it is not written, or as nothing that is known."""
    if value is None:
        return None
    return True if value.lower() in _YES else False if value.lower() in _NO else None
