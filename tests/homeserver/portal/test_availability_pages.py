"""Availability, outages and maintenance: answers in the shape of docs/api.md, and what is sent back."""

import datetime as dt
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.testing.portal_case import PortalTestCase

BUM = "/_synapse/client/bum/v1"
REPORT_ROUTE = f"GET {BUM}/availability?"
OUTAGES = f"{BUM}/availability/outages"
MAINTENANCE = f"{BUM}/maintenance"
NASTY = "<img src=x onerror=alert(1)>\"'"
ID = "5f51397b8e914212"


def ms(written: str) -> int:
    """A moment of Germany such as `2026-05-04 10:00`."""
    return int(dt.datetime.fromisoformat(written).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000)


def answer(content: Mapping[str, Any], status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, "application/json", "", json.dumps(content).encode())


def refusal(sentence: str, status: int = 400) -> HttpAnswer:
    return answer({"errcode": "M_INVALID_PARAM", "error": sentence}, status)


OUTAGE = {
    "id": ID,
    "from_ts": 1777881600000,
    "to_ts": 1777883400000,
    "ticket": "INC-4711",
    "excuse": None,
    "reason": "Netzteil ausgefallen",
    "source": "measured",
    "created_by": "availability.probe",
    "created_ts": 1777881665000,
    "changed_ts": 1777902000000,
}
ENTERED = {**OUTAGE, "source": "entered", "created_by": "@boss:test", "from_ts": OUTAGE["from_ts"] + 41_234}  # type: ignore[operator]
REPORT = {
    "month": "2026-05",
    "preliminary": False,
    "service_minutes": 44640,
    "outage_minutes": 35,
    "excused_minutes": 15,
    "measured_outage_minutes": 60,
    "not_measured_minutes": 12,
    "allowed_minutes": 44,
    "availability": 0.99921594,
    "measured_availability": 0.99865591,
    "target": 0.999,
    "target_met": True,
    "outages": [OUTAGE],
    "as_of_ts": 1780300800000,
}
ANNOUNCED = {
    "id": "0b6b7a1d2e3f4a5b",
    "from_ts": 1795500000000,
    "to_ts": 1795503600000,
    "text": "Der Messenger wird aktualisiert.",
    "created_ts": 1795410860000,
}
TIMES = {"from_day": "2026-11-20", "from_time": "10:00", "to_day": "2026-11-20", "to_time": "10:30"}
FIELDS = {**TIMES, "ticket": "INC-1", "excuse": "none", "reason": "Strom"}


class AvailabilityCase(PortalTestCase):
    """The homeserver has no such module; `self.api` scripts its answers."""

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.reactor.advance(ms("2026-11-23 12:00") / 1000 - self.reactor.seconds())
        self.pump(0.1)
        self.browser.log_in()

    @property
    def api(self) -> dict[str, Any]:
        return self.homeserver_api.scripted

    def sent(self, method: str, path: str) -> list[dict[str, Any]]:
        """The bodies of what was sent."""
        return [
            json.loads(request.body or b"{}")
            for request in self.homeserver_api.asked
            if request.method == method and request.url.endswith(path)
        ]


class NotThereTestCase(AvailabilityCase):
    def test_without_the_module_every_page_says_that_it_is_not_set_up(self) -> None:
        pages = ("availability", "availability/file?month=2026-05", "outages", f"outages/{ID}", "maintenance")
        for path in (*pages, f"outages/{ID}/edit", f"maintenance/{ID}/withdraw"):
            page = self.browser.get(path)
            assert self.browser.status == HTTPStatus.NOT_FOUND, path
            assert "nicht eingerichtet" in page, path

    def test_an_api_that_is_away_is_no_empty_report(self) -> None:
        self.api[f"GET {BUM}/"] = OSError("away")
        for path in ("availability", "outages", "maintenance"):
            self.browser.get(path)
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE, path


