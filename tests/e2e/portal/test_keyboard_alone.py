"""From the login to the logout without a mouse: an account is made, found, changed and deleted.

Nothing but keys goes to the browser. Every step of the Tab key has to show where it led.
"""

import pytest

from synapse_bum.testing.browser import RealBrowser
from synapse_bum.testing.portal_server import PASSWORD

pytestmark = [pytest.mark.requires("browser", "nginx"), pytest.mark.any_synapse]

MARTA = "@marta.klein:messenger.example"
MOST_STEPS = 80

# What has the focus: its name for people, and whether it can be seen that it has it.
FOCUSED = """
(() => {
    const focused = document.activeElement;
    const style = getComputedStyle(focused);
    const label = focused.labels && focused.labels.length ? focused.labels[0].textContent : focused.textContent;
    const name = focused.getAttribute('aria-label') || label;
    const box = focused.getBoundingClientRect();
    const shown = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    const inside = box.bottom > 0 && box.top < innerHeight && box.width > 0;
    return [focused.tagName, name.trim().replace(/\\s+/g, ' '), shown && inside];
})()
"""


class Keyboard:
    """Keys, and what they reach."""

    def __init__(self, window: RealBrowser) -> None:
        self._window = window

    def press(self, key: str) -> None:
        self._window.run("page.keyboard.press(key)", key=key)

    def type(self, text: str) -> None:
        self._window.run("page.keyboard.type(text)", text=text)

    def reach(self, name: str, tag: str | None = None) -> None:
        """Presses Tab until something with this name has the focus.

        Args:
            name: what it is called.
            tag: the kind of element, where several have the name.
        """
        for _ in range(MOST_STEPS):
            self.press("Tab")
            kind, found, visible = self._window.run("page.evaluate(script)", script=FOCUSED)
            assert visible or kind == "BODY", f"the focus can't be seen on {found!r}"
            if found == name and tag in {None, kind}:
                return
        raise AssertionError(f"{name!r} is not reached by the Tab key")

    def go(self, name: str, tag: str | None = None) -> None:
        """Reaches a link or a button and presses Enter on it; returns when the next page is there."""
        self.reach(name, tag)
        self.enter()

    def enter(self) -> None:
        """Presses Enter and waits for the page that this leads to."""
        self._window.enter()


def test_an_account_from_the_login_to_the_logout(browser: RealBrowser) -> None:
    keys = Keyboard(browser)
    keys.reach("Benutzername")
    keys.type("boss")
    keys.reach("Passwort")
    keys.type(PASSWORD)
    keys.enter()
    assert "Angemeldet als @boss:messenger.example" in browser.text()

    keys.go("Konto anlegen")
    keys.reach("Zum Inhalt springen")
    keys.press("Enter")
    keys.reach("Benutzername")
    keys.type("marta.klein")
    keys.reach("Anzeigename (freiwillig)")
    keys.type("Marta Klein")
    keys.go("Konto anlegen", "BUTTON")
    assert len(browser.run("page.inner_text('.secret')")) == 23

    keys.go("Nutzer")
    keys.reach("Name oder Anzeigename")
    keys.type("marta")
    keys.enter()
    keys.go(MARTA)
    keys.go("Namen und E-Mail ändern")
    keys.reach("Anzeigename (freiwillig)")
    keys.press("Control+a")
    keys.type("Marta Groß")
    keys.enter()
    assert "Die Änderungen sind gespeichert." in browser.text()
    assert "Marta Groß" in browser.text()

    keys.go("Konto löschen …")
    keys.reach("Zur Bestätigung eintippen")
    keys.type("@marta.klein")
    keys.enter()
    assert "Fehler" in browser.run("page.title()")
    keys.reach("Zur Bestätigung eintippen", "INPUT")
    keys.press("Control+a")
    keys.type(MARTA)
    keys.go("Endgültig löschen")
    assert f"Das Konto {MARTA} ist gelöscht." in browser.text()

    keys.go("Abmelden")
    assert "Sie sind abgemeldet." in browser.text()
