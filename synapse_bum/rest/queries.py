"""Query strings: single parameters, strictly read, and pages of a list.

Pure. Read from the URI itself, because Twisted mixes the fields of a form body into `Request.args`. A parameter that
stands there twice is refused, one that a handler does not ask for is ignored, as everywhere in Synapse.
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import attr
from synapse.module_api.errors import Codes, SynapseError

from synapse_bum.quantities import shown
from synapse_bum.reading import Refusal, text
from synapse_bum.rest.errors import invalid_param

E = TypeVar("E", bound=Enum)

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps exact (RFC 8259 section 6)."""

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1_000
_MAX_FIELDS: Final = 100
_INTEGER: Final = re.compile(r"[0-9]{1,16}", re.ASCII)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Page:
    """Which part of a list is asked for.

    Attributes:
        offset: entries to leave out, from the start of the list.
        limit: at most so many entries, 1 to 1000.
    """

    offset: int
    limit: int

    def answer(self, name: str, entries: Sequence[Mapping[str, Any]], total: int) -> dict[str, Any]:
        """Returns the answer for a list.

        Args:
            name: of the list, for example `findings`.
            entries: of this page, at most `limit`.
            total: entries of the whole list.

        Returns:
            `{name: entries, "total": total, "next_token": "..."}`, the token only when there is more.
        """
        answered: dict[str, Any] = {name: list(entries), "total": total}
        following = self.offset + len(entries)
        if entries and following < total:
            answered["next_token"] = str(following)
        return answered


class Query:
    """The query of one request."""

    def __init__(self, uri: bytes) -> None:
        """Splits and decodes.

        Args:
            uri: of the request line, with or without a query.

        Raises:
            SynapseError: 400 M_INVALID_PARAM; it is no UTF-8 or has too many fields.
        """
        _path, _mark, query = uri.partition(b"?")
        try:
            fields = parse_qsl(
                query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
            )
        except ValueError:
            message = f"The query must be percent-encoded UTF-8 with at most {_MAX_FIELDS} fields"
            raise SynapseError(HTTPStatus.BAD_REQUEST, message, Codes.INVALID_PARAM) from None
        self._fields: dict[str, list[str]] = {}
        for name, value in fields:
            self._fields.setdefault(name, []).append(value)

    def text(self, name: str) -> str | None:
        """Returns a parameter as text, None when it is not there.

        Raises:
            SynapseError: 400 M_INVALID_PARAM; it stands there twice, is empty or holds control characters.
        """
        values = self._fields.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise invalid_param(name, "stands in the query twice")
        try:
            return text(values[0], (name,))
        except Refusal as e:
            raise SynapseError(HTTPStatus.BAD_REQUEST, e.sentence("".join), Codes.INVALID_PARAM) from None

    def integer(self, name: str, *, minimum: int = 0, maximum: int = MAX_INTEGER) -> int | None:
        """Returns a parameter as a whole number, None when it is not there.

        Raises:
            SynapseError: 400 M_INVALID_PARAM; it is no whole number within the range, both ends included.
        """
        value = self.text(name)
        if value is None:
            return None
        if _INTEGER.fullmatch(value) is None or not minimum <= int(value) <= maximum:
            raise invalid_param(name, f"must be a whole number from {minimum} to {maximum}")
        return int(value)

    def choice(self, name: str, choices: type[E]) -> E | None:
        """Returns a parameter as a member of an enumeration, None when it is not there.

        Raises:
            SynapseError: 400 M_INVALID_PARAM; it is no value of the enumeration.
        """
        value = self.text(name)
        if value is None:
            return None
        for choice in choices:
            if choice.value == value:
                return choice
        listed = ", ".join(str(choice.value) for choice in choices)
        raise invalid_param(name, f"{shown(value)} is not one of {listed}")

    def page(self) -> Page:
        """Returns the page that `from` and `limit` ask for.

        Raises:
            SynapseError: 400 M_INVALID_PARAM.
        """
        offset, limit = self.integer("from"), self.integer("limit", minimum=1, maximum=MAX_LIMIT)
        return Page(offset or 0, DEFAULT_LIMIT if limit is None else limit)
