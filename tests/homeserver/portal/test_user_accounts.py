"""One account: shown, made, changed, locked, deleted."""

import json
from html import unescape
from http import HTTPStatus
from typing import ClassVar

from synapse.rest.client import media

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.testing.portal_case import PortalTestCase

SCRIPT = "<script>alert('x')</script>"
ADMIN_API = "/_synapse/admin/v2/users"
NO_SUCH_API = HttpAnswer(404, "application/json", "", b'{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}')


class AccountCase(PortalTestCase):
    servlets: ClassVar = [*PortalTestCase.servlets, media.register_servlets]

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

    def can_log_in(self, name: str, password: str) -> bool:
        body = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": name}, "password": password}
        return self.make_request("POST", "/_matrix/client/v3/login", body).code == HTTPStatus.OK

    def sent(self, method: str) -> list[str]:
        return [request.url for request in self.homeserver_api.asked if request.method == method]


class DetailTestCase(AccountCase):
    def test_what_is_known_of_a_user(self) -> None:
        token = self.login("alice", "pass")
        room_id = self.helper.create_room_as(self.alice, tok=token)
        self.helper.send_state(room_id, "m.room.name", {"name": SCRIPT}, tok=token)
        self.make_request(
            "PUT", f"/_matrix/client/v3/profile/{self.alice}/displayname", {"displayname": SCRIPT}, access_token=token
        )
        self.change(
            self.alice,
            threepids=[{"medium": "email", "address": "a<b>@c.example"}],
            external_ids=[{"auth_provider": "oidc-<b>", "external_id": SCRIPT}],
        )
        page = self.browser.get(f"users/{self.alice}")
        assert self.browser.status == HTTPStatus.OK
        assert "<script" not in page
        assert "<b>" not in page
        text = unescape(page)
        assert text.count(SCRIPT) >= 4  # title, name, room, link
        assert "a<b>@c.example" in text
        assert "Mitglied in 1 Raum" in page
        assert "1 Gerät ist angemeldet" in page
        assert "Von diesem Konto sind 0 Dateien gespeichert." in page
        assert "Letzte IP-Adresse" not in page
        assert "Zuletzt gesehen" not in page
        assert "01.01.1970" in page  # the clock of the test begins there

    def test_names_of_devices_are_text(self) -> None:
        body = {"type": "m.login.password", "user": "alice", "password": "pass"}
        self.make_request("POST", "/_matrix/client/v3/login", {**body, "initial_device_display_name": SCRIPT})
        page = self.browser.get(f"users/{self.alice}")
        assert SCRIPT in unescape(page)
        assert "<script" not in page

    def test_without_an_identity_provider_the_page_says_so(self) -> None:
        assert "nicht eingerichtet" in self.browser.get(f"users/{self.alice}")

    def test_links_come_from_the_identity_module_where_there_is_one(self) -> None:
        links = [{"idp_id": "keycloak", "subject": SCRIPT, "user_id": self.alice, "admin_by": None}]
        body = json.dumps({"links": links, "total": 1}).encode()
        path = "GET /_synapse/client/bum/v1/oidc/links"
        self.homeserver_api.scripted[path] = HttpAnswer(200, "application/json", "", body)
        page = self.browser.get(f"users/{self.alice}")
        assert "keycloak" in page
        assert "<script" not in page
        self.homeserver_api.scripted[path] = HttpAnswer(200, "application/json", "", b'{"links":[],"total":0}')
        assert "mit keinem Anmeldedienst verbunden" in self.browser.get(f"users/{self.alice}")

    def test_nobody_and_others_are_not_found(self) -> None:
        for user_id in ("@nobody:test", "@alice:elsewhere.example"):
            self.browser.get(f"users/{user_id}")
            assert self.browser.status == HTTPStatus.NOT_FOUND, user_id

    def test_an_api_that_is_away_is_no_empty_list(self) -> None:
        for beginning in (
            "GET /_synapse/admin/v2/users/%40alice%3Atest/devices",
            "GET /_synapse/admin/v1/users/%40alice%3Atest/joined_rooms",
            "GET /_synapse/client/bum/v1/portal/files/deletion/%40alice%3Atest",
        ):
            self.homeserver_api.scripted = {beginning: ConnectionError("away")}
            self.browser.get(f"users/{self.alice}")
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE, beginning

    def test_the_list_leads_to_it(self) -> None:
        assert 'href="/_synapse/client/bum/portal/users/%40alice%3Atest"' in self.browser.get("users")


