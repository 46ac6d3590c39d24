"""One way through the portal in Firefox: the login, the list, a new account, and out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from synapse_bum.testing.firefox import RealFirefox
from synapse_bum.testing.portal_server import HOST, PASSWORD, PORTAL_URL, ServedPortal

pytestmark = [pytest.mark.requires("firefox", "browser", "nginx"), pytest.mark.any_synapse]


@pytest.fixture
def firefox(portal_server: ServedPortal) -> Iterator[RealFirefox]:
    with RealFirefox({HOST: portal_server.port}) as window:
        yield window


def test_in_a_new_account_and_out(firefox: RealFirefox, browser_python: str) -> None:
    axe = Path(browser_python).parent.parent / "axe.min.js"
    firefox.open(f"{PORTAL_URL}users")
    firefox.fill("Benutzername", "boss")
    firefox.fill("Passwort", PASSWORD)
    firefox.click("Anmelden")
    assert "@boss:messenger.example" in firefox.text()
    assert firefox.violations(axe) == []
    firefox.click("Konto anlegen", role="link")
    firefox.fill("Benutzername", "jonas.fuchs")
    firefox.fill("Anzeigename (freiwillig)", "Jonas Fuchs")
    firefox.click("Konto anlegen")
    assert "@jonas.fuchs:messenger.example" in firefox.text()
    assert firefox.violations(axe) == []
    firefox.open(f"{PORTAL_URL}users")
    firefox.fill("Name oder Anzeigename", "jonas")
    firefox.click("Suchen")
    assert "Jonas Fuchs" in firefox.text()
    firefox.click("Abmelden")
    assert "Sie sind abgemeldet." in firefox.text()
    firefox.open(f"{PORTAL_URL}users")
    assert "Jonas Fuchs" not in firefox.text()
