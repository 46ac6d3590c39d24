"""An account is deleted with all that belongs to it; what is interrupted says so, and goes on."""

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import ClassVar

from synapse.logging.context import make_deferred_yieldable
from synapse.rest.client import media
from twisted.internet.defer import Deferred

from synapse_bum.homeserver.http_exchange import HttpAnswer, HttpExchange, HttpRequest
from synapse_bum.portal.accounts.account_deletion import FILES_AT_ONCE
from synapse_bum.portal.sessions.sweep import INTERVAL_MS
from synapse_bum.testing.portal_case import Browser, PortalTestCase

SCRIPT = "<script>alert('x')</script>"
ADMIN_API = "/_synapse/admin/v2/users"
DEACTIVATE = "POST /_synapse/admin/v1/deactivate/"
DELETE_FILES = "POST /_synapse/client/bum/v1/portal/files/delete"
LOGOUT = "/_matrix/client/v3/logout"
DONE = "Das Konto @alice:test ist gelöscht."
IN_PART = "wurde zum Teil ausgeführt. Das Konto ist gesperrt."
NOT_FINISHED = "ist nicht abgeschlossen."
GO_ON = "Löschung fortsetzen"


def refusal(status: int, sentence: str) -> HttpAnswer:
    return HttpAnswer(
        status, "application/json", "", json.dumps({"errcode": "M_FORBIDDEN", "error": sentence}).encode()
    )


class DeleteCase(PortalTestCase):
    servlets: ClassVar = [*PortalTestCase.servlets, media.register_servlets]
    more_modules: ClassVar = ({"module": "synapse_bum.retention.RetentionModule", "config": {}},)

    def setUp(self) -> None:
        super().setUp()
        self.browser.log_in()
        self.boss_token = self.login("boss", "pass")

    def user(self, user_id: str) -> dict[str, object]:
        channel = self.make_request("GET", f"{ADMIN_API}/{user_id}", access_token=self.boss_token)
        found: dict[str, object] = channel.json_body
        return found

    def change(self, user_id: str, **values: object) -> None:
        channel = self.make_request("PUT", f"{ADMIN_API}/{user_id}", values, access_token=self.boss_token)
        assert channel.code in (200, 201), channel.json_body

    def sent(self, method: str) -> list[str]:
        return [request.url for request in self.homeserver_api.asked if request.method == method]

    def upload(self, count: int) -> None:
        token = self.login("alice", "pass")
        for number in range(count):
            self.helper.upload_media(b"file %d" % number, tok=token)

    def files(self) -> int:
        """Files that are left: neither removed nor hidden."""
        path = f"/_synapse/admin/v1/users/{self.alice}/media?limit=1000"
        found = self.make_request("GET", path, access_token=self.boss_token).json_body["media"]
        return sum(file["quarantined_by"] != "synapse_bum:deleted" for file in found)

    def hold(self, target: str) -> None:
        path = f"/_synapse/client/bum/v1/retention/holds/{target}"
        body = {"reason": SCRIPT, "until_ts": self.now_ms() + 10 * 86_400_000}
        assert self.make_request("PUT", path, body, access_token=self.boss_token).code == HTTPStatus.OK

    def lift(self, target: str) -> None:
        path = f"/_synapse/client/bum/v1/retention/holds/{target}"
        assert self.make_request("DELETE", path, access_token=self.boss_token).code == HTTPStatus.OK

    def actions(self) -> list[tuple[str, str]]:
        page = self.make_request("GET", "/_synapse/client/bum/v1/audit", access_token=self.boss_token).json_body
        return [(row["action"], row["target"]) for row in reversed(page["audit"])]

    def delete(self, browser: Browser | None = None) -> str:
        return (browser or self.browser).submit(f"users/{self.alice}/delete", {"typed": self.alice})

    def begin(self) -> None:
        """Begins to delete an account with so many files that nobody waits for it."""
        self.upload(FILES_AT_ONCE + 5)
        token = self.browser.token(self.browser.get(f"users/{self.alice}/delete"))
        self.browser.begin_post(f"users/{self.alice}/delete", {"_form": token, "typed": self.alice})

    def before_files(self, happens: Callable[[], Awaitable[object]]) -> None:
        """Has something happen before the homeserver is asked to delete files."""
        real = self.homeserver_api.send

        async def send(exchange: HttpExchange, request: HttpRequest, seconds: float) -> HttpAnswer:
            if request.url.endswith("/portal/files/delete"):
                await happens()
            return await real(exchange, request, seconds)

        self.homeserver_api.send = send  # type: ignore[method-assign]

    def until_answered(self) -> None:
        for _ in range(3_000):
            if self.browser.channel.is_finished():
                return
            self.reactor.advance(0.01)
        raise AssertionError("no answer")

    def settle(self) -> None:
        for _ in range(300):
            self.wait(0.1)


