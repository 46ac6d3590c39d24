"""Retention in the portal: what is overdue, dry runs, runs, confirmations and the record of deletions."""

import csv
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import AsyncMock, patch

from synapse.rest.client import media
from synapse.server import HomeServer

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.rest import BASE
from synapse_bum.retention.runs.runner import Runner
from synapse_bum.testing.portal_case import PortalTestCase

API = f"{BASE}/retention"
DAY_S = 86_400
EVIL = "<script>alert('x')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
RUN: Mapping[str, Any] = {
    "run_id": "d0e0c3e11b3e2dd9",
    "state": "done",
    "dry_run": True,
    "classes": ["messages", "local_media"],
    "confirm": False,
    "started_by": "@boss:test",
    "created_ts": 1,
    "started_ts": 2,
    "finished_ts": 3,
    "progress": {"done": 4, "total": 4},
    "deleted": {"messages": 3, "local_media": 1, "remote_media": 0, "bytes": 8_300_000},
    "sample": [],
    "needs_confirmation": [],
    "error": None,
}
WAITING = {
    **RUN,
    "run_id": "waiting",
    "dry_run": False,
    "state": "needs_confirmation",
    "needs_confirmation": ["messages"],
}
NOTHING_DUE = {"oldest_age_ms": 0, "backlog_items": 0, "backlog_bytes": 0, "last_success_ts": None}
STATUS = {
    "messages": {**NOTHING_DUE, "lifetime_ms": 365 * DAY_S * 1000},
    "local_media": {**NOTHING_DUE, "lifetime_ms": 90 * DAY_S * 1000},
    "remote_media": {**NOTHING_DUE, "lifetime_ms": None},
}


def answer(content: Mapping[str, Any], status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, "application/json", "", json.dumps(content).encode())


class RetentionPageTestCase(PortalTestCase):
    """A file that alice uploaded before anything ran is 91 days old, and no scheduled run comes."""

    retention: ClassVar[Mapping[str, Any]] = {
        "local_media": {"lifetime": "90d"},
        "schedule": {"interval": "400d"},
    }
    servlets: ClassVar[list[Any]] = [*PortalTestCase.servlets, media.register_servlets]
    large_class: ClassVar[int] = 1_000

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        settings = dict(self.retention)
        config["modules"].append({"module": "synapse_bum.retention.RetentionModule", "config": settings})
        return config

    def make_homeserver(self, *reactor_and_clock: object) -> HomeServer:
        patched = patch("synapse_bum.retention.media.local_media.LARGE_CLASS", self.large_class)
        patched.start()
        self.addCleanup(patched.stop)
        return super().make_homeserver(*reactor_and_clock)

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        channel = self.make_request(
            "POST",
            "/_matrix/media/v3/upload",
            content=b"old",
            access_token=self.login("alice", "pass"),
            shorthand=False,
            content_type=b"text/plain",
            custom_headers=[("Content-Length", "3")],
        )
        assert channel.code == HTTPStatus.OK, channel.json_body
        self.mxc = str(channel.json_body["content_uri"])

    def setUp(self) -> None:
        super().setUp()
        self.settle()
        self.reactor.advance(91 * DAY_S)
        self.settle()
        self.browser.log_in()

    def settle(self) -> None:
        for _ in range(200):
            self.reactor.advance(0.5)

    def runs_asked_for(self) -> list[Any]:
        return [json.loads(r.body or b"") for r in self.homeserver_api.asked if r.method == "POST" and API in r.url]


