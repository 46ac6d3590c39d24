"""An administrator makes, changes, locks and deletes accounts, one and many, in a real browser and without barriers."""

from collections.abc import Callable

import pytest

from synapse_bum.testing.browser import RealBrowser

pytestmark = [pytest.mark.requires("browser", "nginx"), pytest.mark.any_synapse]

Look = Callable[[RealBrowser, str], None]
USERS = "https://admin.example/_synapse/client/bum/portal/users"
ERIKA = "@erika.mustermann:messenger.example"


def test_an_account_from_its_first_to_its_last_day(logged_in: RealBrowser, look: Look) -> None:
    browser = logged_in
    browser.open(f"{USERS}/new")
    look(browser, "user-new")
    browser.fill("Benutzername", "Erika")
    browser.click("Konto anlegen")
    assert "Erlaubt sind nur Kleinbuchstaben" in browser.text()
    look(browser, "user-new-wrong")
    browser.fill("Benutzername", "erika.mustermann")
    browser.fill("Anzeigename (freiwillig)", "Erika Mustermann")
    browser.fill("E-Mail-Adresse (freiwillig)", "erika@behoerde.example")
    browser.click("Konto anlegen")
    password = browser.run("page.inner_text('.secret')")
    assert len(password) == 23
    look(browser, "user-password")
    browser.run("page.reload()")
    assert password not in browser.text()

    browser.open(USERS)
    browser.click(ERIKA, role="link")
    assert "erika@behoerde.example" in browser.text()
    look(browser, "user-detail")
    browser.click("Namen und E-Mail ändern", role="link")
    look(browser, "user-edit")
    browser.fill("Anzeigename (freiwillig)", "Erika M.")
    browser.click("Änderungen speichern")
    assert "Die Änderungen sind gespeichert." in browser.text()
    browser.click("Neues Passwort setzen", role="link")
    look(browser, "user-set-password")
    browser.click("Passwort setzen")
    assert browser.run("page.inner_text('.secret')") != password
    browser.click("Zum Konto", role="link")
    browser.click("Konto sperren", role="link")
    look(browser, "user-lock")
    browser.click("Konto sperren")
    assert f"{ERIKA} ist gesperrt." in browser.text()
    browser.click("Konto löschen …", role="link")
    look(browser, "user-delete")
    browser.fill("Zur Bestätigung eintippen", ERIKA)
    browser.click("Endgültig löschen")
    assert f"Das Konto {ERIKA} ist gelöscht." in browser.text()
    browser.open(f"{USERS}/{ERIKA}")
    assert "nicht wiederhergestellt" in browser.text()
    look(browser, "user-deleted")
    browser.open(f"{USERS}/@boss:messenger.example/delete")
    look(browser, "user-refusal")


def test_many_accounts_at_once(logged_in: RealBrowser, look: Look) -> None:
    browser = logged_in
    browser.open(f"{USERS}/import")
    look(browser, "import")
    rows = "benutzername\tanzeigename\te-mail\tadministrator\n" + "".join(
        f"nutzer{number}\tNutzer {number} Größe\tnutzer{number}@behoerde.example\tnein\n" for number in range(5)
    )
    browser.fill("Liste der Konten", rows + "Falsch\t\t\t\n")
    browser.click("Vorschau anzeigen")
    assert "5 Konten können angelegt werden." in browser.text()
    look(browser, "import-preview")
    browser.click("5 Konten anlegen")
    assert "5 Konten wurden angelegt." in browser.text()
    look(browser, "import-result")
    browser.run(
        "setattr(page, 'files', []) or page.on('download', lambda file: page.files.append(file.suggested_filename))"
    )
    for count in (1, 2):
        browser.download("Liste mit Passwörtern herunterladen")
        browser.run("page.wait_for_timeout(1000)")
        assert browser.run("page.files") == ["nutzer-passwoerter.csv"] * count
    browser.open(f"{USERS}/export")
    look(browser, "export")


def test_accounts_on_a_phone(logged_in: RealBrowser, look: Look) -> None:
    logged_in.run("page.set_viewport_size({'width': 360, 'height': 740})")
    for path in ("@boss:messenger.example", "new", "import", "@boss:messenger.example/edit"):
        logged_in.open(f"{USERS}/{path}")
        assert logged_in.run("page.evaluate('document.documentElement.scrollWidth')") <= 360
        look(logged_in, f"phone-user-{path.rpartition('/')[2].partition(':')[0]}")
