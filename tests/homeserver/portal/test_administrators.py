"""Administrators: the list, appointing, removing, and who can't be removed."""

import json
from http import HTTPStatus
from typing import Any

from synapse.types import create_requester

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.testing.portal_case import PortalTestCase

SCRIPT = "<script>alert('x')</script>"
LINKS = "GET /_synapse/client/bum/v1/oidc/links"


def answer(body: dict[str, Any], status: int = 200) -> HttpAnswer:
    """One of the homeserver's."""
    return HttpAnswer(status, "application/json", "", json.dumps(body).encode())


def links(*appointed: tuple[str, str | None]) -> HttpAnswer:
    """What the identity module says: of whom, and who appointed him."""
    found = [{"idp_id": "keycloak", "subject": "s", "user_id": who, "admin_by": by} for who, by in appointed]
    return answer({"links": found, "total": len(found)})


class AdministratorsCase(PortalTestCase):
    def is_admin(self, user_id: str) -> bool:
        """What Synapse's database says."""
        channel = self.make_request(
            "GET", f"/_synapse/admin/v1/users/{user_id}/admin", access_token=self.login("boss", "pass")
        )
        assert channel.code == HTTPStatus.OK
        return bool(channel.json_body["admin"])

    def path(self, step: str, user_id: str) -> str:
        """Of a confirmation."""
        return f"administrators/{user_id}/{step}"

    def changes(self) -> list[str]:
        """Requests that would change an administrator's right."""
        return [f"{r.method} {r.url}" for r in self.homeserver_api.asked if r.method == "PUT"]


class FindTestCase(AdministratorsCase):
    def test_who_is_locked_is_found_and_marked(self) -> None:
        self.get_success(self.hs.get_datastores().main.set_user_locked_status(self.alice, locked=True))
        self.browser.log_in()
        page = self.browser.get("administrators/new?q=alice")
        assert "@alice:test" in page.partition("<tbody>")[2]
        assert "gesperrt" in page.partition("<tbody>")[2]