class DeleteTestCase(DeleteCase):
    def test_everything_goes_and_the_name_is_never_given_again(self) -> None:
        self.upload(3)
        self.change(
            self.alice,
            threepids=[{"medium": "email", "address": "a@b.example"}],
            external_ids=[{"auth_provider": "oidc", "external_id": "alice"}],
        )
        page = self.browser.get(f"users/{self.alice}/delete")
        assert "3 Dateien werden gelöscht." in page
        assert "1 E-Mail-Adresse wird entfernt." in page
        assert "1 Verbindung zu einem Anmeldedienst wird entfernt." in page
        assert "bekommt sie bei der nächsten Anmeldung ein neues Konto" in page
        assert "Der Name wird nie wieder vergeben" in page
        page = self.browser.submit(f"users/{self.alice}/delete", {"typed": "@alice:tes"})
        assert "Die Eingabe stimmt nicht überein." in page
        assert self.sent("PUT") == []
        assert DONE in self.delete()
        user = self.user(self.alice)
        assert user["deactivated"]
        assert user["erased"]
        assert user["threepids"] == []
        assert user["external_ids"] == []
        assert self.files() == 0
        page = self.browser.submit("users/new", {"name": "alice"})
        assert "nie wieder vergeben" in page
        page = self.browser.get(f"users/{self.alice}")
        assert "nicht wiederhergestellt werden" in page
        assert "gesperrt</span>" not in page
        assert NOT_FINISHED not in page
        assert "neues Konto" not in self.browser.get(f"users/{self.boss}/delete")

    def test_a_double_click_deletes_once(self) -> None:
        token = self.browser.token(self.browser.get(f"users/{self.alice}/delete"))
        for _ in range(2):
            self.browser.post(f"users/{self.alice}/delete", {"_form": token, "typed": self.alice})
            assert self.browser.status == HTTPStatus.SEE_OTHER
        assert sum("deactivate" in url for url in self.sent("POST")) == 1

    def test_when_nobody_can_be_shut_out_nothing_is_deleted(self) -> None:
        self.upload(1)
        self.homeserver_api.scripted = {"PUT /_synapse/admin/v2/users/": ConnectionError("away")}
        self.delete()
        assert self.files() == 1
        assert not any("files/delete" in url for url in self.sent("POST"))

    def test_what_was_refused_before_anything_was_done_leaves_nothing_behind(self) -> None:
        self.homeserver_api.scripted = {"PUT /_synapse/admin/v2/users/": refusal(400, "No")}
        assert "Es wurde nichts geändert." in self.delete()
        assert self.actions() == [("portal.user.delete", self.alice), ("portal.refused", self.alice)]
        assert NOT_FINISHED not in self.browser.get(f"users/{self.alice}")

    def test_many_files_go_while_the_browser_shows_how_far_it_is(self) -> None:
        self.begin()
        self.until_answered()
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert self.browser.location.endswith(f"deleting?of={FILES_AT_ONCE + 5}")
        page = self.browser.follow()
        assert "ist gesperrt und von allen Geräten abgemeldet" in page
        assert self.browser.header("Refresh")
        self.settle()
        assert DONE in self.browser.get(f"users/{self.alice}/deleting")
        assert not self.browser.header("Refresh")
        assert self.files() == 0

    def test_progress_of_nothing_leads_to_the_account(self) -> None:
        for locked in (False, True):
            self.change(self.alice, locked=locked)
            self.browser.get(f"users/{self.alice}/deleting")
            assert self.browser.status == HTTPStatus.SEE_OTHER
            assert self.browser.location.endswith("/users/%40alice%3Atest")

    def test_not_the_last_administrator(self) -> None:
        answer = json.dumps({"users": [{"name": self.alice}], "total": 1}).encode()
        self.change(self.alice, admin=True)
        beginning = "GET /_synapse/admin/v2/users?admins=true"
        self.homeserver_api.scripted[beginning] = HttpAnswer(200, "application/json", "", answer)
        for step in ("lock", "delete"):
            page = self.browser.submit(f"users/{self.alice}/{step}", {"typed": self.alice})
            assert self.browser.status == HTTPStatus.CONFLICT, step
            assert "das letzte mit Administrationsrechten" in page
        assert self.sent("PUT") == []

    def test_whoever_is_on_hold_stays(self) -> None:
        room_id = self.helper.create_room_as(self.alice, tok=self.login("alice", "pass"))
        for target in (self.alice, room_id):
            self.hold(target)
            page = self.delete()
            assert self.browser.status == HTTPStatus.CONFLICT
            assert "gilt bis" in page
            assert "<script" not in page
            self.lift(target)
        assert not self.user(self.alice)["deactivated"]


