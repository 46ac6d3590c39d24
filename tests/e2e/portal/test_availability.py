"""An administrator enters and excuses outages, reads the report and announces maintenance, in a real browser."""

import datetime as dt
from collections.abc import Callable

import pytest

from synapse_bum.testing.browser import BrowserError, RealBrowser
from synapse_bum.testing.portal_server import PORTAL_URL

pytestmark = [pytest.mark.requires("browser", "nginx"), pytest.mark.any_synapse]

Look = Callable[[RealBrowser, str], None]
MONTH = (dt.datetime.now(dt.timezone.utc).date().replace(day=1) - dt.timedelta(days=1)).isoformat()[:7]
"""The last one that is over: the report shows it by itself."""


def test_an_outage_counts_until_it_is_excused(logged_in: RealBrowser, look: Look) -> None:
    browser = logged_in
    browser.open(f"{PORTAL_URL}availability")
    assert "In diesem Monat ist kein Ausfall bekannt." in browser.text()
    browser.follow("Ausfälle")
    browser.follow("Ausfall eintragen")
    browser.fill("Tag des Beginns", f"{MONTH}-10")
    browser.fill("Uhrzeit des Beginns", "14 Uhr")
    browser.fill("Tag des Endes (freiwillig)", f"{MONTH}-10")
    browser.fill("Uhrzeit des Endes (freiwillig)", "16:30")
    browser.fill("Ticketnummer (freiwillig)", "INC-4711")
    browser.fill("Begründung", "Netzteil ausgefallen")
    browser.click("Ausfall eintragen")
    assert "Bitte geben Sie eine Uhrzeit ein" in browser.text()
    look(browser, "outage-new-complaint")
    browser.fill("Uhrzeit des Beginns", "14:00")
    browser.click("Ausfall eintragen")
    assert "Der Eintrag ist gespeichert." in browser.text()
    outage = browser.run("page.url")

    browser.open(f"{PORTAL_URL}availability")
    assert "nicht eingehalten: 150 Ausfallminuten" in browser.text()
    look(browser, "availability-missed")
    for name in ("Als CSV-Datei herunterladen", "Als Text herunterladen"):
        address = browser.run("page.get_by_role('link', name=link).get_attribute('href')", link=name)
        with pytest.raises(BrowserError, match="Download is starting"):
            browser.open(f"https://admin.example{address}")

    browser.open(f"{outage}/edit")
    browser.run("page.get_by_label('Entschuldigung', exact=True).select_option('third_party')")
    browser.click("Änderung speichern")
    assert "Dieser Ausfall ist entschuldigt." in browser.text()
    browser.open(f"{PORTAL_URL}availability")
    assert "eingehalten: 0 Ausfallminuten" in browser.text()

    browser.open(f"{outage}/remove")
    browser.fill("Begründung", "Versehentlich eingetragen")
    browser.click("Ausfall entfernen")
    assert "Der Eintrag ist entfernt." in browser.text()
    browser.open(f"{PORTAL_URL}availability")
    assert "In diesem Monat ist kein Ausfall bekannt." in browser.text()


def test_maintenance_is_announced_moved_and_taken_back(logged_in: RealBrowser, look: Look) -> None:
    browser = logged_in
    day = (dt.datetime.now(dt.timezone.utc).date() + dt.timedelta(days=30)).isoformat()
    browser.open(f"{PORTAL_URL}maintenance")
    browser.follow("Wartung ankündigen")
    browser.fill("Tag des Beginns", day)
    browser.fill("Uhrzeit des Beginns", "22:00")
    browser.fill("Tag des Endes", day)
    browser.fill("Uhrzeit des Endes", "21:00")
    browser.run("page.locator('textarea').fill('Der Messenger wird aktualisiert.')")
    browser.click("Wartung ankündigen")
    assert "Das Ende muss nach dem Beginn liegen." in browser.text()
    look(browser, "maintenance-new-complaint")
    browser.fill("Uhrzeit des Endes", "23:30")
    browser.click("Wartung ankündigen")
    assert "Die Wartung ist angekündigt." in browser.text()
    browser.run("page.get_by_role('link', name='Ändern: Wartung').first.click()")
    browser.fill("Uhrzeit des Endes", "23:45")
    browser.click("Änderung speichern")
    assert "Die Ankündigung ist geändert." in browser.text()
    assert "23:45" in browser.text()
    browser.run("page.get_by_role('link', name='Zurücknehmen: Wartung').first.click()")
    browser.fill("Begründung", "Verschoben")
    browser.click("Ankündigung zurücknehmen")
    assert "Die Ankündigung ist zurückgenommen." in browser.text()
    assert "23:45" not in browser.run("page.inner_text('main')")