class RunTestCase(RetentionPageTestCase):
    def test_a_dry_run_and_then_a_run_delete_what_is_overdue(self) -> None:
        page = self.browser.get("retention")
        assert "Ein Eintrag ist überfällig." in page
        assert "Frist: 90\N{NO-BREAK SPACE}Tage" in page
        assert "Rückstand: ein Eintrag, 3\N{NO-BREAK SPACE}B" in page
        assert "Keine Frist eingestellt" in page

        page = self.browser.get("retention/dry-run")
        assert 'name="local_media"' in page
        assert 'name="messages"' not in page
        page = self.browser.submit("retention/dry-run")
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "Bitte wählen Sie mindestens eine Art." in page
        page = self.browser.submit("retention/dry-run", {"local_media": "on"})
        assert "Der Probelauf ist angelegt." in page
        assert self.browser.header("Refresh")
        address = self.browser.header("Refresh").partition("url=")[2].partition("?")[0]
        self.settle()
        page = self.browser.get(address)
        assert not self.browser.header("Refresh")
        assert "Er hat nichts gelöscht." in page
        assert "Eine hier hochgeladene Datei" in page
        assert self.mxc in page
        assert "Jetzt löschen …" in page

        page = self.browser.get(f"{address}/carry-out")
        assert "Gelöschtes lässt sich nicht zurückholen." in page
        assert "Eine hier hochgeladene Datei" in page
        assert len(self.runs_asked_for()) == 1
        page = self.browser.submit(f"{address}/carry-out")
        assert "Der Löschlauf ist angelegt." in page
        assert self.runs_asked_for() == [
            {"dry_run": True, "classes": ["local_media"], "confirm": False},
            {"dry_run": False, "classes": ["local_media"], "confirm": False},
        ]
        self.settle()
        page = self.browser.get("retention")
        assert "Nichts ist überfällig." in page
        assert "Zuletzt vollständig gelöscht:" in page
        page = self.browser.get("retention/runs")
        assert page.count("@boss:test") >= 2
        assert "Zeitplan" in page

        page = self.browser.get("retention/deletions")
        assert self.mxc in page
        assert "Frist abgelaufen" in page
        self.browser.get("retention/deletions/csv")
        content = self.browser.channel.result["body"].decode("utf-8-sig")
        head, row = csv.reader(content.splitlines(), delimiter=";")
        assert row[:4] == ["Hier hochgeladene Dateien", self.mxc, "1", "3"]
        assert row[4] == "retention:local_media"
        assert len(head) == len(row)

    def test_a_run_can_be_cancelled_until_it_is_over(self) -> None:
        # However long the test takes to say so, nobody has taken the run up before.
        with patch.object(Runner, "_turn", new=AsyncMock()):
            self.browser.submit("retention/dry-run", {"local_media": "on"})
            address = self.browser.header("Refresh").partition("url=")[2].partition("?")[0]
            page = self.browser.submit(f"{address}/cancel")
        assert "Der Lauf ist abgebrochen." in page
        assert "Lauf abbrechen" not in page
        page = self.browser.submit(f"{address}/cancel")
        assert "Der Lauf war schon zu Ende." in page


class ConfirmationTestCase(RetentionPageTestCase):
    """One file makes the class a large one; a run by schedule has found that nobody has confirmed its lifetime."""

    large_class = 1
    retention: ClassVar[Mapping[str, Any]] = {**RetentionPageTestCase.retention, "schedule": {"interval": "80d"}}

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.settle()
        # The very first run went through an empty class, which needs no confirmation.
        forget = "DELETE FROM synapse_bum_retention_classes"
        self.get_success(self.hs.get_module_api().run_db_interaction("test", lambda txn: txn.execute(forget)))

    def test_a_new_lifetime_is_confirmed_once_and_then_deletes(self) -> None:
        page = self.browser.get("retention")
        assert "Ein Löschlauf wartet auf eine Bestätigung" in page
        page = self.browser.get("retention/confirm")
        assert "Hier hochgeladene Dateien: Frist 90\N{NO-BREAK SPACE}Tage" in page
        assert "keinen abgeschlossenen Probelauf" in page
        self.browser.submit("retention/dry-run", {"local_media": "on"})
        address = self.browser.header("Refresh").partition("url=")[2].partition("?")[0]
        self.settle()
        page = self.browser.get(address)
        assert "Hierfür wartet eine neue oder verkürzte Frist" in page
        assert "retention/confirm" in page
        page = self.browser.get(f"{address}/carry-out")
        assert "Was erst durch sie abgelaufen ist, löscht dieser Lauf nicht." in page
        page = self.browser.get("retention/confirm")
        assert "hat gezählt:" in page
        assert "Eine hier hochgeladene Datei" in page
        page = self.browser.submit("retention/confirm")
        assert "Der Löschlauf ist angelegt." in page
        assert self.runs_asked_for()[-1] == {"dry_run": False, "classes": ["local_media"], "confirm": True}
        self.settle()
        page = self.browser.get("retention")
        assert "wartet auf eine Bestätigung" not in page
        assert "Nichts ist überfällig." in page
        self.browser.get("retention/confirm")
        assert self.browser.status == HTTPStatus.NOT_FOUND


class DryOnlyTestCase(RetentionPageTestCase):
    retention: ClassVar[Mapping[str, Any]] = {**RetentionPageTestCase.retention, "dry_run": True}

    def test_that_the_configuration_allows_no_run_is_said(self) -> None:
        self.browser.submit("retention/dry-run", {"local_media": "on"})
        address = self.browser.header("Refresh").partition("url=")[2].partition("?")[0]
        self.settle()
        page = self.browser.submit(f"{address}/carry-out")
        assert "Die Konfiguration des Servers erlaubt zurzeit nur Probeläufe" in page


