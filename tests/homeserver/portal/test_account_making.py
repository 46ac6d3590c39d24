"""Making accounts: whose name it is by then, what happens when something fails on the way, and without passwords."""

import csv
import io
import json
import re
from collections.abc import Mapping
from html import unescape
from http import HTTPStatus
from typing import Any
from unittest.mock import patch

from synapse_bum.homeserver.http_exchange import HttpAnswer, HttpRequest
from synapse_bum.portal.homeserver_api.steps import UNFINISHED, StepLog
from synapse_bum.testing.portal_case import PortalTestCase

USER = "/_synapse/admin/v2/users/"
IS_FREE = "GET /_synapse/admin/v1/username_available"
FREE = HttpAnswer(HTTPStatus.OK, "application/json", "", b'{"available": true}')
REFUSAL = HttpAnswer(HTTPStatus.BAD_REQUEST, "application/json", "", b'{"errcode": "M_UNKNOWN", "error": "No"}')
ONLY_SSO = HttpAnswer(HTTPStatus.OK, "application/json", "", b'{"flows": [{"type": "m.login.sso"}]}')
LOGIN = "GET /_matrix/client/v3/login"
SECRET = re.compile(r'class="secret">([^<]+)<')
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


class MakingCase(PortalTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.browser.log_in()
        self.boss_token = self.login("boss", "pass")

    def account(self, user_id: str) -> dict[str, Any]:
        """As Synapse describes it."""
        channel = self.make_request("GET", USER + user_id, access_token=self.boss_token)
        return dict(channel.json_body) if channel.code == HTTPStatus.OK else {}

    def can_log_in(self, name: str, password: str) -> bool:
        body = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": name}, "password": password}
        return self.make_request("POST", "/_matrix/client/v3/login", body).code == HTTPStatus.OK

    def audited(self) -> list[tuple[str, str]]:
        """Actions and targets, oldest first."""
        pool = self.hs.get_datastores().main.db_pool
        rows = self.get_success(pool.simple_select_list("synapse_bum_audit", None, ["id", "action", "target"], "audit"))
        return [(action, target) for _number, action, target in sorted(rows)]

    def preview(self, rows: str) -> str:
        token = self.browser.token(self.browser.get("users/import"))
        return self.browser.post("users/import", {"_form": token, "rows": rows})

    def run_import(self, page: str) -> str:
        """Sends the form of a preview, or goes on."""
        forms = [dict(HIDDEN.findall(form)) for form in page.split("<form")[1:]]
        fields = next(found for found in forms if "lines" in found)
        return self.browser.post("users/import/run", {name: unescape(value) for name, value in fields.items()})


class TakenTestCase(MakingCase):
    """Somebody gets the name between the look whether it is free and the request."""

    def assert_untouched(self, before: Mapping[str, Any]) -> None:
        assert self.account(self.alice) == before
        assert self.can_log_in("alice", "pass")
        assert self.make_request("GET", "/_matrix/client/v3/account/whoami", access_token=self.token).code == 200

    def setUp(self) -> None:
        super().setUp()
        self.token = self.login("alice", "pass")
        self.homeserver_api.scripted = {IS_FREE: FREE}

    def test_by_the_form(self) -> None:
        before = self.account(self.alice)
        fields = {"name": "alice", "display_name": "Other", "address": "other@b.example", "admin": "on"}
        page = self.browser.submit("users/new", fields)
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "Diesen Benutzernamen gibt es schon." in page
        self.assert_untouched(before)
        assert self.audited()[-1] == ("portal.refused", self.alice)

    def test_by_an_import(self) -> None:
        before = self.account(self.alice)
        page = self.run_import(
            self.preview("benutzername;anzeigename;e-mail;administrator\nalice;Other;o@b.example;ja\nerika;;;")
        )
        assert "Diesen Benutzernamen gibt es schon." in page
        assert "1 Konto wurde angelegt." in page
        self.assert_untouched(before)


class HalfMadeTestCase(MakingCase):
    """The account is there, and then the server refuses or goes away."""

    def answer(self, then: HttpAnswer) -> None:
        """Passes the first request on, which makes the account, and answers the second."""
        asked = []

        def put(request: HttpRequest) -> HttpAnswer:
            asked.append(request)
            if json.loads(request.body or b"{}"):
                return then
            path = request.url.removeprefix("https://api.example")
            channel = self.make_request("PUT", path, {}, access_token=self.boss_token)
            return HttpAnswer(channel.code, "application/json", "", b"{}")

        self.homeserver_api.scripted = {f"PUT {USER}%40erika": put}

    def test_the_form_says_what_to_look_after(self) -> None:
        self.answer(REFUSAL)
        page = self.browser.submit("users/new", {"name": "erika", "admin": "on"})
        assert "womöglich nicht vollständig" in page
        assert "@erika:test" in page
        assert not self.account("@erika:test")["admin"]
        assert self.audited()[-1] == (UNFINISHED, "@erika:test")

    def test_an_import_goes_on_after_a_refusal(self) -> None:
        self.answer(REFUSAL)
        page = self.run_import(self.preview("benutzername\nerika\nbert"))
        assert "angelegt, aber womöglich nicht vollständig" in page
        assert "1 Konto wurde angelegt." in page
        assert self.account("@bert:test")

    def test_an_import_waits_when_the_server_is_away(self) -> None:
        self.answer(HttpAnswer(HTTPStatus.BAD_GATEWAY, "text/plain", "", b""))
        page = self.run_import(self.preview("benutzername\nerika\nbert"))
        assert "angelegt, aber womöglich nicht vollständig" in page
        assert "Der Server antwortet nicht mehr" in page
        assert not self.account("@bert:test")


class UnwrittenTestCase(MakingCase):
    """The audit can't be written in the middle."""

    def failing(self, after: int) -> Any:  # noqa: ANN401 - a patch
        """Lets so many rows be written, then none."""
        real, written = StepLog.write, iter(range(1_000))

        async def write(log: StepLog, *row: Any) -> None:  # noqa: ANN401 - as the real one
            if next(written) >= after:
                raise OSError("the database is away")
            await real(log, *row)

        return patch.object(StepLog, "write", write)

    def test_an_import_keeps_the_passwords_and_can_go_on(self) -> None:
        page = self.preview("benutzername\nerika\nbert\ncarl")
        with self.failing(2):
            page = self.run_import(page)
        assert self.browser.status == HTTPStatus.OK
        assert "Ohne Eintrag wird kein Konto angelegt." in page
        passwords = SECRET.findall(page)
        assert len(passwords) == 2
        assert self.can_log_in("erika", passwords[0])
        assert not self.account("@carl:test")
        page = self.run_import(page)
        assert SECRET.findall(page)[:2] == passwords
        assert self.account("@carl:test")

    def test_one_step_says_that_nothing_was_done(self) -> None:
        token = self.browser.token(self.browser.get("users/new"))
        with self.failing(0):
            page = self.browser.post("users/new", {"_form": token, "name": "erika"})
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "Es wurde nichts getan" in page
        assert not self.account("@erika:test")


class NoPasswordTestCase(MakingCase):
    """Everybody logs in by the identity provider."""

    def setUp(self) -> None:
        super().setUp()
        self.homeserver_api.scripted = {LOGIN: ONLY_SSO}

    def test_an_account_gets_none(self) -> None:
        before = len(self.homeserver_api.asked)
        assert "nur über den Anmeldedienst" in self.browser.get("users/new")
        page = self.browser.submit("users/new", {"name": "erika", "display_name": "Erika"})
        assert "Das Konto @erika:test ist angelegt." in page
        assert not SECRET.findall(page)
        assert self.account("@erika:test")["displayname"] == "Erika"
        assert "password" not in " ".join((r.body or b"").decode() for r in self.homeserver_api.asked[before:])

    def test_an_import_has_none(self) -> None:
        page = self.run_import(self.preview("benutzername\nerika"))
        assert "1 Konto wurde angelegt." in page
        assert not SECRET.findall(page)
        assert "Die Passwörter werden nur jetzt angezeigt" not in page
        assert "Ergebnis herunterladen" in page

    def test_none_can_be_set(self) -> None:
        assert "Neues Passwort setzen" not in self.browser.get(f"users/{self.alice}")
        page = self.browser.get(f"users/{self.alice}/password")
        assert "nur über den Anmeldedienst" in page
        self.browser.post(f"users/{self.alice}/password", {"_form": self.browser.token(page), "way": "generated"})
        assert self.browser.status == HTTPStatus.CONFLICT
        assert self.can_log_in("alice", "pass")


class RoundTripTestCase(MakingCase):
    def test_an_export_can_be_imported_elsewhere(self) -> None:
        self.register_user("erika", "pass", displayname="Erika Größe")
        exported = self.browser.get("users/export/file").lstrip("\ufeff")
        rows = list(csv.reader(io.StringIO(exported), delimiter=";"))
        elsewhere = exported.replace('"erika"', '"erika2"')
        page = self.preview(elsewhere.replace("\r\n", "\n"))
        assert self.browser.status == HTTPStatus.OK
        assert "1 Konto kann angelegt werden." in page
        assert f"{len(rows) - 2} Zeilen werden übersprungen." in page
        self.run_import(page)
        assert self.account("@erika2:test")["displayname"] == "Erika Größe"