class DetailWithActivityTestCase(AccountCase):
    portal: ClassVar = {"show_activity": True}

    def test_addresses_and_moments_where_they_are_switched_on(self) -> None:
        self.login("alice", "pass")
        page = self.browser.get(f"users/{self.alice}")
        assert "Letzte IP-Adresse" in page
        assert "Zuletzt gesehen" in page


class CreateTestCase(AccountCase):
    def test_the_first_password_is_shown_once_and_works(self) -> None:
        fields = {"name": "erika", "display_name": SCRIPT, "address": "Erika@behoerde.example", "admin": ""}
        token = self.browser.token(self.browser.get("users/new"))
        page = self.browser.post("users/new", {"_form": token, **fields})
        assert self.browser.status == HTTPStatus.OK
        assert "<script" not in page
        password = unescape(page.partition('<code class="secret">')[2].partition("<")[0])
        assert self.can_log_in("erika", password)
        user = self.user("@erika:test")
        assert user["displayname"] == SCRIPT
        assert not user["admin"]
        assert [found["address"] for found in user["threepids"]] == ["erika@behoerde.example"]  # type: ignore[attr-defined]
        made = len(self.sent("PUT"))
        page = self.browser.post("users/new", {"_form": token, **fields})
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert password not in self.browser.follow()
        assert len(self.sent("PUT")) == made

    def test_the_password_is_in_no_log(self) -> None:
        with self.assertLogs(level="DEBUG") as logs:
            page = self.browser.submit("users/new", {"name": "erika"})
        password = page.partition('<code class="secret">')[2].partition("<")[0]
        assert password
        assert password not in "\n".join(logs.output)

    def test_an_account_that_is_there_is_never_changed(self) -> None:
        self.change("@gone:test", password="something")
        self.make_request("POST", "/_synapse/admin/v1/deactivate/@gone:test", {}, access_token=self.boss_token)
        for name in ("alice", "gone", "boss"):
            page = self.browser.submit("users/new", {"name": name, "display_name": "X"})
            assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY, name
            assert "Diesen Benutzernamen gibt es schon." in page
        assert self.sent("PUT") == []
        assert self.can_log_in("alice", "pass")

    def test_an_address_is_not_taken_from_anybody(self) -> None:
        self.change(self.alice, threepids=[{"medium": "email", "address": "a@b.example"}])
        page = self.browser.submit("users/new", {"name": "erika", "address": "A@b.example"})
        assert "gehört schon zum Konto @alice:test" in page
        assert self.sent("PUT") == []

    def test_what_is_typed_wrong_comes_back(self) -> None:
        page = self.browser.submit("users/new", {"name": '"><script>', "address": "no"})
        assert "Erlaubt sind nur Kleinbuchstaben" in page
        assert "<script" not in page
        assert 'value="&#34;&gt;&lt;script&gt;"' in page
        assert self.sent("PUT") == []

    def test_where_accounts_are_kept_elsewhere_the_page_says_so(self) -> None:
        self.homeserver_api.scripted["GET /_synapse/admin/v1/users/%40boss%3Atest/admin"] = NO_SUCH_API
        for path in ("users/new", "users/import", f"users/{self.alice}/edit", f"users/{self.alice}/delete"):
            page = self.browser.get(path)
            assert "Matrix Authentication Service" in page, path
        page = self.browser.get(f"users/{self.alice}")
        assert "Matrix Authentication Service" in page
        assert "/edit" not in page
        self.browser.submit("users/new", {"name": "erika"})
        assert self.browser.status == HTTPStatus.CONFLICT
        assert self.sent("PUT") == []


