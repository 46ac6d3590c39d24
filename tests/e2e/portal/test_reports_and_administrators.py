"""Statistics, configuration, administrators and the audit, in a real browser and without barriers."""

import datetime as dt
from collections.abc import Callable
from typing import Protocol

import pytest

from synapse_bum.testing.browser import RealBrowser
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.portal_samples import write_history
from synapse_bum.testing.portal_server import PORTAL_URL
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.synapse import RealSynapse

pytestmark = [pytest.mark.requires("browser", "nginx"), pytest.mark.any_synapse]

Look = Callable[[RealBrowser, str], None]


class Server(Protocol):
    """What of the fixture `portal_server` is used here."""

    synapse: RealSynapse
    boss: MatrixClient


@pytest.fixture
def database(portal_server: Server) -> ServerDatabase:
    """The homeserver's."""
    return ServerDatabase(portal_server.synapse)


def test_reports(
    logged_in: RealBrowser,
    look: Look,
    database: ServerDatabase,
    portal_server: Server,
) -> None:
    write_history(database, dt.datetime.now(dt.timezone.utc).date())
    for span in ("30", "730"):
        logged_in.open(f"{PORTAL_URL}statistics?span={span}")
        assert "Nachrichten im Verlauf" in logged_in.run("page.inner_html('main')")
        look(logged_in, f"statistics-{span}")
    logged_in.open(f"{PORTAL_URL}configuration")
    assert "Größte Datei" in logged_in.text()
    look(logged_in, "configuration")
    boss = portal_server.boss
    hold = f"/_synapse/client/bum/v1/retention/holds/{boss.user_id}"
    body = {"reason": "Verfahren 12/26", "until_ts": 1_900_000_000_000}
    assert boss.request("PUT", hold, json_body=body).status == 200
    logged_in.open(f"{PORTAL_URL}audit")
    assert "Löschsperre gesetzt" in logged_in.text()
    logged_in.run("page.locator('summary').first.click()")
    look(logged_in, "audit")


def test_an_administrator_is_appointed_and_removed_by_keyboard(
    logged_in: RealBrowser,
    look: Look,
    portal_server: Server,
) -> None:
    portal_server.synapse.register("deputy")
    logged_in.open(f"{PORTAL_URL}administrators")
    look(logged_in, "administrators")
    logged_in.click("Administrator ernennen", "link")
    logged_in.run("page.get_by_label('Name oder Anzeigename').focus()")
    logged_in.run("page.keyboard.type('deputy')")
    logged_in.enter()
    look(logged_in, "administrators-found")
    logged_in.run("page.get_by_role('link', name='ernennen').last.focus()")
    logged_in.enter()
    look(logged_in, "administrators-appoint")
    logged_in.run("page.get_by_role('button', name='Zum Administrator ernennen').focus()")
    logged_in.enter()
    assert "@deputy:messenger.example ist jetzt Administrator." in logged_in.text()
    look(logged_in, "administrators-two")
    logged_in.click("@deputy:messenger.example entfernen", "link")
    look(logged_in, "administrators-remove")
    logged_in.click("Administratorrecht entziehen")
    assert "@deputy:messenger.example ist kein Administrator mehr." in logged_in.text()


def test_on_a_phone_nothing_sticks_out(logged_in: RealBrowser, look: Look, database: ServerDatabase) -> None:
    write_history(database, dt.datetime.now(dt.timezone.utc).date())
    logged_in.run("page.set_viewport_size({'width': 360, 'height': 740})")
    for path in ("statistics", "configuration", "administrators", "audit"):
        logged_in.open(f"{PORTAL_URL}{path}")
        assert logged_in.run("page.evaluate('document.documentElement.scrollWidth')") <= 360, path
        look(logged_in, f"phone-{path}")
