"""The audit as administrators read and download it."""

import csv
import io
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from synapse_bum import audit
from synapse_bum.audit import Entry
from synapse_bum.database import Database
from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.pages.audit import MOST_IN_FILE
from synapse_bum.testing.portal_case import PortalTestCase

ROUTE = "GET /_synapse/client/bum/v1/audit"
SCRIPT = "<script>alert('x')</script>"
DAY_MS = 86_400_000


class AuditCase(PortalTestCase):
    def write(self, action: str, **fields: Any) -> None:  # noqa: ANN401 - of an entry
        """Writes a row of now, as a module does."""
        known = {"ts": self.now_ms(), "actor": self.boss, "target": "mxc://test/abc", **fields}
        database = Database(self.hs.get_module_api(), audit.AUDIT)
        self.get_success(database.run("test", audit.append, Entry(action=action, **known)))

    def rows(self, path: str = "audit/csv") -> list[list[str]]:
        """The downloaded file."""
        page = self.browser.get(path)
        assert self.browser.status == HTTPStatus.OK
        assert self.browser.header("Content-Type") == "text/csv; charset=utf-8"
        assert self.browser.header("Content-Disposition").startswith('attachment; filename="protokoll-')
        return list(csv.reader(io.StringIO(page.lstrip("\ufeff")), delimiter=";"))


class AuditTestCase(AuditCase):
    def test_who_did_what_when_and_why(self) -> None:
        self.write("antivirus.released", old="blocked", new="released", reason="Fehlalarm, Ticket 4711")
        self.write("audit.drop", actor="audit.drop", old={"rows": 3}, new={"before_ts": 1_795_362_228_165})
        self.browser.log_in()
        page = self.browser.get("audit")
        assert self.browser.status == HTTPStatus.OK
        assert "Einträge 1 bis 2 von 2" in page
        assert "Gesperrte Datei freigegeben" in page
        assert "@boss:test" in page.partition("<main")[2]
        assert "Begründung: Fehlalarm, Ticket 4711" in page
        assert "blocked → released" in page
        assert "Aufbewahrung des Protokolls (automatisch)" in page
        assert "Uhr" in page.partition("before_ts")[2][:60]

    def test_an_action_that_nobody_has_named_is_shown_as_it_is(self) -> None:
        self.write("availability.outage.added", actor="job.new")
        self.browser.log_in()
        page = self.browser.get("audit?action=availability.outage.added")
        assert "<code>availability.outage.added</code>" in page
        assert '<option value="availability.outage.added" selected>' in page
        assert "job.new" in page

    def test_filters(self) -> None:
        self.reactor.advance(1_795_362_228 - self.reactor.seconds())
        self.write("federation.added", target="a.example", ts=self.now_ms() - 3 * DAY_MS)
        self.write("federation.removed", target="b.example")
        self.browser.log_in()
        page = self.browser.get("audit?action=federation.added")
        assert "a.example" in page
        assert "b.example" not in page
        newest, oldest = (row[0][:10] for row in self.rows()[1:])
        page = self.browser.get(f"audit?since={newest}")
        assert "b.example" in page
        assert "a.example" not in page
        assert f"audit/csv?since={newest}" in page, "the download keeps the filter"
        assert "a.example" in self.browser.get(f"audit?since={oldest}")
        page = self.browser.get("audit?since=yesterday")
        assert self.browser.status == HTTPStatus.OK
        assert "Bitte geben Sie ein Datum ein." in page

    def test_what_others_have_written_is_text_and_nothing_else(self) -> None:
        self.write(SCRIPT, actor=SCRIPT, target=SCRIPT, reason=SCRIPT, old={SCRIPT: SCRIPT}, new={"a": [SCRIPT]})
        self.browser.log_in()
        for path in ("audit", "audit?action=%3Cscript%3E&since=%22%3E%3Cscript%3E"):
            page = self.browser.get(path)
            assert self.browser.status == HTTPStatus.OK
            assert "&lt;script&gt;" in page
            assert "<script" not in page

    def test_nonsense_in_the_address(self) -> None:
        self.browser.log_in()
        for query in (
            "from=-1",
            "action=%00",
            "since=9999-99-99",
            "since=0001-01-01",
            "since=1970-01-01",
            "action=%0a",
        ):
            self.browser.get(f"audit?{query}")
            assert self.browser.status == HTTPStatus.OK, query
        self.browser.get("audit?from=999999999")
        assert self.browser.status == HTTPStatus.SEE_OTHER, "to the last page"

    def test_a_server_that_does_not_answer_is_no_empty_log(self) -> None:
        self.browser.log_in()
        self.homeserver_api.scripted[ROUTE] = OSError("away")
        for path in ("audit", "audit/csv"):
            page = self.browser.get(path)
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
            assert "Keine Einträge" not in page


class DownloadTestCase(AuditCase):
    def test_every_row_and_no_formula(self) -> None:
        self.write("retention.hold.set", target="=1+1", reason="@SUM(A1)", new={"until_ts": 5})
        self.write("media.delete", actor="-2")
        self.browser.log_in()
        head, newest, oldest = self.rows()
        assert head[:3] == ["Zeitpunkt", "Von wem", "Aktion"]
        assert newest[1:4] == ["'-2", "media.delete", "Datei gelöscht"]
        assert oldest[1] == "'@boss:test"
        assert oldest[4:8] == ["'=1+1", "", '{"until_ts": 5}', "'@SUM(A1)"]
        assert len(oldest[8]) == 64
        assert self.rows("audit/csv?action=media.delete") == [head, newest]

    def test_a_long_log_is_read_in_parts_and_its_end_is_said(self) -> None:
        self.browser.log_in()
        asked: list[int] = []
        send = self.homeserver_api.send

        async def scripted(exchange: Any, request: Any, seconds: float) -> HttpAnswer:  # noqa: ANN401 - as `send`
            if "/bum/v1/audit" not in request.url:
                return await send(exchange, request, seconds)
            query = parse_qs(urlsplit(request.url).query)
            offset, limit = int(query["from"][0]), int(query["limit"][0])
            asked.append(offset)
            # A row has come in since the last part: the first of this one was the last of that one.
            first = offset - 1 if offset else 0
            rows = [
                {"ts": 1, "actor": "a", "action": "b", "target": "c", "old": None, "new": None, "reason": None}
                | {"hash": str(number)}
                for number in range(first, offset + limit)
            ]
            body = {"audit": rows, "total": 50_000, "next_token": str(offset + limit)}
            return HttpAnswer(200, "application/json", "", json.dumps(body).encode())

        self.homeserver_api.send = scripted  # type: ignore[method-assign]
        found = self.rows()
        assert asked == list(range(0, MOST_IN_FILE, 1000))
        assert [row[-1] for row in found[1:-1]] == [str(number) for number in range(MOST_IN_FILE)]
        assert "nur die neuesten 10.000 Einträge" in found[-1][0]
        page = self.browser.get("audit")
        assert "höchstens die neuesten 10.000 Einträge" in page