class EditTestCase(AccountCase):
    def test_names_and_addresses(self) -> None:
        phone = {"medium": "msisdn", "address": "491701234567"}
        self.change(self.alice, threepids=[phone, {"medium": "email", "address": "old@b.example"}])
        page = self.browser.get(f"users/{self.alice}/edit")
        assert "old@b.example" in page
        page = self.browser.submit(
            f"users/{self.alice}/edit", {"display_name": SCRIPT, "addresses": "New@b.example\nsecond@b.example"}
        )
        assert "Die Änderungen sind gespeichert." in page
        assert "<script" not in page
        user = self.user(self.alice)
        assert user["displayname"] == SCRIPT
        addresses = {found["address"] for found in user["threepids"]}  # type: ignore[attr-defined]
        assert addresses == {"491701234567", "new@b.example", "second@b.example"}

    def test_nothing_to_change_asks_for_nothing(self) -> None:
        page = self.browser.submit(f"users/{self.alice}/edit", {"display_name": "alice", "addresses": ""})
        assert "Es war nichts zu ändern." in page
        assert self.sent("PUT") == []

    def test_an_address_of_somebody_else_is_refused(self) -> None:
        self.change(self.boss, threepids=[{"medium": "email", "address": "boss@b.example"}])
        page = self.browser.submit(f"users/{self.alice}/edit", {"addresses": "boss@b.example"})
        assert "gehört schon zum Konto @boss:test" in page
        assert self.sent("PUT") == []

    def test_a_new_password_made_here(self) -> None:
        token = self.login("alice", "pass")
        page = self.browser.submit(f"users/{self.alice}/password", {"way": "generated", "log_out": "on"})
        password = page.partition('<code class="secret">')[2].partition("<")[0]
        assert self.can_log_in("alice", password)
        assert not self.can_log_in("alice", "pass")
        assert self.make_request("GET", "/_matrix/client/v3/account/whoami", access_token=token).code == 401

    def test_a_new_password_typed_in(self) -> None:
        path, typed = f"users/{self.alice}/password", "ein langes Passwort"
        for fields, complaint in (
            ({"way": "typed"}, "Bitte füllen Sie dieses Feld aus."),
            ({"way": "typed", "new_password": "kurz", "new_password_again": "kurz"}, "mindestens 12 Zeichen ein"),
            ({"way": "typed", "new_password": typed, "new_password_again": "x"}, "stimmen nicht überein"),
        ):
            page = self.browser.submit(path, fields)
            assert complaint in page
            assert typed not in page
        assert self.sent("PUT") == []
        token = self.login("alice", "pass")
        page = self.browser.submit(path, {"way": "typed", "new_password": typed, "new_password_again": typed})
        assert "gilt ab sofort" in page
        assert typed not in page
        assert self.can_log_in("alice", typed)
        assert self.make_request("GET", "/_matrix/client/v3/account/whoami", access_token=token).code == 200

    def test_lock_and_unlock(self) -> None:
        token = self.login("alice", "pass")
        self.browser.get(f"users/{self.alice}/lock")
        assert self.sent("PUT") == []
        page = self.browser.submit(f"users/{self.alice}/lock")
        assert "@alice:test ist gesperrt." in page
        assert self.make_request("GET", "/_matrix/client/v3/account/whoami", access_token=token).code == 401
        page = self.browser.submit(f"users/{self.alice}/unlock")
        assert "nicht mehr gesperrt" in page
        assert self.make_request("GET", "/_matrix/client/v3/account/whoami", access_token=token).code == 200

    def test_all_devices_are_logged_out(self) -> None:
        tokens = [self.login("alice", "pass") for _ in range(2)]
        page = self.browser.submit(f"users/{self.alice}/log-out")
        assert "2 Geräte wurden abgemeldet." in page
        for token in tokens:
            assert self.make_request("GET", "/_matrix/client/v3/account/whoami", access_token=token).code == 401

    def test_not_oneself(self) -> None:
        self.change(self.alice, admin=True)  # so that it is not for being the last
        for step in ("lock", "log-out", "delete", "password"):
            self.browser.submit(f"users/{self.boss}/{step}", {"typed": self.boss, "way": "generated"})
            assert self.browser.status == HTTPStatus.CONFLICT, step
        assert self.sent("PUT") == []
        assert not self.user(self.boss)["locked"]
