"""An administrator looks after storage, invoices, lifetimes and holds, in a real browser and without barriers."""

import datetime as dt
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest

from synapse_bum.testing.browser import RealBrowser
from synapse_bum.testing.portal_server import PORTAL_URL
from synapse_bum.testing.retention_data import DAY_MS, backdate_file
from synapse_bum.testing.scanned_homeserver import wait_until
from synapse_bum.testing.server_database import ServerDatabase

pytestmark = [pytest.mark.requires("browser", "nginx"), pytest.mark.any_synapse]

Look = Callable[[RealBrowser, str], None]
API = "/_synapse/client/bum/v1"


def test_what_is_overdue_is_counted_looked_at_and_deleted(
    logged_in: RealBrowser,
    portal_server: Any,  # noqa: ANN401 - of conftest
    look: Look,
) -> None:
    boss, browser = portal_server.boss, logged_in
    # The first run by schedule shall not take the file away that is written now.
    wait_until(lambda: boss.get(f"{API}/retention/status").json["local_media"]["last_success_ts"], seconds=90)
    answer = boss.upload(b"x" * 20_000, "text/plain")
    assert answer.status == HTTPStatus.OK
    mxc = answer.json["content_uri"]
    with ServerDatabase(portal_server.synapse) as database:
        backdate_file(database, mxc, int(time.time() * 1000) - 100 * DAY_MS)
    browser.open(PORTAL_URL + "retention")
    assert "Ein Eintrag ist überfällig." in browser.text()
    look(browser, "retention")
    browser.follow("Probelauf beginnen")
    for name in ("Nachrichten", "Hier hochgeladene Dateien", "Dateien anderer Server"):
        browser.run("page.get_by_label(label, exact=True).uncheck()", label=name)
    browser.click("Probelauf beginnen")
    look(browser, "retention-dry-run-complaint")
    browser.run("page.get_by_label('Hier hochgeladene Dateien', exact=True).check()")
    browser.click("Probelauf beginnen")
    look(browser, "retention-dry-run-waits")
    browser.wait_for("Er hat nichts gelöscht.")
    assert mxc in browser.text()
    look(browser, "retention-dry-run")
    address = browser.run("page.url")
    browser.follow("Jetzt löschen …")
    look(browser, "retention-carry-out")
    browser.click("Endgültig löschen")
    browser.wait_for("Der Löschlauf ist fertig.")
    look(browser, "retention-run")
    browser.open(PORTAL_URL + "retention/runs")
    look(browser, "retention-runs")
    browser.open(PORTAL_URL + "retention/deletions")
    assert mxc in browser.text()
    look(browser, "retention-deletions")
    browser.narrow(
        360,
        PORTAL_URL,
        "retention",
        "retention/runs",
        "retention/deletions",
        "retention/dry-run",
        address.removeprefix(PORTAL_URL),
    )
    browser.open(PORTAL_URL + "retention")
    look(browser, "phone-retention")


def test_a_hold_is_set_and_lifted(logged_in: RealBrowser, look: Look) -> None:
    browser = logged_in
    browser.open(PORTAL_URL + "holds")
    look(browser, "holds-none")
    browser.follow("Löschsperre setzen")
    browser.click("Löschsperre setzen")
    look(browser, "hold-new-complaint")
    browser.fill("Nutzer oder Raum", "@boss:messenger.example")
    me = browser.run("page.inner_text('.me strong')")
    browser.fill("Nutzer oder Raum", me)
    browser.fill("Letzter Tag", (dt.datetime.now(tz=dt.timezone.utc).date() + dt.timedelta(days=400)).isoformat())
    browser.fill("Begründung", "Verfahren 12/26")
    browser.click("Löschsperre setzen")
    assert "ist gesetzt" in browser.text()
    look(browser, "holds")
    browser.click(f"Löschsperre für {me} ändern", role="link")
    look(browser, "hold-edit")
    browser.fill("Begründung", "Verfahren 12/26, verlängert")
    browser.click("Änderungen speichern")
    assert f"Die Löschsperre für {me} ist geändert." in browser.text()
    browser.click(f"Löschsperre für {me} aufheben", role="link")
    look(browser, "hold-lift")
    browser.click("Löschsperre aufheben")
    assert "ist aufgehoben" in browser.text()
    browser.narrow(360, PORTAL_URL, "holds", "holds/new")


def test_the_pool_a_recount_a_look_and_an_invoice(logged_in: RealBrowser, portal_server: Any, look: Look) -> None:  # noqa: ANN401
    browser = logged_in
    wait_until(lambda: portal_server.boss.get(f"{API}/storage/usage").json["as_of_ts"])
    browser.open(PORTAL_URL + "storage")
    assert "Der Pool reicht aus." in browser.text()
    look(browser, "storage")
    browser.follow("Speicher neu zählen")
    look(browser, "storage-recount-new")
    browser.click("Neu zählen")
    browser.wait_for("Es ist gezählt.")
    look(browser, "storage-recount")
    browser.open(PORTAL_URL + "orphans")
    look(browser, "orphans-none")
    browser.follow("Neue Suche beginnen")
    browser.click("Suche beginnen")
    browser.wait_for("Die Suche ist fertig")
    look(browser, "orphans-run")
    browser.open(PORTAL_URL + "orphans")
    look(browser, "orphans")
    browser.open(PORTAL_URL + "storage/users")
    look(browser, "storage-users-switched-off")
    browser.open(PORTAL_URL + "invoice")
    assert "Vorläufig:" in browser.text()
    look(browser, "invoice")
    browser.follow("XRechnung …")
    browser.click("XRechnung herunterladen")
    look(browser, "xrechnung-complaint")
    browser.fill("Rechnungsnummer", "R-2026-7")
    browser.click("XRechnung herunterladen")
    assert "invoice.buyer.leitweg_id" in browser.text()
    look(browser, "xrechnung")
    browser.narrow(360, PORTAL_URL, "storage", "orphans", "invoice")
    look(browser, "phone-invoice")
