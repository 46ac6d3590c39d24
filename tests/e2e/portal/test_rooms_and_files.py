"""An administrator looks at rooms and files, and deletes a file and a room, in a real browser and without barriers."""

from collections.abc import Callable
from typing import Any

import pytest

from synapse_bum.testing.browser import RealBrowser
from synapse_bum.testing.portal_server import PORTAL_URL
from synapse_bum.testing.scanned_homeserver import wait_until

pytestmark = [pytest.mark.requires("browser", "nginx"), pytest.mark.any_synapse]

Look = Callable[[RealBrowser, str], None]
LONG = "Arbeitsgruppe Donaudampfschifffahrtsgesellschaftskapitänsfragen, vertraulich"


def test_a_room_and_its_deletion(  # noqa: PLR0915 - one way through all pages
    portal_server: Any,  # noqa: ANN401 - of conftest.py
    logged_in: RealBrowser,
    look: Look,
) -> None:
    alice = portal_server.synapse.register("carla")
    encryption = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    alice.create_room(name=LONG, topic="Wer wann fährt", initial_state=[encryption])
    room_id = alice.create_room(name="Lagezentrum", preset="public_chat").json["room_id"]
    mxc = alice.upload(b"hello", "text/plain", "Lage.txt").json["content_uri"]
    alice.send(room_id, "m.room.message", {"msgtype": "m.file", "body": "Lage.txt", "url": mxc}, "1")
    browser = logged_in
    # Synapse counts rooms in the background.
    for _ in range(50):
        browser.open(f"{PORTAL_URL}rooms?order=members")
        if "Lagezentrum" in browser.text() and LONG in browser.text():
            break
    look(browser, "rooms")
    browser.click("Die größten Räume in der Datenbank", role="link")
    assert "Dieser Server benutzt SQLite." in browser.text()
    look(browser, "rooms-sizes")

    browser.open(f"{PORTAL_URL}rooms")
    browser.click(LONG, role="link")
    look(browser, "room-encrypted")
    browser.click("Dateien des Raums", role="link")
    assert "kann der Server nicht sehen" in browser.text()
    look(browser, "room-files-encrypted")

    browser.open(f"{PORTAL_URL}rooms")
    browser.fill("Name, Adresse oder Kennung", "lage")
    browser.click("Suchen")
    browser.click("Lagezentrum", role="link")
    assert "1 Mitglied, 1 von diesem Server" in browser.text()
    browser.click("Dateien des Raums", role="link")
    look(browser, "room-files")
    browser.click(mxc, role="link")
    assert "Lage.txt" in browser.text()
    look(browser, "file")
    browser.click("@carla:messenger.example", role="link")
    look(browser, "files-of-user")
    browser.click("Lage.txt", role="link")
    browser.click("Datei löschen …", role="link")
    look(browser, "file-delete")
    browser.click("Datei löschen")
    assert f"Die Datei {mxc} ist gelöscht." in browser.text()
    assert alice.download(mxc).status == 404
    # Its bytes are removed in the background.
    wait_until(lambda: browser.run("page.reload()") is not None or "Keine Einträge gefunden." in browser.text())
    browser.click("Zur Auswahl der Nutzer", role="link")
    look(browser, "files")

    browser.open(f"{PORTAL_URL}rooms/{room_id}")
    look(browser, "room")
    browser.click("Raum löschen …", role="link")
    look(browser, "room-delete")
    browser.click("Raum löschen")
    assert "Bitte füllen Sie dieses Feld aus." in browser.text()
    look(browser, "room-delete-wrong")
    browser.fill("Begründung", "Beschluss 7")
    browser.fill("Mitteilung an die Mitglieder (freiwillig)", "Bitte nutzen Sie den neuen Raum.")
    browser.click("Raum löschen")
    assert "Die Löschung hat begonnen." in browser.text()
    browser.run("page.get_by_text('Die Löschung ist abgeschlossen.').wait_for()")
    look(browser, "room-deletion")
    assert room_id not in alice.get("/_matrix/client/v3/joined_rooms").json["joined_rooms"]

    browser.run("page.set_viewport_size({'width': 360, 'height': 740})")
    for path in ("rooms", "files", "users/%40carla%3Amessenger.example/files"):
        browser.open(f"{PORTAL_URL}{path}")
        assert browser.run("page.evaluate('document.documentElement.scrollWidth')") <= 360
        look(browser, f"phone-{path.partition('/')[0]}")
