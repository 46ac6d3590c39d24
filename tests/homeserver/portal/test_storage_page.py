"""The storage pool, recounts and orphans in the portal, with the storage module behind them."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from synapse.rest.client import media

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.rest import BASE
from synapse_bum.testing.portal_case import PortalTestCase

API = f"{BASE}/storage"
GB = 1_000_000_000
EVIL = "<script>alert('x')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
SPACE = "\N{NO-BREAK SPACE}"
USAGE: Mapping[str, Any] = {
    "users": 2,
    "included_bytes": 2 * GB,
    "used_bytes": 2 * GB + 1,
    "local_bytes": GB,
    "remote_bytes": GB,
    "thumbnail_bytes": 1,
    "free_bytes": 0,
    "extension_gb": 1,
    "as_of_ts": 1_795_397_566_181,
}
REPORT: Mapping[str, Any] = {
    "complete": True,
    "looked_at": {"files": 6, "rows": 2},
    "files_without_rows": {
        "files": 1,
        "bytes": 4242,
        "kinds": [
            {
                "place": "the media store",
                "folder": "local_content",
                "files": 1,
                "bytes": 4242,
                "sample": ["aa/bb/orphan"],
            }
        ],
    },
    "rows_without_files": {"rows": 0, "bytes": 0, "kinds": []},
    "undecided_rows": 0,
    "young_files": 5,
    "foreign_files": 0,
    "not_looked_at": [],
    "not_looked_at_more": 0,
    "disbelieved": [],
}
LOOK: Mapping[str, Any] = {
    "run_id": "one",
    "state": "done",
    "dry_run": True,
    "started_by": None,
    "created_ts": 1,
    "started_ts": 2,
    "finished_ts": 3,
    "removed": {"files": 0, "bytes": 0},
    "report": REPORT,
    "error": None,
}


def answer(content: Mapping[str, Any], status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, "application/json", "", json.dumps(content).encode())


class StoragePageTestCase(PortalTestCase):
    more_modules = ({"module": "synapse_bum.storage.StorageModule", "config": {}},)
    servlets: ClassVar[list[Any]] = [*PortalTestCase.servlets, media.register_servlets]

    def setUp(self) -> None:
        super().setUp()
        self.browser.log_in()
        self.scripted = self.homeserver_api.scripted

    def settle(self, seconds: int = 30) -> None:
        for _ in range(seconds):
            self.reactor.advance(1)
            self.pump()

    def posted(self) -> list[Any]:
        asked = [r for r in self.homeserver_api.asked if r.method == "POST" and API in r.url]
        return [(request.url.rpartition("/")[2], json.loads(request.body or b"")) for request in asked]

    def progress_address(self) -> str:
        return self.browser.header("Refresh").partition("url=")[2].partition("?")[0]


class PoolTestCase(StoragePageTestCase):
    def test_before_the_first_count_nothing_is_made_up(self) -> None:
        self.scripted[f"GET {API}/usage"] = answer(dict.fromkeys(USAGE))
        page = self.browser.get("storage")
        assert "Es wurde noch nicht gezählt." in page
        assert "<progress" not in page

    def test_a_recount_and_the_pool(self) -> None:
        page = self.browser.get("storage/recount")
        assert "Er löscht nichts." in page
        assert self.posted() == []
        page = self.browser.submit("storage/recount")
        assert "Das Neuzählen ist angelegt." in page
        address = self.progress_address()
        self.settle()
        page = self.browser.get(address)
        assert "Es ist gezählt." in page
        assert not self.browser.header("Refresh")
        assert [path for path, _body in self.posted()] == ["recount"]
        page = self.browser.get("storage")
        assert "Der Pool reicht aus." in page
        assert f"0{SPACE}B von 2,0{SPACE}GB belegt" in page
        assert "durch 2 registrierte Nutzer" in page
        assert '<time datetime="' in page

    def test_a_pool_that_is_used_up(self) -> None:
        self.scripted[f"GET {API}/usage"] = answer(USAGE)
        page = self.browser.get("storage")
        assert "Der Pool ist aufgebraucht. Ein Gigabyte Erweiterung ist angefangen." in page
        assert "Ein angefangenes Gigabyte" in page
        assert 'class="full"' in page

    def test_what_a_recount_corrected(self) -> None:
        recount = {
            "run_id": "one",
            "state": "done",
            "started_by": f"@{EVIL}:test",
            "created_ts": 1,
            "started_ts": 2,
            "finished_ts": 3,
            "drift_bytes": {"local": 400, "remote": -5000, "thumbnails": 0},
            "error": None,
        }
        self.scripted[f"GET {API}/recount/one"] = answer(recount)
        page = self.browser.get("storage/recount/one")
        assert "wichen ab und sind berichtigt" in page
        assert f"-5,0{SPACE}kB" in page
        assert ESCAPED in page
        self.scripted[f"GET {API}/recount/one"] = answer(
            {**recount, "state": "failed", "drift_bytes": None, "error": EVIL}
        )
        page = self.browser.get("storage/recount/one")
        assert "Die Zählung ist fehlgeschlagen." in page
        assert "<script" not in page

    def test_too_many_recounts(self) -> None:
        refused = {"errcode": "M_UNKNOWN", "error": "10 recounts are waiting already"}
        self.scripted[f"POST {API}/recount"] = answer(refused, 409)
        assert "Es warten schon genug Zählungen" in self.browser.submit("storage/recount")

    def test_who_stores_how_much_is_not_shown_unless_that_is_switched_on(self) -> None:
        assert "storage/users" not in self.browser.get("storage")
        page = self.browser.get("storage/users")
        assert "zeigt dieses Portal nicht" in page
        assert not [request for request in self.homeserver_api.asked if f"{API}/users" in request.url]

    def test_an_api_that_is_away_is_no_empty_page(self) -> None:
        for name in ("usage", "orphans"):
            self.scripted[f"GET {API}/{name}"] = OSError("away")
        for path in ("storage", "storage/recount", "orphans", "orphans/look"):
            self.browser.get(path)
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE, path


class ActivityTestCase(StoragePageTestCase):
    portal: ClassVar[Mapping[str, Any]] = {"show_activity": True}

    def test_users_in_the_order_and_the_pages_that_were_asked_for(self) -> None:
        assert "storage/users" in self.browser.get("storage")
        users = [{"user_id": f"@{EVIL}:test", "used_bytes": 1_211_626, "files": 3}]
        self.scripted[f"GET {API}/users"] = answer({"users": users, "total": 120})
        page = self.browser.get("storage/users?order=files&from=50")
        assert ESCAPED in page
        assert "<script" not in page
        assert f"1,2{SPACE}MB" in page
        assert "order=files&amp;from=51" in page
        for order, query in (
            ("files", "order_by=files&dir=b&from=50&limit=50"),
            ("smallest", "order_by=used_bytes&dir=f&from=50&limit=50"),
            ("name", "order_by=user_id&dir=f&from=50&limit=50"),
            ("; DROP", "order_by=used_bytes&dir=b&from=50&limit=50"),
        ):
            self.browser.get(f"storage/users?order={order.replace(' ', '+')}&from=50")
            assert self.homeserver_api.asked[-1].url.endswith(query)


class OrphansTestCase(StoragePageTestCase):
    def test_a_look_by_hand(self) -> None:
        page = self.browser.get("orphans/look")
        assert "Er entfernt dabei nichts." in page
        page = self.browser.submit("orphans/look")
        assert "Die Suche ist angelegt." in page
        assert self.posted() == [("orphans", {"dry_run": True})]
        address = self.progress_address()
        self.settle()
        page = self.browser.get(address)
        assert "Die Suche ist fertig. Es ist nichts verwaist." in page
        assert "@boss:test" in self.browser.get("orphans")

    def test_files_are_removed_only_after_the_question(self) -> None:
        self.scripted[f"GET {API}/orphans/one"] = answer(LOOK)
        page = self.browser.get("orphans/one")
        assert "Sie hat etwas gefunden und nichts entfernt." in page
        assert "aa/bb/orphan" in page
        page = self.browser.get("orphans/one/remove")
        assert "Die Suche hat eine Datei gefunden" in page
        assert "älter als eine Woche" in page
        assert self.posted() == []
        self.browser.post("orphans/one/remove", {"_form": self.browser.token(page)})
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert self.posted() == [("orphans", {"dry_run": False})]

    def test_what_was_not_seen_is_said_and_nothing_breaks_out(self) -> None:
        nothing = {"files": 0, "bytes": 0, "kinds": []}
        unseen = [{"place": EVIL, "what": EVIL, "reason": EVIL}]
        report = {**REPORT, "complete": False, "files_without_rows": nothing, "not_looked_at": unseen}
        report |= {"not_looked_at_more": 2, "disbelieved": [EVIL]}
        self.scripted[f"GET {API}/orphans/one"] = answer({**LOOK, "report": report, "error": EVIL})
        page = self.browser.get("orphans/one")
        assert "konnte aber nicht alles ansehen" in page
        assert "nichts verwaist" not in page
        assert "und 2 weitere Orte" in page
        assert page.count(ESCAPED) == 5
        assert "<script" not in page
        assert "/remove" not in page
        self.browser.get("orphans/one/remove")
        assert self.browser.status == HTTPStatus.NOT_FOUND
        sample = [{"place": EVIL, "folder": EVIL, "files": 1, "bytes": 1, "sample": [EVIL]}]
        found = {**REPORT, "files_without_rows": {"files": 1, "bytes": 1, "kinds": sample}, "disbelieved": [EVIL]}
        self.scripted[f"GET {API}/orphans/one"] = answer({**LOOK, "report": found, "started_by": EVIL})
        self.scripted[f"GET {API}/orphans?"] = answer({"runs": [{**LOOK, "started_by": EVIL}], "total": 1})
        for path in ("orphans/one", "orphans/one/remove", "orphans"):
            assert "<script" not in self.browser.get(path)
            assert self.browser.status == HTTPStatus.OK

    def test_states_in_words_and_the_end_of_a_run(self) -> None:
        for given, sentence in (
            ({"state": "queued", "report": None}, "wartet auf ihren Beginn"),
            ({"state": "running"}, "Es wird gesucht."),
            ({"state": "cancelled"}, "abgebrochen"),
            ({"state": "failed"}, "konnte nicht angesehen oder entfernt werden"),
            ({"dry_run": False, "removed": {"files": 1, "bytes": 4242}}, "Eine verwaiste Datei wurde entfernt."),
        ):
            self.scripted[f"GET {API}/orphans/one"] = answer({**LOOK, **given})
            page = self.browser.get("orphans/one")
            assert sentence in page
            assert ("/one/cancel" in page) == (given.get("state") in {"queued", "running"})
        self.scripted[f"DELETE {API}/orphans/one"] = answer(
            {"errcode": "M_UNKNOWN", "error": "The run one is done: it is over"}, 409
        )
        assert "war schon zu Ende" in self.browser.submit("orphans/one/cancel")
        self.scripted[f"DELETE {API}/orphans/one"] = answer({})
        assert "Die Suche ist abgebrochen." in self.browser.submit("orphans/one/cancel")


class NoOperatorTestCase(StoragePageTestCase):
    more_modules = ({"module": "synapse_bum.storage.StorageModule", "config": {"operator_users": ["@op:test"]}},)
    portal: ClassVar[Mapping[str, Any]] = {"operator_users": ["@op:test"]}

    def test_others_read_only(self) -> None:
        self.scripted[f"GET {API}/orphans/one"] = answer(LOOK)
        for path in ("storage", "orphans", "orphans/one"):
            page = self.browser.get(path)
            assert "Änderungen sind den Betreibern vorbehalten." in page
            for step in ("storage/recount", "orphans/look", "one/remove"):
                assert step not in page
        for path in ("storage/recount", "orphans/look", "orphans/one/remove", "orphans/one/cancel"):
            self.browser.get(path)
            assert self.browser.status == HTTPStatus.FORBIDDEN, path


class NotLoadedTestCase(PortalTestCase):
    def test_that_there_is_no_storage_accounting_here_is_said(self) -> None:
        self.browser.log_in()
        for path in (
            "storage",
            "storage/recount",
            "orphans",
            "orphans/look",
            "invoice",
            "invoice/xrechnung?month=2026-01",
        ):
            assert "nicht eingerichtet" in self.browser.get(path), path