class GivenUpTestCase(DeleteCase):
    """Accounts that were deactivated by somebody else, with all their data."""

    def give_up(self, *, erase: bool = False) -> None:
        path = f"/_synapse/admin/v1/deactivate/{self.alice}"
        assert self.make_request("POST", path, {"erase": erase}, access_token=self.boss_token).code == HTTPStatus.OK

    def test_it_is_not_called_deleted_and_can_be(self) -> None:
        self.upload(2)
        self.change(self.alice, external_ids=[{"auth_provider": "oidc", "external_id": "1"}], admin=True)
        self.give_up()
        assert "deaktiviert, Daten noch vorhanden</span>" in self.browser.get("users?show=all")
        page = self.browser.get(f"users/{self.alice}")
        assert "deaktiviert, Daten noch vorhanden</span>" in page
        assert "Dieses Konto ist gelöscht" not in page
        self.browser.get(f"users/{self.alice}/edit")
        assert "Dieses Konto ist deaktiviert" in self.browser.get(f"users/{self.alice}/edit")
        assert DONE in self.delete()
        assert (self.files(), self.user(self.alice)["external_ids"], self.user(self.alice)["erased"]) == (0, [], True)
        assert "gelöscht</span>" in self.browser.get(f"users/{self.alice}")
        assert "Dieses Konto ist gelöscht" in self.delete()

    def test_what_an_erased_account_has_left_can_be_deleted_too(self) -> None:
        self.upload(1)
        self.give_up(erase=True)
        assert "Daten noch vorhanden" in self.browser.get(f"users/{self.alice}")
        assert DONE in self.delete()
        assert self.files() == 0