class ReportTestCase(AvailabilityCase):
    def test_measured_and_contractual_stand_side_by_side(self) -> None:
        self.api[REPORT_ROUTE] = answer(REPORT)
        page = self.browser.get("availability?month=2026-05")
        for share in ("99,9215", "99,8655", "99,9000"):
            assert f"{share}\N{NO-BREAK SPACE}%" in page
        assert "wurde eingehalten: 35 Ausfallminuten, erlaubt waren 44." in page
        assert "Für 12 Minuten liegt keine Messung vor" in page
        assert "44.640" in page
        assert f"outages/{ID}" in page
        assert self.homeserver_api.asked[-1].url.endswith("/availability?month=2026-05")

    def test_a_month_that_is_not_over_and_one_that_was_missed(self) -> None:
        self.api[REPORT_ROUTE] = answer({**REPORT, "preliminary": True})
        assert "Vorläufig" in self.browser.get("availability")
        assert self.homeserver_api.asked[-1].url.endswith("month=2026-10"), "the last month that is over"
        self.api[REPORT_ROUTE] = answer({**REPORT, "target_met": False})
        assert "wurde nicht eingehalten" in self.browser.get("availability")

    def test_words_of_others_stay_words(self) -> None:
        nasty = {**OUTAGE, "ticket": NASTY, "reason": NASTY, "created_by": NASTY}
        self.api[REPORT_ROUTE] = answer({**REPORT, "outages": [nasty]})
        self.api[f"GET {OUTAGES}/{ID}"] = answer({**nasty, "source": "entered"})
        self.api[f"GET {OUTAGES}"] = answer({"outages": [nasty], "total": 1})
        self.api[f"GET {MAINTENANCE}/{ID}"] = answer({**ANNOUNCED, "text": NASTY})
        self.api[f"GET {MAINTENANCE}"] = answer({"maintenance": [{**ANNOUNCED, "text": NASTY}], "total": 1})
        for path in (
            *("availability", "outages", f"outages/{ID}", f"outages/{ID}/edit", f"outages/{ID}/remove"),
            *("maintenance", f"maintenance/{ID}/edit", f"maintenance/{ID}/withdraw"),
        ):
            page = self.browser.get(path)
            assert self.browser.status == HTTPStatus.OK, path
            assert NASTY not in page, path
            assert "<img" not in page, path

    def test_a_month_without_a_report_and_one_that_is_none(self) -> None:
        self.api[REPORT_ROUTE] = refusal("`month`: the service began on 2026-05-11, after 2026-04")
        page = self.browser.get("availability?month=2026-04")
        assert "Für diesen Monat gibt es keinen Bericht" in page
        assert "the service began on 2026-05-11" in page
        self.api[REPORT_ROUTE] = answer(REPORT)
        assert "Das ist kein Monat" in self.browser.get("availability?month=2026-13")

    def test_the_report_as_a_file(self) -> None:
        self.api[REPORT_ROUTE] = HttpAnswer(200, "text/csv; charset=utf-8; header=present", "", b"a;b\r\n")
        assert self.browser.get("availability/file?month=2026-05&format=csv") == "a;b\r\n"
        assert 'filename="verfuegbarkeit-2026-05.csv"' in self.browser.header("Content-Disposition")
        self.browser.get("availability/file?month=2026-05&format=text")
        assert 'filename="verfuegbarkeit-2026-05.txt"' in self.browser.header("Content-Disposition")
        assert self.homeserver_api.asked[-1].url.endswith("month=2026-05&format=text")