class ListTestCase(AdministratorsCase):
    def test_all_administrators_and_nobody_else(self) -> None:
        self.register_user("chief", "pass", admin=True)
        gone = self.register_user("gone", "pass", admin=True)
        handler = self.hs.get_deactivate_account_handler()
        self.get_success(handler.deactivate_account(gone, erase_data=False, requester=create_requester(gone)))
        self.browser.log_in()
        page = self.browser.get("administrators")
        assert self.browser.status == HTTPStatus.OK
        assert "Einträge 1 bis 2 von 2" in page
        assert "@chief:test" in page
        assert "@alice:test" not in page
        assert "@gone:test" not in page
        assert "@chief:test entfernen" in page
        assert "@boss:test entfernen" not in page
        assert "Ihr eigenes Recht können Sie nicht entziehen." in page
        assert "Ernannt durch" not in page, "there is no identity module"

    def test_who_was_appointed_by_the_identity_provider(self) -> None:
        self.register_user("chief", "pass", admin=True)
        known = links(("@boss:test", "manual"), ("@chief:test", None), ("@chief:test", "idp"), ("@alice:test", "idp"))
        self.homeserver_api.scripted[f"{LINKS}?only=administrators&"] = known
        self.browser.log_in()
        page = self.browser.get("administrators")
        assert [request.url for request in self.homeserver_api.asked if "oidc" in request.url] == [
            "https://api.example/_synapse/client/bum/v1/oidc/links?only=administrators&from=0&limit=500"
        ], "one question for all"
        assert "Ernannt durch" in page
        assert page.count("<td>den Anmeldedienst</td>") == 1
        assert page.count("<td>dieses Portal oder den Betreiber</td>") == 1

    def test_an_identity_module_that_does_not_answer_is_said_not_to(self) -> None:
        self.homeserver_api.scripted[LINKS] = OSError("away")
        self.browser.log_in()
        page = self.browser.get("administrators")
        assert self.browser.status == HTTPStatus.OK
        assert "<td>nicht abrufbar</td>" in page

    def test_names_are_text_and_nothing_else(self) -> None:
        self.register_user("chief", "pass", admin=True)
        for name in ("chief", "alice"):
            token = self.login(name, "pass")
            path = f"/_matrix/client/v3/profile/@{name}:test/displayname"
            assert self.make_request("PUT", path, {"displayname": SCRIPT}, access_token=token).code == HTTPStatus.OK
        self.browser.log_in()
        for path in (
            "administrators",
            "administrators/new?q=alice",
            self.path("appoint", "@alice:test"),
            self.path("remove", "@chief:test"),
        ):
            page = self.browser.get(path)
            assert self.browser.status == HTTPStatus.OK, path
            assert "&lt;script&gt;" in page, path
            assert "<script" not in page, path

    def test_where_the_authentication_service_appoints_nothing_can_be_changed_here(self) -> None:
        self.register_user("chief", "pass", admin=True)
        self.browser.log_in()
        unknown = answer({"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}, 404)
        self.homeserver_api.scripted["GET /_synapse/admin/v1/users/%40boss%3Atest/admin"] = unknown
        page = self.browser.get("administrators")
        assert "Matrix Authentication Service" in page
        assert "entfernen" not in page
        for path in ("administrators/new", self.path("appoint", "@alice:test"), self.path("remove", "@chief:test")):
            self.browser.get(path)
            assert self.browser.status == HTTPStatus.SEE_OTHER, path
            assert "Matrix Authentication Service" in self.browser.follow()
        assert self.changes() == []


class AppointTestCase(AdministratorsCase):
    def test_search_look_confirm(self) -> None:
        self.browser.log_in()
        assert "Einträge 1 bis 1 von 1" in self.browser.get("administrators/new")
        page = self.browser.get("administrators/new?q=ali")
        assert "@alice:test ernennen" in page
        assert "@boss:test" not in page.partition("<main")[2]
        page = self.browser.get(self.path("appoint", self.alice))
        assert "kann danach alle Konten" in page
        assert not self.is_admin(self.alice)
        page = self.browser.submit(self.path("appoint", self.alice))
        assert "@alice:test ist jetzt Administrator." in page
        assert self.is_admin(self.alice)
        assert len(self.changes()) == 1

    def test_a_double_click_appoints_once(self) -> None:
        self.browser.log_in()
        token = self.browser.token(self.browser.get(self.path("appoint", self.alice)))
        for _ in range(2):
            self.browser.post(self.path("appoint", self.alice), {"_form": token})
            assert self.browser.status == HTTPStatus.SEE_OTHER
        assert len(self.changes()) == 1

    def test_who_is_one_already_is_said_to_be(self) -> None:
        self.browser.log_in()
        self.browser.get(self.path("appoint", self.boss))
        assert "@boss:test ist schon Administrator." in self.browser.follow()

    def test_nobody_and_somebody_who_is_gone(self) -> None:
        self.browser.log_in()
        self.browser.get(self.path("appoint", "@nobody:test"))
        assert self.browser.status == HTTPStatus.NOT_FOUND

    def test_a_form_without_a_token_does_nothing(self) -> None:
        self.browser.log_in()
        self.browser.post(self.path("appoint", self.alice), {})
        assert not self.is_admin(self.alice)


class RemoveTestCase(AdministratorsCase):
    def prepare(self, *args: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*args)
        self.chief = self.register_user("chief", "pass", admin=True)

    def test_after_a_confirmation(self) -> None:
        self.browser.log_in()
        page = self.browser.get(self.path("remove", self.chief))
        assert "kann sich danach nicht mehr in diesem Portal anmelden" in page
        assert "Anmeldedienst" not in page
        assert self.is_admin(self.chief)
        page = self.browser.submit(self.path("remove", self.chief))
        assert "@chief:test ist kein Administrator mehr." in page
        assert not self.is_admin(self.chief)

    def test_not_yourself_even_with_a_form_of_your_own(self) -> None:
        self.browser.log_in()
        self.browser.get(self.path("remove", self.boss))
        assert self.browser.status == HTTPStatus.SEE_OTHER
        page = self.browser.follow()
        assert "Ihr eigenes Recht können Sie nicht entziehen." in page
        token = self.browser.token(self.browser.get(self.path("remove", self.chief)))
        self.browser.post(self.path("remove", self.boss), {"_form": token})
        assert "Ihr eigenes Recht können Sie nicht entziehen." in self.browser.follow()
        assert self.is_admin(self.boss)
        assert self.changes() == []

    def test_not_the_last_who_can_log_in(self) -> None:
        self.browser.log_in()
        token = self.browser.token(self.browser.get(self.path("remove", self.chief)))
        # The other one, who asks, was locked meanwhile; his session is still answered.
        users = [{"name": self.chief, "admin": True}, {"name": self.boss, "admin": True, "locked": True}]
        listed = answer({"users": users, "total": 2})
        self.homeserver_api.scripted["GET /_synapse/admin/v2/users?admins=true"] = listed
        self.browser.post(self.path("remove", self.chief), {"_form": token})
        assert "Der letzte Administrator kann nicht entfernt werden." in self.browser.follow()
        assert self.is_admin(self.chief)

    def test_a_right_of_the_identity_provider_comes_back(self) -> None:
        self.homeserver_api.scripted[LINKS] = links((self.chief, "idp"))
        self.browser.log_in()
        page = self.browser.get(self.path("remove", self.chief))
        assert "Es kommt mit der nächsten Anmeldung zurück" in page

    def test_who_is_none_is_said_to_be_none(self) -> None:
        self.browser.log_in()
        self.browser.get(self.path("remove", self.alice))
        assert "@alice:test ist kein Administrator." in self.browser.follow()

    def test_a_server_that_does_not_answer_leaves_it_open(self) -> None:
        self.browser.log_in()
        token = self.browser.token(self.browser.get(self.path("remove", self.chief)))
        self.homeserver_api.scripted["PUT "] = OSError("away")
        page = self.browser.post(self.path("remove", self.chief), {"_form": token})
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "Es ist nicht bekannt, ob Ihre Änderung ausgeführt wurde." in page