class InterruptedTestCase(DeleteCase):
    def is_unfinished(self) -> bool:
        page = self.browser.get(f"users/{self.alice}")
        return NOT_FINISHED in page and GO_ON in page

    def test_who_is_half_deleted_is_shut_out_and_says_so(self) -> None:
        token = self.login("alice", "pass")
        self.upload(2)
        self.change(self.alice, admin=True)
        for step in (DELETE_FILES, DEACTIVATE):
            self.homeserver_api.scripted = {step: ConnectionError("away")}
            page = self.delete()
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE, step
            assert IN_PART in page
            user = self.user(self.alice)
            assert user["locked"]
            assert not user["admin"]
            assert not user["deactivated"]
            assert self.make_request("GET", "/_matrix/client/v3/account/whoami", access_token=token).code == 401
            assert self.actions()[-1] == ("portal.unfinished", self.alice)
            assert self.is_unfinished()
        assert "von @boss:test begonnen" in self.browser.get(f"users/{self.alice}/delete")
        self.homeserver_api.scripted = {}
        assert DONE in self.delete()
        assert self.user(self.alice)["deactivated"]
        assert not self.is_unfinished()

    def test_a_refusal_at_the_end_is_not_called_nothing(self) -> None:
        self.upload(1)
        for answer, sentence in (
            (refusal(403, "Deactivation of this user is forbidden"), "Deactivation of this user is forbidden"),
            (refusal(400, SCRIPT), "&lt;script&gt;"),
        ):
            self.homeserver_api.scripted = {DEACTIVATE: answer}
            page = self.delete()
            assert self.browser.status == HTTPStatus.CONFLICT
            assert "nichts geändert" not in page
            assert IN_PART in page
            assert sentence in page
            assert "<script" not in page
            assert self.actions()[-1] == ("portal.unfinished", self.alice)
        assert self.files() == 0
        assert self.is_unfinished()

    def test_unlocking_gives_it_up_and_says_what_is_gone(self) -> None:
        self.homeserver_api.scripted = {DEACTIVATE: ConnectionError("away")}
        self.delete()
        self.homeserver_api.scripted = {}
        page = self.browser.get(f"users/{self.alice}/unlock")
        assert NOT_FINISHED in page
        assert "kommt mit dem Aufheben der Sperre nicht zurück" in page
        self.browser.submit(f"users/{self.alice}/unlock")
        assert not self.is_unfinished()
        assert not self.user(self.alice)["locked"]

    def test_a_hold_that_is_set_meanwhile_stops_it(self) -> None:
        self.before_files(self.put_hold)
        self.begin()
        self.until_answered()
        self.settle()
        assert self.files() == FILES_AT_ONCE + 5
        user = self.user(self.alice)
        assert user["locked"]
        assert not user["deactivated"]
        page = self.browser.get(f"users/{self.alice}/deleting")
        assert "angehalten, weil inzwischen eine Löschsperre gilt" in page
        assert not self.browser.header("Refresh")
        assert self.actions()[-1] == ("portal.unfinished", self.alice)
        assert self.is_unfinished()

    async def put_hold(self) -> None:
        """What another administrator does in that moment."""
        store = self.hs.get_datastores().main
        hold = {"reason": "AZ 1", "until_ts": self.now_ms() + 10**10, "created_by": self.boss, "created_ts": 1}
        await store.db_pool.simple_upsert("synapse_bum_holds", {"target": self.alice}, hold)

    def test_a_process_that_dies_leaves_a_mark_and_anybody_goes_on(self) -> None:
        dies = [True]

        async def die() -> None:
            if dies.pop():
                await make_deferred_yieldable(Deferred())

        self.before_files(die)
        self.begin()
        self.until_answered()
        page = self.browser.get(f"users/{self.alice}/delete")
        assert "wird gerade gelöscht" in page
        assert "wird gerade gelöscht" in self.browser.get(f"users/{self.alice}/unlock")
        pool, row = self.hs.get_datastores().main.db_pool, {"user_id": self.alice}
        changed = pool.simple_update(
            "synapse_bum_portal_begun_deletions", row, {"busy_until_ts": self.now_ms()}, "died"
        )
        self.get_success(changed)
        dies.append(False)
        assert "zum Beispiel durch einen Neustart" in self.browser.get(f"users/{self.alice}/deleting")
        assert not self.browser.header("Refresh")
        assert self.is_unfinished()
        self.change(self.alice, locked=True)
        self.register_user("carol", "pass", admin=True)
        other = Browser(self)
        other.log_in("carol")
        self.delete(other)
        self.settle()
        assert self.user(self.alice)["deactivated"]
        assert not self.is_unfinished()


class LoginTestCase(DeleteCase):
    def setUp(self) -> None:
        super().setUp()
        self.go_on: Deferred[None] = Deferred()
        self.before_files(lambda: make_deferred_yieldable(self.go_on))

    def device_ids(self) -> set[str]:
        channel = self.make_request("GET", f"{ADMIN_API}/{self.boss}/devices", access_token=self.boss_token)
        return {device["device_id"] for device in channel.json_body["devices"]}

    def log_out(self) -> None:
        token = self.browser.token(self.browser.get("users/new"))
        self.browser.post("logout", {"_form": token})

    def test_logging_in_again_lets_it_go_on_and_ends_the_old_token_afterwards(self) -> None:
        before = self.device_ids()
        self.begin()
        self.until_answered()
        self.browser.log_in()
        assert len(self.device_ids()) == len(before) + 1
        self.go_on.callback(None)
        self.settle()
        assert self.user(self.alice)["deactivated"]
        assert self.files() == 0
        after = self.device_ids()
        assert len(after) == len(before)
        assert after != before, "the old one is logged out"

    def test_logging_out_lets_it_go_on(self) -> None:
        before = self.device_ids()
        self.begin()
        self.until_answered()
        self.log_out()
        assert self.device_ids() == before
        self.go_on.callback(None)
        self.settle()
        assert self.user(self.alice)["deactivated"]
        assert len(self.device_ids()) == len(before) - 1

    def test_the_token_of_a_process_that_died_is_ended_all_the_same(self) -> None:
        before = self.device_ids()
        self.begin()
        self.until_answered()
        self.log_out()
        assert self.device_ids() == before
        self.reactor.advance(INTERVAL_MS / 1_000)
        self.settle()
        assert len(self.device_ids()) == len(before) - 1
