"""What a page consists of, to find what a text has broken out of its place with."""

from collections import Counter
from html.parser import HTMLParser
from typing import Final

import attr

_ADDRESSES: Final = frozenset({"action", "formaction", "href", "src"})


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Shape:
    """The elements of a page.

    Attributes:
        parts: how often each element stands there, and each attribute of it, by name.
        addresses: where links, forms and pictures lead.
    """

    parts: Counter[tuple[str, str]]
    addresses: tuple[str, ...]

    @classmethod
    def of(cls, page: str) -> "Shape":
        """Takes a page apart."""
        reader = _Reader()
        reader.feed(page)
        reader.close()
        return cls(reader.parts, tuple(reader.addresses))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: Counter[tuple[str, str]] = Counter()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts[tag, ""] += 1
        for name, value in attrs:
            self.parts[tag, name] += 1
            if name in _ADDRESSES:
                self.addresses.append(value or "")

    def handle_comment(self, data: str) -> None:
        del data
        self.parts["comment", ""] += 1
