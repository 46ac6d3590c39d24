"""Which page an address means. Every module in `pages/` that has `PAGES` is in the table, nothing else."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence

import attr

from synapse_bum.generated_source import forget_generated_source
from synapse_bum.portal import pages as pages_package
from synapse_bum.portal.frame import MenuEntry
from synapse_bum.portal.page import Area, Page
from synapse_bum.rest.paths import InvalidSegmentError


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Found:
    """A page and the parameters of its path."""

    page: Page
    path: Mapping[str, str]


def all_pages() -> list[Page]:
    """Returns all pages of this package."""
    found: list[Page] = []
    for module in pkgutil.iter_modules(pages_package.__path__, f"{pages_package.__name__}."):
        found += getattr(importlib.import_module(module.name), "PAGES", ())
    forget_generated_source()
    return found


class PageTable:
    """All pages."""

    def __init__(self, pages: Sequence[Page]) -> None:
        """Takes the pages.

        Raises:
            ValueError: two have the same path.
        """
        if len({page.path for page in pages}) < len(pages):
            raise ValueError("two pages have the same path")
        self._pages = sorted(pages, key=lambda page: page.template.fixed if page.template else (), reverse=True)

    @classmethod
    def of_all(cls) -> "PageTable":
        """Returns the table of all pages of this package."""
        return cls(all_pages())

    def menu(self) -> list[MenuEntry]:
        """The links of the menu: by area, then by place."""
        areas = list(Area)
        entries = [(areas.index(page.area), page.menu, page) for page in self._pages if page.menu is not None]
        return [
            MenuEntry(page.area.value, page.path, page.title) for _, _, page in sorted(entries, key=lambda e: e[:2])
        ]

    def find(self, segments: Sequence[bytes]) -> Found | None:
        """Returns the page of a path, None when there is none.

        Args:
            segments: percent-decoded, below the portal; `[b""]` for the start page.
        """
        for page in self._pages:
            if page.template is None:
                if list(segments) == [b""]:
                    return Found(page, {})
            elif page.template.fits(segments):
                try:
                    return Found(page, page.template.values(segments))
                except InvalidSegmentError:
                    return None
        return None
