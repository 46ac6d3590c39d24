"""Pages of a list (RFC 7644 3.4.2.4). Pure."""

import re
from collections.abc import Sequence
from typing import Final

import attr

from synapse_bum.oidc.scim.errors import InvalidValueError

LIST_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
MAX_COUNT: Final = 1_000
DEFAULT_COUNT: Final = 100
_MAX_INTEGER: Final = 2**53
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Page:
    """Which part of a list.

    Attributes:
        start_index: the first element, counted from 1.
        count: at most so many, 0 to 1000; with 0 only the total is asked for.
    """

    start_index: int = 1
    count: int = DEFAULT_COUNT

    @property
    def offset(self) -> int:
        """How many elements come before."""
        return self.start_index - 1

    @classmethod
    def of(cls, start_index: object, count: object) -> "Page":
        """Reads the two parameters: texts (query) or integers (body); None when missing.

        A start below 1 is 1, a negative count 0 (RFC 7644 3.4.2.4); a count above 1000 is 1000.

        Raises:
            InvalidValueError: one is no integer.
        """
        start = 1 if start_index is None else _integer(start_index, "startIndex")
        number = DEFAULT_COUNT if count is None else _integer(count, "count")
        return cls(max(start, 1), min(max(number, 0), MAX_COUNT))


def list_response(resources: Sequence[object], *, total: int, page: Page | None = None) -> dict[str, object]:
    """The document of a list.

    Args:
        resources: the elements of this page.
        total: how many there are on all pages.
        page: which page; None for a list without pages, as of schemas.
    """
    return {
        "schemas": [LIST_SCHEMA],
        "totalResults": total,
        "startIndex": 1 if page is None else page.start_index,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }


def _integer(value: object, name: str) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INTEGER:
        return value
    raise InvalidValueError(f"{name} must be an integer.")
