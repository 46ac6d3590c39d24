"""Sessions that somebody made up, and accounts that end while somebody is logged in."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from synapse_bum.portal.sessions.cookies import NOTICE, SESSION
from synapse_bum.portal.sessions.sealing import Sealer
from synapse_bum.testing.portal_case import Browser, PortalTestCase

WEEK_MS = 7 * 86_400_000
USERS = "/_synapse/admin/v2/users"


class KeyTestCase(PortalTestCase):
    """With a key that the test knows."""

    def default_config(self) -> dict[str, Any]:
        self.key = Fernet.generate_key()
        path = Path(self.mktemp())  # type: ignore[no-untyped-call]
        path.write_bytes(self.key)
        config = super().default_config()
        config["modules"][0]["config"]["session_key_path"] = str(path.absolute())
        return config

    def setUp(self) -> None:
        super().setUp()
        self.browser.log_in()
        self.sealer = Sealer([Fernet(self.key)])

    def opens(self, cookie: str) -> bool:
        browser = Browser(self, cookies={SESSION: cookie})
        page = browser.get("users")
        assert browser.status in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)
        return "@alice:test" in page

    def content(self) -> dict[str, Any]:
        found = self.sealer.open("session", self.browser.cookies[SESSION], self.now_ms(), WEEK_MS)
        assert found is not None
        return found

    def test_only_what_was_sealed_with_our_key_for_this_is_a_session(self) -> None:
        now_ms, content = self.now_ms(), self.content()
        assert self.opens(self.sealer.seal("session", content, now_ms))
        assert not self.opens(Sealer([Fernet(Fernet.generate_key())]).seal("session", content, now_ms))
        assert not self.opens(self.sealer.seal("notice", content, now_ms))
        assert not self.opens(self.sealer.seal("session", content, now_ms - WEEK_MS))
        assert not self.opens(self.sealer.seal("session", content, now_ms + WEEK_MS))

    def test_a_session_of_another_version_is_none(self) -> None:
        for changed in ({}, {"user_id": "@boss:test"}, {**self.content(), "more": 1}):
            assert not self.opens(self.sealer.seal("session", changed, self.now_ms()))

    def test_no_part_of_a_cookie_can_be_changed_or_left_out(self) -> None:
        genuine = self.browser.cookies[SESSION]
        for place in range(0, len(genuine), max(1, len(genuine) // 20)):
            other = "A" if genuine[place] != "A" else "B"
            assert not self.opens(genuine[:place] + other + genuine[place + 1 :]), place
            assert not self.opens(genuine[:place]), place
            assert not self.opens(genuine[place + 1 :]), place
        for made_up in (
            "=",
            "gAAAA",
            "gAAAAA" + "A" * 4_000,
            "%00",
            "\N{LATIN SMALL LETTER E WITH ACUTE}".encode().hex(),
        ):
            assert not self.opens(made_up), made_up

    def test_nobody_else_can_put_a_sentence_on_a_page(self) -> None:
        for forged in ("x", Sealer([Fernet(Fernet.generate_key())]).seal("notice", NOTE, self.now_ms())):
            self.browser.cookies[NOTICE] = forged
            assert "Rufen Sie" not in self.browser.get("users")
        self.browser.cookies[NOTICE] = self.sealer.seal("notice", NOTE, self.now_ms())
        assert "Rufen Sie" in self.browser.get("users")


NOTE = {"kind": "success", "text": "Rufen Sie 0900 1 an"}


class AccountTestCase(PortalTestCase):
    """Another administrator ends the account of whoever is logged in."""

    def setUp(self) -> None:
        super().setUp()
        self.register_user("carol", "pass", admin=True)
        self.carol = self.login("carol", "pass")
        self.browser.log_in()
        assert self.browser.status == HTTPStatus.OK

    def by_carol(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        channel = self.make_request(method, path, body or {}, access_token=self.carol)
        assert channel.code == HTTPStatus.OK, channel.json_body

    def exists(self, user_id: str) -> bool:
        channel = self.make_request("GET", f"{USERS}/{user_id}", access_token=self.carol)
        assert channel.code in (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        return bool(channel.code == HTTPStatus.OK)

    def expect_out(self) -> None:
        """Neither the next page nor a form that was open already does anything, and the cookie opens nothing later."""
        thief = Browser(self, cookies=dict(self.browser.cookies))
        page = self.browser.get("users")
        assert self.browser.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        assert "@alice:test" not in page
        assert "<h1>" in page
        assert SESSION not in self.browser.cookies
        for path in ("users", "users/new", "rooms", ""):
            assert "@alice:test" not in thief.get(path)
            assert thief.status == HTTPStatus.UNAUTHORIZED

    def test_locked(self) -> None:
        self.by_carol("PUT", f"{USERS}/{self.boss}", {"locked": True})
        self.expect_out()
        assert "Die Anmeldung ist nicht gelungen." in self.browser.log_in()

    def test_deactivated(self) -> None:
        self.by_carol("POST", f"/_synapse/admin/v1/deactivate/{self.boss}", {"erase": False})
        self.expect_out()
        assert "Die Anmeldung ist nicht gelungen." in self.browser.log_in()

    def test_a_new_password_that_logs_out(self) -> None:
        self.by_carol("PUT", f"{USERS}/{self.boss}", {"password": "another", "logout_devices": True})
        self.expect_out()

    def test_the_device_deleted(self) -> None:
        (device_id,) = self.get_success(self.hs.get_datastores().main.get_devices_by_user(self.boss))
        self.by_carol("POST", f"{USERS}/{self.boss}/delete_devices", {"devices": [device_id]})
        self.expect_out()

    def test_no_administrator_any_more_in_the_middle_of_a_form(self) -> None:
        token = self.browser.token(self.browser.get("users/new"))
        self.by_carol("PUT", f"{USERS}/{self.boss}", {"admin": False})
        page = self.browser.post("users/new", {"_form": token, "name": "made.by.nobody"})
        assert self.browser.status == HTTPStatus.FORBIDDEN
        assert "keine Rechte zur Administration" in page
        assert not self.exists("@made.by.nobody:test")

    def test_locked_in_the_middle_of_a_form(self) -> None:
        token = self.browser.token(self.browser.get("users/new"))
        self.by_carol("PUT", f"{USERS}/{self.boss}", {"locked": True})
        page = self.browser.post("users/new", {"_form": token, "name": "made.by.nobody"})
        assert self.browser.status == HTTPStatus.UNAUTHORIZED
        assert "Ihre Eingaben sind nicht verloren." in page
        assert not self.exists("@made.by.nobody:test")
