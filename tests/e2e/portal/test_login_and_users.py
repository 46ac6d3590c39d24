"""An administrator logs in, looks at the users, and logs out, in a real browser and without barriers."""

from collections.abc import Callable

import pytest

from synapse_bum.testing.browser import RealBrowser

pytestmark = pytest.mark.requires("browser", "nginx")

Look = Callable[[RealBrowser, str], None]


def test_the_way_in_the_users_and_the_way_out(browser: RealBrowser, look: Look) -> None:
    look(browser, "login")
    browser.fill("Benutzername", "boss")
    browser.fill("Passwort", "wrong")
    browser.click("Anmelden")
    assert "Die Anmeldung ist nicht gelungen." in browser.text()
    look(browser, "login-wrong")
    browser.fill("Passwort", "correct horse battery staple")
    browser.click("Anmelden")
    assert "Hier verwalten Sie den Messenger messenger.example." in browser.text()
    look(browser, "start")
    browser.run("page.get_by_role('main').get_by_role('link', name='Nutzer', exact=True).click()")
    assert "@boss:messenger.example" in browser.text()
    look(browser, "users")
    browser.fill("Name oder Anzeigename", "nobody")
    browser.click("Suchen")
    assert "Keine Einträge gefunden." in browser.text()
    browser.click("Abmelden")
    assert "Sie sind abgemeldet." in browser.text()
    browser.run("page.go_back()")
    assert "@boss:messenger.example" not in browser.run("page.inner_text('main')")


def test_nothing_is_blocked_or_asked_of_anybody_else(logged_in: RealBrowser) -> None:
    logged_in.run("setattr(page, 'seen', []) or page.on('console', lambda message: page.seen.append(message.text))")
    logged_in.run("setattr(page, 'asked', []) or page.on('request', lambda request: page.asked.append(request.url))")
    logged_in.run("page.reload()")
    assert logged_in.run("page.seen") == []
    assert {url.partition("/_synapse")[0] for url in logged_in.run("page.asked")} == {"https://admin.example"}


def test_on_a_phone_nothing_sticks_out(logged_in: RealBrowser, look: Look) -> None:
    logged_in.run("page.set_viewport_size({'width': 360, 'height': 740})")
    for path in ("", "users"):
        logged_in.open(f"https://admin.example/_synapse/client/bum/portal/{path}")
        width = logged_in.run("page.evaluate('document.documentElement.scrollWidth')")
        assert width <= 360
        look(logged_in, f"phone-{path or 'start'}")