class ScriptedTestCase(PortalTestCase):
    """What the API may answer at other times."""

    more_modules = ({"module": "synapse_bum.retention.RetentionModule", "config": {}},)

    def setUp(self) -> None:
        super().setUp()
        self.browser.log_in()
        self.scripted = self.homeserver_api.scripted
        self.scripted[f"GET {API}/status"] = answer(STATUS)

    def test_states_of_runs_in_words(self) -> None:
        for given, sentence, offers in (
            ({"state": "queued"}, "wartet auf seinen Beginn", "cancel"),
            (
                {"state": "running", "progress": {"done": 2, "total": 4}},
                "2 von bisher gefundenen 4 Einträgen",
                "cancel",
            ),
            ({"state": "failed", "error": EVIL}, "Seine Zahlen sind unvollständig.", None),
            ({"state": "cancelled"}, "wurde abgebrochen", None),
            ({"state": "done"}, "3 Nachrichten", "carry-out"),
            ({"state": "done", "dry_run": False}, "Der Löschlauf ist fertig.", None),
            ({"deleted": {"messages": 0, "local_media": 0, "remote_media": 0, "bytes": 0}}, "0 Nachrichten", None),
        ):
            self.scripted[f"GET {API}/runs/one"] = answer({**RUN, "run_id": "one", **given})
            page = self.browser.get("retention/runs/one")
            assert self.browser.status == HTTPStatus.OK
            assert sentence in page, given
            for step in ("cancel", "carry-out"):
                assert (f"/one/{step}" in page) == (step == offers), given
            assert "<script" not in page
            assert bool(self.browser.header("Refresh")) == (given.get("state") in {"queued", "running"})

    def test_a_run_that_waits_leads_to_the_confirmation_only_while_it_waits(self) -> None:
        self.scripted[f"GET {API}/runs/waiting"] = answer(WAITING)
        self.scripted[f"GET {API}/runs?"] = answer({"runs": [WAITING], "total": 1})
        page = self.browser.get("retention/runs/waiting")
        assert "Das wartet noch auf eine Bestätigung." in page
        assert "retention/confirm" in page
        newer = {**WAITING, "state": "done", "needs_confirmation": []}
        self.scripted[f"GET {API}/runs?"] = answer({"runs": [newer, WAITING], "total": 2})
        page = self.browser.get("retention/runs/waiting")
        assert "Das ist überholt" in page
        assert "retention/confirm" not in page

    def test_nothing_is_begun_when_somebody_else_has_confirmed(self) -> None:
        self.scripted[f"GET {API}/runs?"] = answer({"runs": [WAITING], "total": 1})
        token = self.browser.token(self.browser.get("retention/confirm"))
        self.scripted[f"GET {API}/runs?"] = answer({"runs": [], "total": 0})
        self.browser.post("retention/confirm", {"_form": token})
        assert self.browser.status == HTTPStatus.NOT_FOUND
        assert not [request for request in self.homeserver_api.asked if request.method == "POST" and API in request.url]

    def test_a_double_click_deletes_once(self) -> None:
        self.scripted[f"GET {API}/runs/one"] = answer({**RUN, "run_id": "one"})
        self.scripted[f"POST {API}/runs"] = answer({"run_id": "two"}, 202)
        token = self.browser.token(self.browser.get("retention/runs/one/carry-out"))
        for _ in range(2):
            self.browser.post("retention/runs/one/carry-out", {"_form": token})
            assert self.browser.location.endswith("/retention/runs/two")
        assert len([r for r in self.homeserver_api.asked if r.method == "POST" and f"{API}/runs" in r.url]) == 1

    def test_an_old_dry_run_is_named_so_and_only_one_that_found_something_is_carried_out(self) -> None:
        self.wait(2 * DAY_S)
        self.browser.log_in()
        self.scripted[f"GET {API}/runs/one"] = answer({**RUN, "run_id": "one"})
        assert "Der Probelauf ist älter als ein Tag." in self.browser.get("retention/runs/one/carry-out")
        for given in ({"state": "failed"}, {"state": "running"}, {"dry_run": False}):
            self.scripted[f"GET {API}/runs/one"] = answer({**RUN, "run_id": "one", **given})
            self.browser.get("retention/runs/one/carry-out")
            assert self.browser.status == HTTPStatus.NOT_FOUND, given

    def test_what_is_not_known_is_not_called_nothing(self) -> None:
        unknown = {"oldest_age_ms": None, "backlog_items": None, "backlog_bytes": None, "last_success_ts": None}
        local = {"lifetime_ms": 90 * DAY_S * 1000, **unknown}
        self.scripted[f"GET {API}/status"] = answer({**STATUS, "local_media": local})
        page = self.browser.get("retention")
        assert "Noch nicht bekannt" in page
        assert page.count("Nichts ist überfällig.") == 1
        assert "Noch kein Lauf ist hier bis zum Ende gekommen." in page

    def test_no_lifetime_no_runs(self) -> None:
        none = {**NOTHING_DUE, "lifetime_ms": None}
        self.scripted[f"GET {API}/status"] = answer(dict.fromkeys(STATUS, none))
        assert "retention/dry-run" not in self.browser.get("retention")
        assert "keine Frist dafür eingestellt" in self.browser.get("retention/dry-run")

    def test_nothing_breaks_out(self) -> None:
        sample = [{"kind": "local_media", "target": EVIL, "ts": 1, "size_bytes": 1}]
        run = {**RUN, "run_id": "one", "started_by": f"@{EVIL}:test", "sample": sample, "error": EVIL}
        deletions = [
            {
                "kind": "messages",
                "target": EVIL,
                "items": 1,
                "size_bytes": 1,
                "policy": EVIL,
                "planned_ts": 1,
                "done_ts": 2,
            },
            {
                "kind": "local_media",
                "target": "=1+1",
                "size_bytes": 1,
                "policy": "a:b",
                "planned_ts": 1,
                "done_ts": None,
            },
        ]
        self.scripted[f"GET {API}/runs/one"] = answer(run)
        self.scripted[f"GET {API}/runs?"] = answer({"runs": [run], "total": 1})
        self.scripted[f"GET {API}/deletions"] = answer({"deletions": deletions, "total": 2})
        for path in ("retention", "retention/runs", "retention/runs/one", "retention/runs/one/carry-out"):
            page = self.browser.get(path)
            assert self.browser.status == HTTPStatus.OK
            assert "<script" not in page
        page = self.browser.get("retention/deletions")
        assert page.count(ESCAPED) == 2
        assert "wird entfernt" in page
        assert "<script" not in page
        self.browser.get("retention/deletions/csv")
        assert b'"\'=1+1"' in self.browser.channel.result["body"]

    def test_the_record_is_paged_and_its_file_says_where_it_ends(self) -> None:
        one = {"kind": "messages", "items": 2, "size_bytes": 1, "policy": "retention:messages", "done_ts": 2}

        def page_of(begin: int) -> HttpAnswer:
            rows = [{**one, "target": "!r:test", "planned_ts": begin + number} for number in range(1_000)]
            return answer({"deletions": rows, "total": 20_000, "next_token": str(begin + 1_000)})

        for begin in range(0, 10_000, 1_000):
            self.scripted[f"GET {API}/deletions?from={begin}&limit=1000"] = page_of(begin)
        self.scripted[f"GET {API}/deletions?from=50&limit=50"] = answer({"deletions": [], "total": 20_000})
        self.browser.get("retention/deletions/csv")
        lines = self.browser.channel.result["body"].decode().splitlines()
        assert len(lines) == 10_002
        assert "nur die neuesten 10.000 Einträge" in lines[-1]
        self.browser.get("retention/deletions?from=50")
        assert self.browser.status == HTTPStatus.OK

    def test_an_api_that_is_away_is_no_empty_list(self) -> None:
        for name in ("status", "runs", "deletions"):
            self.scripted[f"GET {API}/{name}"] = OSError("away")
        for path in ("retention", "retention/runs", "retention/deletions", "retention/deletions/csv"):
            self.browser.get(path)
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE, path


class NoOperatorTestCase(PortalTestCase):
    more_modules = (
        {
            "module": "synapse_bum.retention.RetentionModule",
            "config": {"local_media": {"lifetime": "90d"}, "operator_users": ["@op:test"]},
        },
    )
    portal: ClassVar[Mapping[str, Any]] = {"operator_users": ["@op:test"]}

    def test_others_read_only(self) -> None:
        self.browser.log_in()
        self.homeserver_api.scripted[f"GET {API}/runs/one"] = answer({**RUN, "run_id": "one"})
        for path in ("retention", "retention/runs", "retention/runs/one"):
            page = self.browser.get(path)
            assert "Änderungen sind den Betreibern vorbehalten." in page
            assert "dry-run" not in page
            assert "carry-out" not in page
        for path in (
            "retention/dry-run",
            "retention/confirm",
            "retention/runs/one/carry-out",
            "retention/runs/one/cancel",
        ):
            self.browser.get(path)
            assert self.browser.status == HTTPStatus.FORBIDDEN, path
