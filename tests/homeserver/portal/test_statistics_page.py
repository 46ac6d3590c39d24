"""Statistics as administrators see and download them."""

import csv
import datetime as dt
import io
import json
import re
from http import HTTPStatus
from typing import Any

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.statistics.calendar_days import begin_ms
from synapse_bum.testing.portal_case import PortalTestCase

OWN = "GET /_synapse/client/bum/v1/portal/statistics"
STORED = "GET /_synapse/client/bum/v1/storage/history"
FIRST = dt.date(2026, 1, 1)
TODAY = dt.date(2026, 11, 23)


def answer(name: str, days: list[dict[str, Any]]) -> HttpAnswer:
    """A list of the API."""
    return HttpAnswer(200, "application/json", "", json.dumps({name: days, "total": len(days)}).encode())


def own(count: int) -> HttpAnswer:
    """Daily counts; rooms of the second day are not known."""
    days = [FIRST + dt.timedelta(days=number) for number in range(count)]
    return answer(
        "statistics",
        [
            {
                "day": day.isoformat(),
                "ts": begin_ms(day),
                "counted_ts": begin_ms(day),
                "rooms": None if number == 1 else number,
                "messages": number * 10,
                "sent_messages": number * 7,
                "active_users": 3,
                "registered_users": 870 + number,
            }
            for number, day in enumerate(days)
        ],
    )


def stored(count: int) -> HttpAnswer:
    """Daily counts of the storage accounting."""
    days = [FIRST + dt.timedelta(days=number) for number in range(count)]
    return answer(
        "history",
        [
            {
                "ts": begin_ms(day) + 80_000_000,
                "users": 900 + number,
                "included_bytes": 10**12,
                "used_bytes": 10**9 * number,
                "local_bytes": 0,
                "remote_bytes": 0,
                "thumbnail_bytes": 0,
            }
            for number, day in enumerate(days)
        ],
    )


class StatisticsPageCase(PortalTestCase):
    def look(self, count: int, path: str = "statistics") -> str:
        """The page when so many days were counted."""
        self.homeserver_api.scripted[OWN] = own(count)
        self.homeserver_api.scripted[STORED] = stored(count)
        self.browser.log_in()
        page = self.browser.get(path)
        assert self.browser.status == HTTPStatus.OK
        return page


class StatisticsTestCase(StatisticsPageCase):
    def test_a_chart_with_a_title_and_a_table_for_each(self) -> None:
        page = self.look(20)
        assert page.count('role="img"') == 4
        assert page.count("<table>") == 4
        titles = re.findall(r'<svg class="chart"[^>]*aria-labelledby="([^"]+)"', page)
        assert len(set(titles)) == 4
        for title in titles:
            assert f'<title id="{title}">' in page
        assert "NaN" not in page
        assert "Registrierte Nutzer: zuletzt 919 (20.01.2026)" in page
        assert "Belegt: zuletzt 19,0\N{NO-BREAK SPACE}GB (20.01.2026)" in page
        assert '<th scope="row">20.01.2026</th><td class="number">190</td><td class="number">133</td>' in page
        # What nobody has counted is no row, and no zero: rooms of the second day.
        assert page.count('<th scope="row">02.01.2026</th>') == 3
        assert "Aktive Nutzer" not in page

    def test_a_long_span_has_a_short_table_and_a_small_page(self) -> None:
        page = self.look(400, "statistics?span=730")
        assert "Woche" not in page
        assert '<th scope="row">01/2026</th>' in page
        assert len(page) < 100_000
        assert '<option value="730" selected>' in page

    def test_one_day_is_a_dot(self) -> None:
        page = self.look(1)
        assert page.count("<circle") >= 4

    def test_nothing_yet(self) -> None:
        page = self.look(0)
        assert page.count("Für diesen Zeitraum gibt es noch keine Zählung.") == 4
        assert "<svg" not in page

    def test_a_module_that_is_not_loaded_is_said_not_to_be(self) -> None:
        self.browser.log_in()
        page = self.browser.get("statistics")
        assert self.browser.status == HTTPStatus.OK
        assert page.count("Die Speicherabrechnung ist auf diesem Server nicht eingerichtet.") == 1
        assert page.count("noch keine Zählung") == 3

    def test_users_over_time_also_without_the_storage_accounting(self) -> None:
        self.homeserver_api.scripted[OWN] = own(20)
        self.browser.log_in()
        assert "Registrierte Nutzer: zuletzt 889 (20.01.2026)" in self.browser.get("statistics")
        rows = list(csv.reader(io.StringIO(self.browser.get("statistics/csv").lstrip("\ufeff")), delimiter=";"))
        assert rows[0][:2] == ["Tag", "Registrierte Nutzer"]
        assert rows[1][:2] == ["2026-01-01", "870"]

    def test_a_sum_of_which_days_are_missing_says_so(self) -> None:
        page = self.look(45, "statistics?span=730")
        assert page.count("(14 von 28 Tagen)") == 1
        assert "von 31 Tagen" not in page

    def test_a_server_that_does_not_answer_is_no_empty_chart(self) -> None:
        self.browser.log_in()
        for route in (STORED, OWN):
            self.homeserver_api.scripted[route] = OSError("away")
            for path in ("statistics", "statistics/csv"):
                self.browser.get(path)
                assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE

    def test_nonsense_in_the_address_is_the_shortest_span(self) -> None:
        assert '<option value="30" selected>' in self.look(3, "statistics?span=%3Cscript%3E&span=9")

    def test_only_the_span_is_asked_for(self) -> None:
        self.reactor.advance(begin_ms(TODAY) / 1000 + 40_000 - self.reactor.seconds())
        self.look(3, "statistics?span=90")
        asked = [request.url for request in self.homeserver_api.asked if "statistics" in request.url]
        assert f"from_ts={begin_ms(TODAY - dt.timedelta(days=90))}" in asked[-1]

    def test_every_day_is_in_the_file(self) -> None:
        page = self.look(400, "statistics/csv?span=730")
        assert self.browser.header("Content-Type") == "text/csv; charset=utf-8"
        rows = list(csv.reader(io.StringIO(page.lstrip("\ufeff")), delimiter=";"))
        assert len(rows) == 401
        assert rows[0][:3] == ["Tag", "Registrierte Nutzer", "Räume"]
        assert rows[2] == ["2026-01-02", "901", "", "10", "7", "1000000000", "1000000000000"]


class ActivityTestCase(StatisticsPageCase):
    portal = {"show_activity": True}

    def test_users_of_a_day_where_that_is_switched_on(self) -> None:
        page = self.look(20)
        assert "Aktive Nutzer" in page
        assert 'class="chart-legend"' in page

    def test_also_without_the_storage_accounting(self) -> None:
        self.homeserver_api.scripted[OWN] = own(5)
        self.browser.log_in()
        page = self.browser.get("statistics")
        assert re.search(r'05\.01\.2026</th><td class="number">874</td><td class="number">3</td>', page)
