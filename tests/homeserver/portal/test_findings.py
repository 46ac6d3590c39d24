"""Findings, rescans and held files in the portal, with the antivirus itself behind them."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.rest.client import media
from synapse.server import HomeServer

from synapse_bum.antivirus.engines.engine import Clean, Infected, ScanResult
from synapse_bum.antivirus.stored.backlog import TICK_MS
from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.testing.engines import FakeEngine, finds_eicar
from synapse_bum.testing.portal_case import PortalTestCase

API = "/_synapse/client/bum/v1/antivirus"
VIRUS = b"not really one"
EVIL = "<script>alert('x')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
PAUSED_RUN = {
    "run_id": "76ef92f8",
    "state": "needs_confirmation",
    "scanned": 22,
    "total": 27,
    "infected": 20,
    "signature_version": None,
    "started_by": "@boss:test",
    "created_ts": 1,
    "started_ts": 2,
    "finished_ts": None,
    "paused_by": EVIL,
}


def answer(content: Mapping[str, Any], status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, "application/json", "", json.dumps(content).encode())


class AntivirusPortalTestCase(PortalTestCase):
    """Everything that contains `VIRUS` is one, and is stored and blocked."""

    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}
    servlets: ClassVar[list[Any]] = [*PortalTestCase.servlets, media.register_servlets]

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        settings = {"max_scan_size": "2M", **self.antivirus}
        config["modules"].append({"module": "synapse_bum.antivirus.AntivirusModule", "config": settings})
        return config

    def make_homeserver(self, *reactor_and_clock: object) -> HomeServer:
        self.engine = FakeEngine(answer=self.scan)
        with patch("synapse_bum.antivirus.module.build_engines", return_value=[self.engine]):
            return super().make_homeserver(*reactor_and_clock)

    def scan(self, content: bytes) -> ScanResult:
        return Infected(EVIL) if VIRUS in content else finds_eicar(content) if content != b"ok" else Clean()

    def setUp(self) -> None:
        super().setUp()
        self.settle()
        self.alice_token = self.login("alice", "pass")
        self.browser.log_in()

    def settle(self) -> None:
        for _ in range(12):
            self.reactor.advance(TICK_MS / 1000 / 2)
            self.pump()

    def upload(self, content: bytes) -> str:
        channel = self.make_request(
            "POST",
            "/_matrix/media/v3/upload",
            content=content,
            access_token=self.alice_token,
            shorthand=False,
            content_type=b"application/octet-stream",
            custom_headers=[("Content-Length", str(len(content)))],
        )
        assert channel.code == HTTPStatus.OK, channel.json_body
        self.settle()
        return str(channel.json_body["content_uri"]).removeprefix("mxc://")

    def changes(self, method: str = "POST") -> Sequence[str]:
        """What was asked of the antivirus by this method, without its base."""
        asked = [request for request in self.homeserver_api.asked if request.method == method]
        return [request.url.partition("/v1/antivirus/")[2] for request in asked if "/v1/antivirus/" in request.url]


class FindingsTestCase(AntivirusPortalTestCase):
    def test_the_list_says_how_the_scanner_is_and_what_it_found(self) -> None:
        file = self.upload(VIRUS)
        page = self.browser.get("findings")
        assert self.browser.status == HTTPStatus.OK
        assert "Der Virenscanner arbeitet. Er hat die Testdatei erkannt." in page
        assert "1, davon 0 ohne Befund und 1 mit Fund" in page
        assert f"mxc://{file}" in page
        assert '<span class="tag">gesperrt</span>' in page
        assert "beim Hochladen" in page
        assert "@alice:test" in page
        assert ESCAPED in page
        assert "<script" not in page

    def test_a_false_alarm_is_released_with_a_reason_once(self) -> None:
        path = f"findings/{self.upload(VIRUS)}"
        page = self.browser.submit(f"{path}/release", {"reason": ""})
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert ESCAPED in page
        assert "<script" not in page
        assert self.changes() == []
        page = self.browser.submit(f"{path}/release", {"reason": "Fehlalarm, Vorgang 4711"})
        assert "Die Datei ist freigegeben." in page
        assert '<span class="tag">freigegeben</span>' in page
        assert f"{path}/release" not in page
        assert len(self.changes()) == 1
        assert self.download(path) == HTTPStatus.OK

    def download(self, path: str) -> int:
        target = path.replace("findings/", "/_matrix/client/v1/media/download/", 1)
        return self.make_request("GET", target, access_token=self.alice_token, shorthand=False).code

    def test_a_file_is_deleted_after_the_question_and_the_finding_stays(self) -> None:
        path = f"findings/{self.upload(VIRUS)}"
        page = self.browser.get(f"{path}/delete")
        assert "Das lässt sich nicht rückgängig machen." in page
        assert self.changes("DELETE") == []
        page = self.browser.submit(f"{path}/delete")
        assert "Die Datei ist gelöscht." in page
        assert '<span class="tag">gelöscht</span>' in page
        assert len(self.changes("DELETE")) == 1
        self.settle()
        assert self.download(path) == HTTPStatus.NOT_FOUND

    def test_an_infected_file_is_deleted_by_its_finding_only(self) -> None:
        file = self.upload(VIRUS)
        owner = "owner=%40alice%3Atest"
        page = self.browser.get(f"files/{file}?{owner}")
        assert f'href="/_synapse/client/bum/portal/findings/{file}"' in page
        assert "Datei löschen" not in page
        page = self.browser.get(f"files/{file}/delete?{owner}")
        assert "Gelöscht wird sie dort" in page
        assert f'href="/_synapse/client/bum/portal/findings/{file}"' in page
        token = self.browser.token(self.browser.get("users/new"))
        self.browser.post(f"files/{file}/delete?{owner}", {"_form": token})
        assert self.browser.status == HTTPStatus.CONFLICT
        path = "/_synapse/client/bum/v1/portal/files/delete"
        boss = self.login("boss", "pass")
        channel = self.make_request("POST", path, {"mxc": f"mxc://{file}"}, access_token=boss)
        assert channel.code == HTTPStatus.CONFLICT, "nor by the API"
        assert '<span class="tag">gesperrt</span>' in self.browser.get(f"findings/{file}")

    def test_with_an_account_its_infected_file_goes_and_the_finding_says_so(self) -> None:
        path = f"findings/{self.upload(VIRUS)}"
        self.browser.submit(f"users/{self.alice}/delete", {"typed": self.alice})
        self.settle()
        page = self.browser.get(path)
        assert '<span class="tag">gelöscht</span>' in page
        assert "Die Datei ist gespeichert" not in page
        boss = self.login("boss", "pass")
        rows = self.make_request("GET", f"{API[:-10]}/audit?action=antivirus.deleted", access_token=boss).json_body
        (row,) = rows["audit"]
        assert (row["actor"], row["old"], row["reason"]) == (self.boss, "blocked", "portal:account")

    def test_all_findings_of_a_name_are_released(self) -> None:
        first, second = self.upload(VIRUS + b"1"), self.upload(VIRUS + b"2")
        page = self.browser.get(f"findings/{first}")
        assert "Alle Funde mit diesem Virusnamen freigeben" in page
        page = self.browser.submit(f"signatures/{EVIL.replace('/', '%2F')}/release", {"reason": "Fehlalarm"})
        assert "2 Dateien wurden freigegeben." in page
        assert '<span class="tag">freigegeben</span>' in self.browser.get(f"findings/{second}")

    def test_why_the_server_refused(self) -> None:
        path = f"findings/{self.upload(VIRUS)}"
        error = f"This file must be kept: @alice:test is on hold ({EVIL})"
        self.homeserver_api.scripted[f"DELETE {API}/findings"] = answer({"errcode": "M_UNKNOWN", "error": error}, 409)
        page = self.browser.submit(f"{path}/delete")
        assert "Die Datei wurde nicht gelöscht." in page
        assert "@alice:test gilt eine Löschsperre" in page
        assert ESCAPED in page
        assert "<script" not in page

    def test_a_file_that_nobody_knows(self) -> None:
        self.browser.get("findings/test/nothing")
        assert self.browser.status == HTTPStatus.NOT_FOUND
        self.browser.get("findings/test/nothing/delete")
        assert self.browser.status == HTTPStatus.NOT_FOUND

    def test_a_server_that_is_away_is_no_empty_list(self) -> None:
        self.homeserver_api.scripted[f"GET {API}/findings"] = ConnectionError("away")
        page = self.browser.get("findings")
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "Keine Einträge" not in page

    def test_a_scanner_that_is_down(self) -> None:
        self.engine.reachable = False
        for _ in range(6):
            self.settle()
        assert "Der Virenscanner antwortet nicht" in self.browser.get("findings")
        assert "Die Prüfung wartet, bis er wieder da ist." in self.browser.get("rescans/start")


class RefusedUploadTestCase(AntivirusPortalTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {}

    def test_nothing_is_offered_where_nothing_is_stored(self) -> None:
        channel = self.make_request(
            "POST",
            "/_matrix/media/v3/upload",
            content=VIRUS,
            access_token=self.alice_token,
            shorthand=False,
            custom_headers=[("Content-Length", str(len(VIRUS)))],
        )
        assert channel.code == HTTPStatus.BAD_REQUEST
        self.settle()
        page = self.browser.get("findings")
        assert '<span class="tag">abgewiesen</span>' in page
        path = re.findall('portal/(findings/[^"]+)', page)[0]
        page = self.browser.get(path)
        assert self.browser.status == HTTPStatus.OK
        assert "Was Sie tun können" not in page


class RescanTestCase(AntivirusPortalTestCase):
    def test_a_run_is_started_once_and_watched_to_its_end(self) -> None:
        self.upload(b"ok")
        assert "Es ist keine neue Prüfung verzeichnet." in self.browser.get("rescans")
        page = self.browser.submit("rescans/start")
        assert "Die Prüfung ist angelegt." in page
        assert self.changes() == ["rescan"]
        for _ in range(6):
            self.settle()
        page = self.browser.get("rescans")
        assert '<span class="tag">fertig</span>' in page
        run_id = re.findall('portal/rescans/([0-9a-f]{8,})"', page)[0]
        page = self.browser.get(f"rescans/{run_id}")
        assert "Die Prüfung ist fertig." in page
        assert self.browser.header("Refresh") == ""
        page = self.browser.submit(f"rescans/{run_id}/cancel")
        assert "Das ging nicht mehr." in page

    def test_a_run_that_goes_on_loads_itself_anew(self) -> None:
        for state in ("queued", "running"):
            run = {**PAUSED_RUN, "state": state, "paused_by": None}
            self.homeserver_api.scripted[f"GET {API}/rescan/76ef92f8"] = answer(run)
            assert "/confirm" not in self.browser.get("rescans/76ef92f8")
            assert self.browser.header("Refresh").startswith("5; url=")

    def test_a_paused_run_asks_for_a_decision(self) -> None:
        self.homeserver_api.scripted[f"GET {API}/rescan/76ef92f8"] = answer(PAUSED_RUN)
        page = self.browser.get("rescans/76ef92f8")
        assert self.browser.header("Refresh") == ""
        assert "traf auffällig viele Dateien" in page
        assert "22 von 27 Dateien geprüft" in page
        assert ESCAPED in page
        assert "<script" not in page
        self.homeserver_api.scripted[f"POST {API}/rescan/76ef92f8/confirm"] = answer(PAUSED_RUN)
        page = self.browser.submit("rescans/76ef92f8/confirm")
        assert "Die Prüfung wird fortgesetzt." in page
        assert self.changes() == ["rescan/76ef92f8/confirm"]
        assert "<script" not in self.browser.get("rescans/76ef92f8/confirm")

    def test_a_second_start_leads_to_the_run_that_waits(self) -> None:
        self.homeserver_api.scripted[f"GET {API}/rescan/76ef92f8"] = answer(PAUSED_RUN)
        error = f"The rescan 76ef92f8 waits for a decision about {EVIL}: confirm or cancel it"
        self.homeserver_api.scripted[f"POST {API}/rescan"] = answer({"errcode": "M_UNKNOWN", "error": error}, 409)
        page = self.browser.submit("rescans/start")
        assert "Zuerst muss über diese Prüfung entschieden werden." in page
        assert "20" in page


class HeldTestCase(AntivirusPortalTestCase):
    def test_what_waits_is_let_go_with_a_reason(self) -> None:
        assert "Keine Einträge gefunden." in self.browser.get("held")
        held = {
            "mxc": "mxc://test/abc",
            "uploader": "@alice:test",
            "size_bytes": 19_353,
            "media_type": EVIL,
            "since_ts": 1_795_373_204_159,
        }
        self.homeserver_api.scripted[f"GET {API}/held"] = answer({"held": [held], "total": 1})
        page = self.browser.get("held")
        assert "mxc://test/abc" in page
        assert "19,4\N{NO-BREAK SPACE}kB" in page
        assert ESCAPED in page
        assert "<script" not in page
        self.browser.submit("held/test/abc/release", {"reason": "eigenes Format"})
        assert self.browser.status == HTTPStatus.NOT_FOUND, "there is no such file, and it is said"
        self.homeserver_api.scripted[f"POST {API}/held/test/abc/release"] = answer({"mxc": "mxc://test/abc"})
        page = self.browser.submit("held/test/abc/release", {"reason": "eigenes Format"})
        assert "Die Datei ist freigegeben." in page
        assert json.loads(self.homeserver_api.asked[-2].body or b"") == {"reason": "eigenes Format"}


class NotLoadedTestCase(PortalTestCase):
    def test_it_is_said_that_there_is_no_antivirus(self) -> None:
        self.browser.log_in()
        for path in (
            "findings",
            "findings/test/abc",
            "signatures/x/release",
            "rescans",
            "rescans/start",
            "held",
            "held/test/abc/release",
        ):
            assert "Auf diesem Server nicht eingerichtet" in self.browser.get(path), path


class ForOperatorsTestCase(AntivirusPortalTestCase):
    portal: ClassVar[Mapping[str, Any]] = {}
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block", "operator_users": ["@other:test"]}

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        for module in config["modules"]:
            module["config"]["operator_users"] = ["@other:test"]
        return config

    def test_others_see_everything_and_change_nothing(self) -> None:
        path = f"findings/{self.upload(VIRUS)}"
        page = self.browser.get(path)
        assert "den Betreibern vorbehalten" in page
        assert "/release" not in page
        assert "den Betreibern vorbehalten" in self.browser.get("rescans")
        look: Callable[[str], str] = self.browser.get
        for step in (f"{path}/release", f"{path}/delete", "rescans/start", "signatures/x/release"):
            assert "Den Betreibern vorbehalten" in look(step), step
