"""Long lists: which part of one is shown, what it is filtered by, and where the other parts are. Pure."""

from collections.abc import Mapping
from typing import Final

import attr

from synapse_bum.portal.forms.form_data import FormData

DEFAULT_LIMIT: Final = 50


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Listing:
    """What the address asks for.

    Attributes:
        path: of the list, for the links.
        offset: entries before the first one that is shown.
        limit: entries on a page.
        filters: what the list is narrowed by, by name; empty text for "not".
    """

    path: str
    offset: int
    limit: int
    filters: Mapping[str, str]

    @classmethod
    def asked(cls, path: str, query: FormData, filters: tuple[str, ...], limit: int = DEFAULT_LIMIT) -> "Listing":
        """Reads `?from=` and the filters of an address."""
        return cls(path, query.whole_number("from"), limit, {name: query.text(name)[:255] for name in filters})

    @property
    def is_filtered(self) -> bool:
        """Whether anything narrows the list."""
        return any(self.filters.values())

    def part(self, shown: int, total: int) -> "Part":
        """Returns what is on this page.

        Args:
            shown: entries on it.
            total: entries of the whole list.
        """
        return Part(self, shown, total)

    def query(self, offset: int) -> dict[str, str]:
        """The query of another part of the same list."""
        kept = {name: value for name, value in self.filters.items() if value}
        return {**kept, "from": str(offset)} if offset else kept


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Part:
    """What of a list is on a page."""

    listing: Listing
    shown: int
    total: int

    @property
    def first(self) -> int:
        """Number of the first entry, counted from 1; 0 on an empty page."""
        return self.listing.offset + 1 if self.shown else 0

    @property
    def last(self) -> int:
        """Number of the last entry."""
        return self.listing.offset + self.shown

    @property
    def instead(self) -> dict[str, str] | None:
        """The query of the last page, where this one lies beyond it; None where it does not."""
        last = max(0, self.total - 1) // self.listing.limit * self.listing.limit
        return self.listing.query(last) if not self.shown and self.listing.offset > last else None

    @property
    def previous(self) -> dict[str, str] | None:
        """The query of the page before; None on the first."""
        offset = self.listing.offset
        return self.listing.query(max(0, offset - self.listing.limit)) if offset else None

    @property
    def following(self) -> dict[str, str] | None:
        """The query of the next page; None on the last."""
        return self.listing.query(self.last) if self.shown and self.last < self.total else None