class OutagesTestCase(AvailabilityCase):
    def test_entering_one(self) -> None:
        self.api[f"POST {OUTAGES}"] = answer(ENTERED)
        self.api[f"GET {OUTAGES}/{ID}"] = answer(ENTERED)
        page = self.browser.submit("outages/new", FIELDS)
        assert "Der Eintrag ist gespeichert." in page
        assert self.sent("POST", OUTAGES) == [
            {
                "from_ts": ms("2026-11-20 10:00"),
                "to_ts": ms("2026-11-20 10:30"),
                "ticket": "INC-1",
                "excuse": None,
                "reason": "Strom",
            }
        ]

    def test_one_that_goes_on_and_planned_maintenance(self) -> None:
        self.api[f"POST {OUTAGES}"] = answer(ENTERED)
        self.api[f"GET {OUTAGES}/{ID}"] = answer(ENTERED)
        self.browser.submit("outages/new", {**FIELDS, "to_day": "", "to_time": ""})
        self.browser.submit(
            "outages/new", {**FIELDS, "from_day": "2027-01-05", "to_day": "2027-01-05", "excuse": "maintenance"}
        )
        first, second = self.sent("POST", OUTAGES)
        assert first["to_ts"] is None
        assert (second["excuse"], second["from_ts"]) == ("maintenance", ms("2027-01-05 10:00"))

    def test_times_that_can_not_be_are_complained_about_and_nothing_is_sent(self) -> None:
        for change, says in (
            ({"to_time": "09:59"}, "Das Ende muss nach dem Beginn liegen."),
            ({"from_time": "25:00"}, "Bitte geben Sie eine Uhrzeit ein"),
            ({"from_day": "2026-11-24", "to_day": "", "to_time": ""}, "nicht in der Zukunft beginnen"),
            ({"to_day": "2026-11-24"}, "Das Ende liegt in der Zukunft."),
            ({"to_time": ""}, "Diesen Zeitpunkt gibt es nicht."),
            ({"from_day": "2026-03-29", "from_time": "02:30"}, "Diesen Zeitpunkt gibt es nicht."),
            ({"excuse": "weather"}, "Bitte wählen Sie eine der Möglichkeiten."),
            ({"reason": ""}, "Bitte füllen Sie dieses Feld aus."),
        ):
            page = self.browser.submit("outages/new", {**FIELDS, **change})
            assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY, change
            assert says in page, change
        assert self.sent("POST", OUTAGES) == []

    def test_a_measured_one_keeps_its_times_and_can_be_excused(self) -> None:
        self.api[f"GET {OUTAGES}/{ID}"] = answer(OUTAGE)
        self.api[f"PUT {OUTAGES}/{ID}"] = answer(OUTAGE)
        page = self.browser.get(f"outages/{ID}/edit")
        assert "Beginn und Ende lassen sich nicht ändern" in page
        assert 'name="from_day"' not in page
        fields = {"ticket": "INC-4711", "excuse": "third_party", "reason": "Stromversorger"}
        assert "Die Änderung ist gespeichert." in self.browser.submit(f"outages/{ID}/edit", {**TIMES, **fields})
        assert self.sent("PUT", f"{OUTAGES}/{ID}") == [
            {**fields, "from_ts": OUTAGE["from_ts"], "to_ts": OUTAGE["to_ts"]}
        ]

    def test_times_of_an_entered_one_that_were_not_touched_stay_exact(self) -> None:
        self.api[f"GET {OUTAGES}/{ID}"] = answer(ENTERED)
        self.api[f"PUT {OUTAGES}/{ID}"] = answer(ENTERED)
        self.browser.submit(
            f"outages/{ID}/edit",
            {**FIELDS, "from_day": "2026-05-04", "from_time": "10:00", "to_day": "2026-05-04", "to_time": "10:45"},
        )
        (body,) = self.sent("PUT", f"{OUTAGES}/{ID}")
        assert (body["from_ts"], body["to_ts"]) == (ENTERED["from_ts"], ms("2026-05-04 10:45"))

    def test_what_the_server_refuses_is_shown_and_the_input_kept(self) -> None:
        self.api[f"POST {OUTAGES}"] = refusal("`reason`: must be one line of at most 500 characters")
        page = self.browser.submit("outages/new", FIELDS)
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "must be one line" in page
        assert 'value="INC-1"' in page

    def test_removing_asks_says_why_and_happens_once(self) -> None:
        self.api[f"GET {OUTAGES}/{ID}"] = answer(OUTAGE)
        self.api[f"GET {OUTAGES}"] = answer({"outages": [], "total": 0})
        self.api[f"DELETE {OUTAGES}/{ID}"] = answer({})
        question = self.browser.get(f"outages/{ID}/remove")
        assert "kommt mit den nächsten Messungen nicht zurück" in question
        token = self.browser.token(question)
        assert self.sent("DELETE", f"{OUTAGES}/{ID}") == []
        for _ in range(2):
            self.browser.post(f"outages/{ID}/remove", {"_form": token, "reason": "doppelt\neingetragen"})
        assert "Keine Einträge gefunden." in self.browser.follow()
        assert self.sent("DELETE", f"{OUTAGES}/{ID}") == [{"reason": "doppelt eingetragen"}]


