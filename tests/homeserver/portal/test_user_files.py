"""Accounts from a file, and into one."""

import csv
import io
import json
import re
from html import unescape
from http import HTTPStatus

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.accounts import user_import
from synapse_bum.testing.portal_case import PortalTestCase

SCRIPT = "<script>alert('x')</script>"
HEADER = "benutzername;anzeigename;e-mail;administrator\n"
_SECRET = re.compile(r'<code class="secret">([^<]+)</code>')
_HIDDEN = re.compile(r'<input type="hidden" name="(_form|lines|passwords)" value="([^"]*)">')


class UserFilesCase(PortalTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.browser.log_in()
        self.boss_token = self.login("boss", "pass")

    def preview(self, text: str) -> str:
        token = self.browser.token(self.browser.get("users/import"))
        return self.browser.post("users/import", {"_form": token, "rows": text})

    def send(self, path: str, page: str) -> str:
        """Sends the form of a page that carries the list, or the one that carries the passwords."""
        forms = [dict(_HIDDEN.findall(form)) for form in page.split("<form")[1:]]
        fields = next(found for found in forms if (path == "users/import/run") == ("lines" in found) and len(found) > 1)
        return self.browser.post(path, {name: unescape(value) for name, value in fields.items()})

    def users(self) -> set[str]:
        channel = self.make_request("GET", "/_synapse/admin/v2/users?limit=900", access_token=self.boss_token)
        return {user["name"] for user in channel.json_body["users"]}

    def can_log_in(self, name: str, password: str) -> bool:
        body = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": name}, "password": password}
        return self.make_request("POST", "/_matrix/client/v3/login", body).code == HTTPStatus.OK

    def rows(self) -> list[list[str]]:
        text = self.browser.channel.result["body"].decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text), delimiter=";"))


