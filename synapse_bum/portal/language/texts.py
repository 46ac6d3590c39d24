"""The catalogue: every text of the pages, by key, in one language. Pure but for reading it once.

`texts/<language>/<area>.yaml` holds nested mappings; `t("users.title")` finds `title` in `users.yaml`. A text is plain
text, never HTML, with `{names}` for values, which turn nothing round beside them (`bidi.py`). Where a number decides,
it is a mapping `{one: ..., other: ...}`, chosen by the value `count`. A list is a list of paragraphs (`lines`).
"""

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

import yaml

from synapse_bum.portal.language.bidi import isolated

_PACKAGE: Final = "synapse_bum.portal"
_PLURAL: Final = frozenset({"one", "other"})


class Texts:
    """The texts of one language."""

    def __init__(self, entries: Mapping[str, Any], formatted_number: Any = str) -> None:  # noqa: ANN401 - any callable
        """Takes the entries.

        Args:
            entries: by full key: a text, a list of texts, or `{one, other}`.
            formatted_number: writes a number that stands in a text.
        """
        self._entries = entries
        self._number = formatted_number

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __call__(self, key: str, /, **values: object) -> str:
        """Returns a text with its values filled in.

        Raises:
            KeyError: there is no such text, or a value is missing.
        """
        entry = self._entries[key]
        if isinstance(entry, Mapping):
            entry = entry["one" if values["count"] == 1 else "other"]
        if not isinstance(entry, str):
            raise KeyError(f"{key} is a list of texts")
        return self._filled(entry, values)

    def lines(self, key: str, /, **values: object) -> list[str]:
        """Returns a list of texts; a single text is a list of one."""
        entry = self._entries[key]
        return [self._filled(line, values) for line in ([entry] if isinstance(entry, str) else entry)]

    def _filled(self, text: str, values: Mapping[str, object]) -> str:
        return text.format_map({name: self._written(value) for name, value in values.items()})

    def _written(self, value: object) -> str:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return str(self._number(value)) if is_number else isolated(str(value))


@functools.cache
def load(language: str) -> Mapping[str, Any]:
    """Reads the catalogue of one language, which is part of the package: once in a process.

    Returns:
        entries by full key, for example `users.title`.

    Raises:
        ValueError: something in a file is neither text, list of texts nor mapping.
    """
    entries: dict[str, Any] = {}
    for file in sorted((resources.files(_PACKAGE) / "texts" / language).iterdir(), key=lambda found: found.name):
        if file.name.endswith(".yaml"):
            _flatten(file.name.removesuffix(".yaml"), yaml.safe_load(file.read_text(encoding="utf-8")), entries)
    return entries


def _flatten(key: str, value: object, entries: dict[str, Any]) -> None:
    is_list = isinstance(value, list) and all(isinstance(line, str) for line in value)
    if isinstance(value, str) or is_list or (isinstance(value, dict) and set(value) == _PLURAL):
        entries[key] = value
    elif isinstance(value, dict) and value:
        for name, inner in value.items():
            _flatten(f"{key}.{name}", inner, entries)
    else:
        raise ValueError(f"{key} is neither text nor a list or a mapping of texts; quote it")