class MaintenanceTestCase(AvailabilityCase):
    TIMES: Mapping[str, str] = {
        "from_day": "2026-11-24",
        "from_time": "22:00",
        "to_day": "2026-11-24",
        "to_time": "23:00",
        "text": "Aktualisierung",
    }

    def test_announcing_changing_and_taking_back(self) -> None:
        one = f"{MAINTENANCE}/{ANNOUNCED['id']}"
        for method in ("PUT", "DELETE", "GET"):
            self.api[f"{method} {one}"] = answer(ANNOUNCED)
        self.api[f"POST {MAINTENANCE}"] = answer(ANNOUNCED)
        self.api[f"GET {MAINTENANCE}"] = answer({"maintenance": [ANNOUNCED], "total": 1})
        assert "Die Wartung ist angekündigt." in self.browser.submit("maintenance/new", self.TIMES)
        expected = {"from_ts": ms("2026-11-24 22:00"), "to_ts": ms("2026-11-24 23:00"), "text": "Aktualisierung"}
        assert self.sent("POST", MAINTENANCE) == [expected]
        path = f"maintenance/{ANNOUNCED['id']}"
        assert "Die Ankündigung ist geändert." in self.browser.submit(f"{path}/edit", self.TIMES)
        assert self.sent("PUT", one) == [expected]
        assert "Der Messenger wird aktualisiert." in self.browser.get(f"{path}/withdraw")
        page = self.browser.submit(f"{path}/withdraw", {"reason": "verschoben"})
        assert "Die Ankündigung ist zurückgenommen." in page
        assert self.sent("DELETE", one) == [{"reason": "verschoben"}]

    def test_what_can_not_be_announced(self) -> None:
        for change, says in (
            ({"from_day": "2026-11-22"}, "Wartung wird angekündigt, bevor sie beginnt."),
            ({"to_time": "22:00"}, "Das Ende muss nach dem Beginn liegen."),
            ({"from_day": "2026-11-22", "to_day": "2026-11-22"}, "Das Ende liegt in der Vergangenheit."),
            ({"text": ""}, "Bitte füllen Sie dieses Feld aus."),
        ):
            page = self.browser.submit("maintenance/new", {**self.TIMES, **change})
            assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY, change
            assert says in page, change
        assert self.sent("POST", MAINTENANCE) == []
        sentence = "The maintenance 0b6b7a1d2e3f4a5b is announced for a part of this time; change that one"
        self.api[f"POST {MAINTENANCE}"] = refusal(sentence, 409)
        assert "schon eine Wartung angekündigt" in self.browser.submit("maintenance/new", self.TIMES)


class OperatorsTestCase(AvailabilityCase):
    portal = {"operator_users": ["@somebody.else:test"]}

    def test_others_read_only(self) -> None:
        self.api[f"GET {OUTAGES}/{ID}"] = answer(OUTAGE)
        self.api[f"GET {OUTAGES}"] = answer({"outages": [OUTAGE], "total": 1})
        self.api[f"GET {MAINTENANCE}"] = answer({"maintenance": [ANNOUNCED], "total": 1})
        for path in ("outages", f"outages/{ID}", "maintenance"):
            page = self.browser.get(path)
            assert "Betreibern vorbehalten" in page, path
            for step in ("/new", "/edit", "/remove", "/withdraw"):
                assert f'{step}"' not in page, path
        for path in ("outages/new", f"outages/{ID}/edit", f"outages/{ID}/remove", "maintenance/new"):
            self.browser.get(path)
            assert self.browser.status == HTTPStatus.FORBIDDEN, path