class ImportTestCase(UserFilesCase):
    def test_the_preview_makes_nothing_and_says_what_is_wrong(self) -> None:
        text = HEADER + f"erika;{SCRIPT};e@b.example;ja\nalice;;;\nBERT;;;\n{SCRIPT};;;\n"
        page = self.preview(text)
        assert self.browser.status == HTTPStatus.OK
        assert "<script" not in page
        assert SCRIPT in unescape(page)
        assert "1 Konto kann angelegt werden." in page
        assert "3 Zeilen werden übersprungen." in page
        assert "Diesen Benutzernamen gibt es schon." in page
        assert self.users() == {"@boss:test", "@alice:test"}

    def test_a_long_list_is_carried_out_whole_but_not_shown_whole(self) -> None:
        page = self.preview("benutzername\n" + "\n".join(f"user{n}" for n in range(130)))
        assert "130 Konten können angelegt werden." in page
        assert "80 weitere Zeilen sind nicht aufgeführt." in page
        assert "user129" in page.partition('name="lines"')[2].partition(">")[0]

    def test_each_account_with_its_password_and_the_list_to_take_home(self) -> None:
        page = self.preview(HEADER + "erika;Erika Größe;e@b.example;ja\nalice;;;\nbert;;;\n")
        page = self.send("users/import/run", page)
        assert self.browser.status == HTTPStatus.OK
        assert "2 Konten wurden angelegt." in page
        passwords = _SECRET.findall(page)
        assert len(set(passwords)) == 2
        assert self.can_log_in("erika", passwords[0])
        assert self.can_log_in("bert", passwords[1])
        erika = self.make_request("GET", "/_synapse/admin/v2/users/@erika:test", access_token=self.boss_token).json_body
        assert erika["displayname"] == "Erika Größe"
        assert erika["admin"]
        assert erika["threepids"][0]["address"] == "e@b.example"
        for _ in range(2):
            self.send("users/import/passwords", page)
            assert self.browser.status == HTTPStatus.OK
            assert self.browser.header("Content-Disposition") == 'attachment; filename="nutzer-passwoerter.csv"'
            assert self.rows() == [
                ["Zeile", "Benutzername", "Ergebnis", "Passwort", "Grund"],
                ["2", "erika", "angelegt", passwords[0], ""],
                ["4", "bert", "angelegt", passwords[1], ""],
            ]

    def test_a_double_click_makes_accounts_once_and_shows_no_password_again(self) -> None:
        preview = self.preview(HEADER + "erika;;;\n")
        page = self.send("users/import/run", preview)
        (password,) = _SECRET.findall(page)
        self.send("users/import/run", preview)
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert password not in self.browser.follow()
        assert self.can_log_in("erika", password)

    def test_what_was_taken_since_the_preview_is_left_alone(self) -> None:
        preview = self.preview(HEADER + "erika;X;;ja\n")
        self.register_user("erika", "own password")
        page = self.send("users/import/run", preview)
        assert "nicht angelegt" in page
        assert "Diesen Benutzernamen gibt es schon." in page
        assert self.can_log_in("erika", "own password")
        self.send("users/import/passwords", page)
        ((*cells, reason),) = self.rows()[1:]
        assert cells == ["2", "erika", "nicht angelegt", ""]
        assert reason.startswith("Diesen Benutzernamen gibt es schon.")

    def test_when_time_is_up_the_rest_waits_for_the_next_click(self) -> None:
        page = self.preview(HEADER + "".join(f"user{n};;;\n" for n in range(4)))
        with self.patched_patience(-1):
            page = self.send("users/import/run", page)
        assert "4 Konten sind noch nicht angelegt." in page
        assert "4 weitere Konten anlegen" in page
        page = self.send("users/import/run", page)
        assert "4 Konten wurden angelegt." in page
        assert len(_SECRET.findall(page)) == 4

    def test_when_the_server_goes_away_no_password_is_lost(self) -> None:
        page = self.preview(HEADER + "user1;;;\nuser2;;;\nuser3;;;\n")
        beginning = "PUT /_synapse/admin/v2/users/%40user2%3Atest"
        self.homeserver_api.scripted[beginning] = ConnectionError("away")
        page = self.send("users/import/run", page)
        assert "Der Server antwortet nicht mehr" in page
        assert "1 Konto wurde angelegt." in page
        assert "ungewiss" in page
        passwords = _SECRET.findall(page)
        assert len(passwords) == 2
        assert self.can_log_in("user1", passwords[0])
        self.homeserver_api.scripted = {}
        page = self.send("users/import/run", page)
        assert _SECRET.findall(page)[:2] == passwords
        assert "@user3:test" in self.users()

    def test_when_the_admin_right_goes_no_password_is_lost(self) -> None:
        page = self.preview(HEADER + "user1;;;\nuser2;;;\n")
        body = json.dumps({"errcode": "M_FORBIDDEN", "error": "You are not a server admin"}).encode()
        beginning = "GET /_synapse/admin/v1/username_available?username=user2"
        self.homeserver_api.scripted[beginning] = HttpAnswer(403, "application/json", "", body)
        page = self.send("users/import/run", page)
        (password,) = _SECRET.findall(page)
        assert self.can_log_in("user1", password)
        assert "nimmt Ihre Anmeldung nicht mehr an" in page
        assert "1 Konto ist noch nicht angelegt." in page

    def test_what_comes_back_from_the_browser_is_checked_again(self) -> None:
        token = self.browser.token(self.browser.get("users/import"))
        self.browser.post(
            "users/import/run", {"_form": token, "lines": HEADER + "Böse;;;\n_x;;;\nerika;;;vielleicht\n"}
        )
        assert self.users() == {"@boss:test", "@alice:test"}
        token = self.browser.token(self.browser.get("users/import"))
        self.browser.post("users/import/run", {"_form": token, "lines": "nonsense"})
        assert self.browser.status == HTTPStatus.SEE_OTHER
        token = self.browser.token(self.browser.get("users/import"))
        forged = "1;=1+1;created;=cmd|' /C calc'!A0;=2+2\n1;<script>;nothing;;\nx;y\n"
        self.browser.post("users/import/passwords", {"_form": token, "passwords": forged})
        assert self.rows()[1:] == [["1", "'=1+1", "angelegt", "'=cmd|' /C calc'!A0", "'=2+2"]]

    def test_lists_that_can_not_be_read_are_refused_with_a_sentence(self) -> None:
        for text, sentence in (
            (HEADER + "a;J\ufffdrgen;;", "unlesbar angekommen"),
            (HEADER, "Die Liste enthält keine Konten."),
            ("<script>\nx", "ist nicht bekannt"),
            ("benutzername\n" + "\n".join(f"u{number}" for number in range(501)), "mehr als 500 Konten"),
        ):
            page = self.preview(text)
            assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
            assert sentence in page
            assert "<script" not in page
        self.preview("x" * 1_100_000)
        assert self.browser.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def test_a_session_that_ends_keeps_the_preview(self) -> None:
        page = self.preview(HEADER + "erika;Erika;;\n")
        self.wait(31 * 60)
        page = self.send("users/import/run", page)
        assert self.browser.status == HTTPStatus.UNAUTHORIZED
        draft = unescape(page.partition('name="draft" value="')[2].partition('"')[0])
        page = self.browser.post("login", {"name": "boss", "password": "pass", "draft": draft})
        assert "1 Konto kann angelegt werden." in page
        assert "Erika" in page
        assert "1 Konto wurde angelegt." in self.send("users/import/run", page)

    def test_the_template(self) -> None:
        self.browser.get("users/import/template")
        assert self.rows()[0] == ["benutzername", "anzeigename", "e-mail", "administrator"]

    def patched_patience(self, seconds: float) -> "_Patience":
        return _Patience(seconds)


