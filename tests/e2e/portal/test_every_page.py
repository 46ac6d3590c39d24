"""Every page of the table, with real things on it, has no barriers in either colour scheme.

The pages are those of the table: a new one without a sample, or a sample without its page, fails here.

    BUM_SCREENSHOTS=docs/bilder .venv/bin/python -m pytest tests/e2e/portal/test_every_page.py

takes the pictures that the documentation shows as well.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attr
import pytest

from synapse_bum.portal.page_table import all_pages
from synapse_bum.testing import pictures
from synapse_bum.testing.browser import BrowserError, RealBrowser
from synapse_bum.testing.portal_samples import PortalSamples
from synapse_bum.testing.portal_server import HOST, PASSWORD, PORTAL_URL
from synapse_bum.testing.scanned_homeserver import wait_until

pytestmark = [pytest.mark.requires("browser", "nginx"), pytest.mark.any_synapse, pytest.mark.long]

PATHS = {page.path for page in all_pages()}
PLAIN = {path for path in PATHS if "{" not in path}
THUMBNAIL = "files/{server_name}/{media_id}/preview/picture"

FILES = {
    "audit/csv": "audit/csv",
    "availability/file": "availability/file",
    "invoice/file": "invoice/file?month={month}&format=csv",
    "retention/deletions/csv": "retention/deletions/csv",
    "statistics/csv": "statistics/csv",
    "users/export/file": "users/export/file",
    "users/import/template": "users/import/template",
}
"""Pages that are downloads, and an address of each."""

QUERIES = {"invoice/xrechnung": "?month={month}"}
"""What is added to an address to come to the page itself."""

ELSEWHERE = {f"users/import/{name}": "users/import" for name in ("passwords", "results", "run")}
"""What answers forms only, and where it leads whoever just opens it."""

STATUSES = {
    THUMBNAIL: 410,
    "nothing/here": 404,
    "users/%40nobody%3Amessenger.example": 404,
}
"""Of addresses that are not answered with 200; those of no page are looked at too."""

SHOWN = {
    "": "uebersicht",
    "users": "nutzer",
    "users/{user_id}": "konto",
    "rooms/{room_id}": "raum",
    "files/{server_name}/{media_id}": "datei",
    "findings": "funde",
    "partners": "partner",
    "storage": "speicher",
    "statistics": "statistik",
    "retention": "aufbewahrung",
    "availability": "verfuegbarkeit",
    "audit": "protokoll",
    "tickets/{ticket_id}": "meldung",
}
"""Pages of which the documentation has pictures, and their names."""

PICTURES = os.environ.get("BUM_SCREENSHOTS")

# What the rules for dark pages change besides colours by name.
NOT_ONLY_COLOURS = """
[...document.styleSheets].flatMap(sheet => [...sheet.cssRules])
    .filter(rule => (rule.conditionText || '').includes('prefers-color-scheme'))
    .flatMap(rule => [...rule.cssRules]).flatMap(rule => [...rule.style]).filter(name => !name.startsWith('--'))
"""

STATUS = "performance.getEntriesByType('navigation')[0].responseStatus"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Place:
    """A portal and a browser that is logged in there."""

    samples: PortalSamples
    window: RealBrowser

    def open(self, address: str) -> int:
        """Opens a page and returns its status."""
        self.window.open(PORTAL_URL + address)
        status: int = self.window.run("page.evaluate(script)", script=STATUS)
        return status

    def picture(self, name: str) -> None:
        """Takes a picture, where pictures are wanted."""
        if PICTURES:
            pictures.take(self.window, Path(PICTURES, f"{name}.png"))


@pytest.fixture(scope="module")
def place(browser_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with (
        PortalSamples(tmp_path_factory.mktemp("samples")) as samples,
        RealBrowser(browser_python, {HOST: samples.server.port}) as window,
    ):
        opened = Place(samples, window)
        opened.open("")
        opened.picture("anmeldung")
        window.fill("Benutzername", "petra.falk")
        window.fill("Passwort", PASSWORD)
        window.click("Anmelden")
        yield opened


def test_there_is_a_sample_of_every_page(place: Place) -> None:
    assert set(place.samples.addresses) == PATHS - PLAIN
    assert {*FILES, *QUERIES, *ELSEWHERE} <= PLAIN


def test_no_page_has_barriers(place: Place) -> None:
    month = place.samples.month
    pages = {path: path + QUERIES.get(path, "").format(month=month) for path in PLAIN - set(FILES)}
    pages |= place.samples.addresses
    del pages[THUMBNAIL]
    pages |= {address: address for address in ("accessibility", *STATUSES) if address not in PATHS}
    place.open("")
    assert place.window.run("page.evaluate(script)", script=NOT_ONLY_COLOURS) == []
    wrong: dict[str, Any] = {}
    for path, address in sorted(pages.items()):
        status = place.open(address)
        there = place.window.run("page.url").removeprefix(PORTAL_URL)
        found = place.window.barriers()
        if status != STATUSES.get(path, 200) or there != ELSEWHERE.get(path, address) or found:
            wrong[path] = (status, there, found)
        if path in SHOWN:
            place.window.scheme("light")
            place.picture(SHOWN[path])
    assert wrong == {}


def test_pages_of_the_menu_are_there_in_the_dark_and_on_a_phone(place: Place) -> None:
    place.open("statistics")
    place.window.scheme("dark")
    paper = place.window.run('page.evaluate("getComputedStyle(document.body).backgroundColor")')
    assert paper == "rgb(18, 22, 26)"
    place.picture("statistik-dunkel")
    place.window.scheme("light")
    place.window.run("page.set_viewport_size({'width': 390, 'height': 844})")
    place.open("users")
    assert place.window.run("page.evaluate('document.documentElement.scrollWidth')") <= 390
    place.picture("nutzer-telefon")
    place.window.run("page.set_viewport_size({'width': 1280, 'height': 900})")


def test_files_are_downloaded(place: Place) -> None:
    for path, address in FILES.items():
        with pytest.raises(BrowserError, match="Download is starting"):
            place.open(address.format(month=place.samples.month))
        assert place.window.run("page.url") != PORTAL_URL + path


def test_a_picture_is_looked_at_once_and_with_a_reason(place: Place) -> None:
    window = place.window
    place.open(place.samples.addresses[THUMBNAIL.removesuffix("/picture")])
    window.fill("Begründung", "Hinweis auf einen Verstoß")
    window.run("page.get_by_role('main').get_by_role('button').click()")
    width = "page.evaluate('[...document.images].map(image => image.naturalWidth)')"
    wait_until(lambda: window.run(width) == [64])
    assert place.window.barriers() == []
    source = window.run("page.evaluate('document.images[0].src')")
    assert place.open(source.removeprefix(PORTAL_URL)) == 410
    place.open("audit")
    assert "Hinweis auf einen Verstoß" in window.text()
