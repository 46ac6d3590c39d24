"""An administrator finds help, reports a fault and sees it dealt with, in a real browser and without barriers."""

from collections.abc import Callable

import pytest

from synapse_bum.testing.browser import RealBrowser
from synapse_bum.testing.portal_server import PORTAL_URL

pytestmark = [pytest.mark.requires("browser", "nginx"), pytest.mark.any_synapse]

Look = Callable[[RealBrowser, str], None]


def test_a_fault_is_reported_confirmed_and_answered(logged_in: RealBrowser, look: Look) -> None:
    browser = logged_in
    browser.open(PORTAL_URL + "support")
    assert "V-4711" in browser.text()
    look(browser, "support")
    browser.click("Störung melden", "link")
    look(browser, "ticket-new")
    browser.click("Störung melden")
    assert "Bitte prüfen Sie 3 Angaben" in browser.text()
    look(browser, "ticket-new-complaints")
    browser.run("page.get_by_role('radio').nth(1).check()")
    browser.run(
        "page.locator('textarea').fill('Seit 9 Uhr kommen keine Dateien an.\\n' + 'Betroffen sind alle. ' * 20)"
    )
    browser.fill("Wer kann gefragt werden?", "Erika Muster, 030 123456")
    browser.click("Störung melden")
    assert "Ihre Meldung ist eingegangen." in browser.text()
    look(browser, "ticket-reported")
    address = browser.run("page.url")
    browser.follow("Meldung bestätigen")
    look(browser, "ticket-confirm")
    browser.click("Bestätigen, Reaktionszeit beginnt")
    assert "Reaktion bis" in browser.text()
    look(browser, "ticket-confirmed")
    browser.follow("Meldung beantworten")
    browser.run("page.locator('textarea').fill('Wir sind dran.')")
    browser.click("Antwort eintragen")
    assert "rechtzeitig beantwortet" in browser.text()
    look(browser, "ticket-answered")
    browser.open(PORTAL_URL + "tickets")
    look(browser, "tickets")
    browser.narrow(320, PORTAL_URL, "support", "tickets", "tickets/new", address.removeprefix(PORTAL_URL))
    look(browser, "phone-ticket")


def test_the_way_to_report_is_open_to_the_keyboard_alone(logged_in: RealBrowser) -> None:
    browser = logged_in
    browser.open(PORTAL_URL + "tickets/new")
    browser.run("page.locator('main input[type=radio]').first.focus()")
    for key in ("ArrowDown", "Tab"):
        browser.run("page.keyboard.press(key)", key=key)
    browser.run("page.keyboard.type('Anmeldung geht nicht.')")
    browser.run("page.keyboard.press('Tab')")
    browser.run("page.keyboard.type('Erika Muster')")
    browser.enter()
    assert "Ihre Meldung ist eingegangen." in browser.text()
    assert "Kategorie 2" in browser.text()


def test_the_accessibility_statement_needs_no_login(browser: RealBrowser, look: Look) -> None:
    browser.click("Erklärung zur Barrierefreiheit", "link")
    assert "BITV 2.0" in browser.text()
    look(browser, "accessibility")
    browser.narrow(320, PORTAL_URL, "accessibility")