class _Patience:
    """Lets an import take other than its usual time."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._before = seconds, user_import.PATIENCE_S

    def __enter__(self) -> None:
        user_import.PATIENCE_S = self._seconds  # type: ignore[misc]

    def __exit__(self, *_error: object) -> None:
        user_import.PATIENCE_S = self._before  # type: ignore[misc]


class ExportTestCase(UserFilesCase):
    def test_every_user_and_no_formula(self) -> None:
        path = f"/_synapse/admin/v2/users/{self.alice}"
        self.make_request("PUT", path, {"displayname": "=1+1", "locked": True}, access_token=self.boss_token)
        self.register_user("gone", "pass")
        self.make_request("POST", "/_synapse/admin/v1/deactivate/@gone:test", {}, access_token=self.boss_token)
        page = self.browser.get("users/export")
        assert "2 Konten" in page
        self.browser.get("users/export/file")
        assert self.browser.header("Content-Disposition") == 'attachment; filename="nutzer.csv"'
        rows = self.rows()
        assert "Zuletzt gesehen" not in rows[0]
        assert [row[:5] for row in rows[1:]] == [
            ["alice", "'@alice:test", "'=1+1", "nein", "gesperrt"],
            ["boss", "'@boss:test", "boss", "ja", "aktiv"],
        ]
        self.browser.get("users/export/file?deleted=on")
        assert ["gone", "'@gone:test", "gone", "nein", "gelöscht"] in [row[:5] for row in self.rows()]

    def test_more_than_one_part(self) -> None:
        parts = [
            json.dumps(
                {
                    "users": [
                        {"name": f"@u{n}:test", "admin": False, "deactivated": False, "creation_ts": 0}
                        for n in range(start, end)
                    ],
                    "total": 1_500,
                }
            ).encode()
            for start, end in ((0, 1_000), (1_000, 1_500))
        ]
        for offset, body in zip((0, 1_000), parts, strict=True):
            beginning = f"GET /_synapse/admin/v2/users?from={offset}&"
            self.homeserver_api.scripted[beginning] = HttpAnswer(200, "application/json", "", body)
        self.browser.get("users/export/file")
        assert len(self.rows()) == 1_501

    def test_an_api_that_is_away_is_no_empty_file(self) -> None:
        self.homeserver_api.scripted["GET /_synapse/admin/v2/users?from=0"] = ConnectionError("away")
        self.browser.get("users/export/file")
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
