"""The portal as an administrator meets it: Synapse behind a proxy with TLS, and a real browser."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from synapse_bum.testing.browser import RealBrowser
from synapse_bum.testing.portal_server import HOST, PASSWORD, PORTAL_URL, ServedPortal

PICTURES = os.environ.get("BUM_SCREENSHOTS")
"""A folder for pictures of the pages; none are taken without it."""


@pytest.fixture(scope="module")
def portal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPortal]:
    """A homeserver with the portal and all other modules that need no further server but a scanner."""
    with ServedPortal(tmp_path_factory.mktemp("tls")) as server:
        yield server


@pytest.fixture
def look() -> Callable[[RealBrowser, str], None]:
    """Asserts that the page has no barriers in either colour scheme, and takes pictures of it under a name."""

    def at(window: RealBrowser, name: str) -> None:
        if PICTURES:
            for scheme in ("light", "dark"):
                window.scheme(scheme)
                window.screenshot(Path(PICTURES, f"{name}-{scheme}.png"))
        assert window.barriers() == [], name

    return at


@pytest.fixture(scope="module")
def only_browser(browser_python: str, portal_server: ServedPortal) -> Iterator[RealBrowser]:
    """One for all tests of a file."""
    with RealBrowser(browser_python, {HOST: portal_server.port}) as window:
        yield window


@pytest.fixture
def browser(only_browser: RealBrowser) -> RealBrowser:
    """A window without cookies, at the login page."""
    only_browser.forget()
    only_browser.open(PORTAL_URL)
    return only_browser


@pytest.fixture
def logged_in(browser: RealBrowser) -> RealBrowser:
    """A browser at the start page, logged in as the administrator."""
    browser.fill("Benutzername", "boss")
    browser.fill("Passwort", PASSWORD)
    browser.click("Anmelden")
    return browser
