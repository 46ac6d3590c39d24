"""Accounts of operators: other administrators look at them, and can't become operators by them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote

from synapse_bum.testing.portal_case import Browser, PortalTestCase

OPERATOR = "@chief:test"
PASSWORD = "Geheim-12345678"
STEPS = ("edit", "password", "lock", "log-out", "delete")


class OperatorAccountsTestCase(PortalTestCase):
    portal: ClassVar[Mapping[str, Any]] = {"operator_users": [OPERATOR, "@next:test"]}

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.register_user("chief", "pass", admin=True)
        self.browser.log_in()

    def path(self, step: str, user_id: str = OPERATOR) -> str:
        return f"users/{quote(user_id, safe='')}/{step}"

    def changes(self) -> list[str]:
        asked = [r for r in self.homeserver_api.asked if r.method != "GET" and "/_synapse/" in r.url]
        return [f"{request.method} {request.url}" for request in asked]

    def test_nobody_else_can_change_them(self) -> None:
        token = self.browser.token(self.browser.get("users/new"))
        for step in STEPS:
            shown = self.browser.get(self.path(step))
            assert "gehört zu den Betreibern" in shown, step
            assert 'name="_form"' not in shown.partition("<main")[2], step
            fields = {"way": "typed", "new_password": PASSWORD, "new_password_again": PASSWORD, "typed": OPERATOR}
            self.browser.post(self.path(step), {"_form": token, "addresses": "evil@a.example", **fields})
            assert self.browser.status == HTTPStatus.CONFLICT, step
            token = self.browser.token(self.browser.get("users/new"))
        self.browser.get(f"administrators/{quote(OPERATOR, safe='')}/remove")
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert "entziehen ihm nur die Betreiber" in self.browser.get("administrators")
        self.browser.post(f"administrators/{quote(OPERATOR, safe='')}/remove", {"_form": token})
        assert self.changes() == []

    def test_their_page_says_so_and_offers_nothing(self) -> None:
        shown = self.browser.get(f"users/{quote(OPERATOR, safe='')}")
        assert "gehört zu den Betreibern" in shown
        assert not [step for step in STEPS if f"/{step}" in shown.partition("<main")[2]]
        assert f"{quote('@alice:test', safe='')}/password" in self.browser.get("users/%40alice%3Atest")

    def test_nobody_else_can_make_one(self) -> None:
        page = self.browser.submit("users/new", {"name": "next"})
        assert "einem Konto der Betreiber vorbehalten" in page
        page = self.browser.submit("users/import", {"rows": "benutzername\nnext\nother\n"})
        assert "einem Konto der Betreiber vorbehalten" in page
        token = self.browser.token(page)
        self.browser.post("users/import/run", {"_form": token, "lines": "benutzername\nnext\n"})
        assert self.changes() == []

    def test_an_operator_can(self) -> None:
        other = Browser(self)
        other.log_in("chief")
        other.submit(self.path("lock", "@alice:test"), {})
        other.submit("users/new", {"name": "next"})
        assert {url.rpartition("/")[2] for url in self.changes()} == {"%40alice%3Atest", "%40next%3Atest"}
        other.get(self.path("password", "@boss:test"))
        assert other.status == HTTPStatus.OK


class WithoutOperatorsTestCase(PortalTestCase):
    def test_everybody_may(self) -> None:
        self.register_user("chief", "pass", admin=True)
        self.browser.log_in()
        self.browser.submit(f"users/{quote(OPERATOR, safe='')}/lock", {})
        assert [r.method for r in self.homeserver_api.asked if "chief" in r.url and r.method == "PUT"] == ["PUT"]
