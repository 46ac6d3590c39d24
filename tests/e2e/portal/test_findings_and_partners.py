"""An administrator deals with a virus and with a partner, in a real browser and without barriers."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest

from synapse_bum.testing.browser import RealBrowser
from synapse_bum.testing.malware import EICAR
from synapse_bum.testing.portal_server import PORTAL_URL
from synapse_bum.testing.scanned_homeserver import wait_until

pytestmark = [pytest.mark.requires("browser", "nginx"), pytest.mark.any_synapse]

Look = Callable[[RealBrowser, str], None]


def test_a_false_alarm_a_virus_and_a_new_scan(logged_in: RealBrowser, portal_server: Any, look: Look) -> None:  # noqa: ANN401
    boss = portal_server.boss
    status = "/_synapse/client/bum/v1/antivirus/status"
    wait_until(lambda: boss.get(status).json["scanner_ok"])
    files = []
    for _ in range(2):
        answer = boss.upload(EICAR, "text/plain")
        assert answer.status == HTTPStatus.OK
        files.append(answer.json["content_uri"])
    browser = logged_in
    browser.open(PORTAL_URL + "findings")
    look(browser, "findings")
    browser.run("page.locator('summary').click()")
    assert "Verschlüsseltes ZIP-Archiv" in browser.text()
    look(browser, "findings-self-test")
    browser.follow(files[0])
    look(browser, "finding")
    browser.follow("Datei löschen")
    look(browser, "finding-delete")
    browser.click("Datei endgültig löschen")
    assert "Die Datei ist gelöscht." in browser.text()
    browser.open(PORTAL_URL + "findings")
    browser.follow(files[1])
    browser.follow("Fehlalarm freigeben")
    browser.click("Datei freigeben")
    look(browser, "finding-release-complaint")
    browser.fill("Begründung", "Fehlalarm, Vorgang 4711")
    browser.click("Datei freigeben")
    assert "Die Datei ist freigegeben." in browser.text()
    browser.open(PORTAL_URL + "rescans")
    browser.follow("Neue Prüfung beginnen")
    browser.click("Prüfung beginnen")
    look(browser, "rescan")
    browser.wait_for("Die Prüfung ist fertig.")
    browser.open(PORTAL_URL + "rescans")
    look(browser, "rescans")
    browser.open(PORTAL_URL + "held")
    look(browser, "held")
    browser.narrow(360, PORTAL_URL, "findings", f"findings/{files[0].removeprefix('mxc://')}", "rescans", "held")
    look(browser, "phone-findings")


def test_a_partner_comes_and_goes(logged_in: RealBrowser, look: Look) -> None:
    browser = logged_in
    browser.open(PORTAL_URL + "partners")
    look(browser, "partners-none")
    browser.open(PORTAL_URL + "server-check")
    browser.fill("Name des Servers", "messenger.amt-a.example")
    browser.click("Prüfen")
    assert "Der Server ist kein Partner." in browser.text()
    look(browser, "server-check")
    browser.follow("Diesen Server als Partner hinzufügen")
    browser.fill("Organisation (freiwillig)", "Amt A")
    browser.fill("Letzter Tag (freiwillig)", "2099-12-31")
    browser.click("Partner hinzufügen")
    look(browser, "partner-new-complaint")
    browser.run("page.locator('textarea').fill('Vereinbarung vom 1.10.')")
    browser.click("Partner hinzufügen")
    assert "31.12.2099" in browser.text()
    look(browser, "partner")
    browser.open(PORTAL_URL + "partners")
    look(browser, "partners")
    browser.follow("messenger.amt-a.example")
    browser.follow("Angaben ändern")
    look(browser, "partner-edit")
    browser.fill("Organisation (freiwillig)", "Amt A, Referat 3")
    browser.run("page.locator('textarea').fill('Zuständigkeit geändert')")
    browser.click("Änderungen speichern")
    assert "Die Angaben zu messenger.amt-a.example sind gespeichert." in browser.text()
    assert "Amt A, Referat 3" in browser.text()
    browser.follow("Partner entfernen")
    look(browser, "partner-remove")
    browser.fill("Begründung", "Vereinbarung gekündigt")
    browser.fill("Zur Bestätigung eintippen", "messenger.amt-a.example")
    browser.click("Partner endgültig entfernen")
    assert "messenger.amt-a.example ist kein Partner mehr." in browser.text()
    look(browser, "partners-removed")
    browser.open(PORTAL_URL + "outsiders")
    look(browser, "outsiders")
    browser.open(PORTAL_URL + "signed-list")
    look(browser, "signed-list-none")
    browser.narrow(360, PORTAL_URL, "partners", "partners/new", "server-check?name=a.example", "outsiders")
