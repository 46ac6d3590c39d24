"""What a browser sends with a form or a query. Pure.

`application/x-www-form-urlencoded` only: Synapse answers `multipart/form-data` with 415 before any resource sees it
(GHSA-rfq8-j7rh-8hf2). Line ends are those of Unix, and characters that no text may hold are dropped, so that a page
needs to fear none of them.
"""

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

import attr

_MAX_FIELDS: Final = 2_000
_KEPT_CONTROLS: Final = "\n\t"
_MAX_OFFSET: Final = 10**9


class BadFormError(Exception):
    """What came is no form of a browser."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class FormData:
    """Fields by name; of a name that stands there twice the first."""

    fields: Mapping[str, str] = attr.ib(factory=dict, repr=False)

    def text(self, name: str, default: str = "") -> str:
        """Returns a field without the white space around it."""
        return self.fields.get(name, default).strip()

    def whole_number(self, name: str, default: int = 0) -> int:
        """Returns a field that holds a whole number from 0 on; `default` for everything else."""
        value = self.text(name)
        found = int(value) if value.isascii() and value.isdigit() and len(value) <= len(str(_MAX_OFFSET)) else default
        return min(found, _MAX_OFFSET)

    def is_on(self, name: str) -> bool:
        """Whether a check box was ticked."""
        return bool(self.fields.get(name))


def read_query(uri: bytes) -> FormData:
    """Reads the query of an address; what can't be read is left out: an address is typed by hand at times."""
    _path, _mark, query = uri.partition(b"?")
    return FormData(_fields(query, errors="replace"))


def read_form(content_type: str, body: bytes) -> FormData:
    """Reads the body of a POST.

    Raises:
        BadFormError: it is no form.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded" or not body:
        return FormData(_fields(body, errors="strict"))
    raise BadFormError("its type is none of a form")


def _fields(encoded: bytes, errors: str) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(
            encoded.decode("ascii", errors), keep_blank_values=True, errors=errors, max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        if errors == "strict":
            raise BadFormError("its fields can't be read") from None
        pairs = []
    return MappingProxyType({name: _cleaned(value) for name, value in reversed(pairs)})


def _cleaned(text: str) -> str:
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    if unified.isprintable():
        return unified
    return "".join(c for c in unified if c in _KEPT_CONTROLS or unicodedata.category(c) not in {"Cc", "Cs"})
