"""The report of a month and the outages behind it, as operators and users meet them."""

from http import HTTPStatus
from typing import Any

from prometheus_client import REGISTRY

from synapse_bum.audit import verify
from synapse_bum.rest import BASE
from synapse_bum.testing.availability_case import MINUTE_MS, AvailabilityTestCase
from synapse_bum.testing.berlin import berlin_ms

OUTAGES = "availability/outages"


class ReportTestCase(AvailabilityTestCase):
    def test_a_month_without_outages_was_available(self) -> None:
        report = self.report("2026-03")
        assert (report["service_minutes"], report["outage_minutes"], report["excused_minutes"]) == (44_580, 0, 0)
        assert (report["availability"], report["measured_availability"], report["target_met"]) == (1.0, 1.0, True)
        assert (report["preliminary"], report["outages"]) == (False, [])
        assert report["not_measured_minutes"] == 44_580

    def test_only_a_ticket_makes_an_outage_count_and_an_excuse_takes_it_out(self) -> None:
        begin = berlin_ms("2026-05-04 10:00")
        self.outage(begin, begin + 30 * MINUTE_MS)
        self.outage(begin + 10 * MINUTE_MS, begin + 40 * MINUTE_MS, ticket="T-2")
        self.outage(begin + 100 * MINUTE_MS, begin + 110 * MINUTE_MS, ticket=None)
        self.outage(begin + 35 * MINUTE_MS, begin + 50 * MINUTE_MS, excuse="maintenance")
        report = self.report("2026-05")
        assert (report["outage_minutes"], report["excused_minutes"], report["measured_outage_minutes"]) == (35, 15, 60)
        assert report["availability"] == 0.99921594  # (44640 - 35) / 44640, rounded down
        assert report["measured_availability"] == 0.99865591
        assert report["target_met"]
        self.outage(begin + 200 * MINUTE_MS, begin + 210 * MINUTE_MS)
        late = self.report("2026-05")
        assert (late["outage_minutes"], late["allowed_minutes"], late["target_met"]) == (45, 44, False)
        assert len(late["outages"]) == 5

    def test_an_outage_over_the_end_of_a_month_belongs_to_both(self) -> None:
        self.outage(berlin_ms("2026-03-31 23:50"), berlin_ms("2026-04-01 00:05"))
        assert self.report("2026-03")["outage_minutes"] == 10
        assert self.report("2026-04")["outage_minutes"] == 5

    def test_an_open_outage_goes_on_until_it_has_an_end(self) -> None:
        found = self.outage(self.now_ms - 10 * MINUTE_MS, None)
        assert self.report("2026-06")["outage_minutes"] == 11  # some seconds of the first, and of the last
        self.let_pass(5)
        report = self.report("2026-06")
        assert (report["outage_minutes"], report["preliminary"]) == (16, True)
        assert REGISTRY.get_sample_value("synapse_bum_availability_outage_open") == 1
        body = {**self._body(found), "to_ts": self.now_ms - MINUTE_MS, "reason": "it is back"}
        self.answer("PUT", f"{OUTAGES}/{found['id']}", body)
        self.let_pass(5)
        assert self.report("2026-06")["outage_minutes"] == 15
        assert REGISTRY.get_sample_value("synapse_bum_availability_outage_open") == 0
        ratio = REGISTRY.get_sample_value("synapse_bum_availability_ratio")
        assert ratio == self.report("2026-06")["availability"] < 1
        assert REGISTRY.get_sample_value("synapse_bum_availability_target_ratio") == 0.999

    def test_planned_maintenance_counts_when_it_is_there(self) -> None:
        self.outage(self.now_ms + MINUTE_MS, self.now_ms + 11 * MINUTE_MS, excuse="maintenance")
        assert self.report("2026-06")["excused_minutes"] == 0
        self.let_pass(30)
        assert self.report("2026-06")["excused_minutes"] == 11  # begun minutes count whole

    def test_months_that_say_nothing_are_refused(self) -> None:
        for month, said in (("2026-13", "is no month"), ("2026", "is no month"), ("2026-07", "has not begun yet")):
            status, errcode, error = self.refusal("GET", f"availability?month={month}")
            assert (status, errcode) == (400, "M_INVALID_PARAM"), month
            assert error.startswith("`month`: ")
            assert said in error
        assert self.refusal("GET", "availability")[:2] == (400, "M_MISSING_PARAM")
        assert self.refusal("GET", "availability?month=2026-05&format=pdf")[:2] == (400, "M_INVALID_PARAM")

    def test_files_are_files(self) -> None:
        begin = berlin_ms("2026-05-04 10:00")
        self.outage(begin, begin + 45 * MINUTE_MS, ticket="=T-1", reason="Störung im Rechenzentrum")
        csv = self.ask("GET", "availability?month=2026-05&format=csv")
        assert csv.headers.getRawHeaders("Content-Type") == ["text/csv; charset=utf-8; header=present"]
        saved_as = 'attachment; filename="availability-2026-05.csv"'
        assert csv.headers.getRawHeaders("Content-Disposition") == [saved_as]
        assert '"\'=T-1"' in csv.result["body"].decode()
        text = self.ask("GET", "availability?month=2026-05&format=text").result["body"].decode()
        assert "VERFEHLT" in text
        assert "Störung im Rechenzentrum" in text
        assert max(map(len, text.splitlines())) <= 78

    def _body(self, outage: dict[str, Any]) -> dict[str, Any]:
        return {name: outage[name] for name in ("from_ts", "to_ts", "ticket", "excuse", "reason")}


class OutagesTestCase(AvailabilityTestCase):
    def test_an_outage_is_entered_shown_changed_and_removed_with_its_audit(self) -> None:
        begin = berlin_ms("2026-05-04 10:00")
        found = self.outage(begin, begin + MINUTE_MS)
        assert found == {
            "id": found["id"],
            "from_ts": begin,
            "to_ts": begin + MINUTE_MS,
            "ticket": "T-1",
            "excuse": None,
            "reason": "it was out",
            "source": "entered",
            "created_by": self.boss,
            "created_ts": found["created_ts"],
            "changed_ts": found["created_ts"],
        }
        one = f"{OUTAGES}/{found['id']}"
        assert self.answer("GET", one) == found
        assert self.answer("GET", OUTAGES) == {"outages": [found], "total": 1}
        body = {"from_ts": begin, "to_ts": begin + 2 * MINUTE_MS, "excuse": "customer", "reason": "was switched off"}
        changed = self.answer("PUT", one, body)
        assert (changed["to_ts"], changed["ticket"], changed["excuse"]) == (begin + 2 * MINUTE_MS, None, "customer")
        assert self.answer("DELETE", one, {"reason": "entered twice"}) == {}
        assert self.refusal("GET", one)[:2] == (404, "M_NOT_FOUND")
        rows = self.answer("GET", "audit")["audit"]
        assert [(row["action"], row["reason"], row["actor"]) for row in rows] == [
            ("availability.removed", "entered twice", self.boss),
            ("availability.changed", "was switched off", self.boss),
            ("availability.entered", "it was out", self.boss),
        ]
        assert rows[1]["old"]["ticket"] == "T-1"
        assert self.get_success(self.hs.get_module_api().run_db_interaction("test", verify)) is None

    def test_pages_begin_with_the_latest(self) -> None:
        begin = berlin_ms("2026-05-04 10:00")
        for hour in (1, 3, 2):
            self.outage(begin + hour * 60 * MINUTE_MS, begin + (hour * 60 + 1) * MINUTE_MS)
        page = self.answer("GET", f"{OUTAGES}?limit=2")
        assert [(one["from_ts"] - begin) // MINUTE_MS for one in page["outages"]] == [180, 120]
        assert (page["total"], page["next_token"]) == (3, "2")

    def test_what_is_refused_says_why(self) -> None:
        begin = berlin_ms("2026-05-04 10:00")
        right = {"from_ts": begin, "to_ts": begin + 1, "reason": "x"}
        for wrong, key, word in (
            ({"to_ts": begin}, "to_ts", "after"),
            ({"from_ts": begin // 1000}, "from_ts", "milliseconds"),
            ({"from_ts": "yesterday"}, "from_ts", "whole number"),
            ({"from_ts": self.now_ms + MINUTE_MS, "to_ts": None}, "from_ts", "future"),
            ({"to_ts": self.now_ms + MINUTE_MS}, "to_ts", "future"),
            ({"from_ts": self.now_ms + MINUTE_MS, "to_ts": None, "excuse": "customer"}, "from_ts", "future"),
            ({"excuse": "weather"}, "excuse", "maintenance"),
            ({"reason": " "}, "reason", "empty"),
            ({"ticket": "T\n1"}, "ticket", "one line"),
        ):
            status, errcode, error = self.refusal("POST", OUTAGES, {**right, **wrong})
            assert (status, errcode) == (400, "M_INVALID_PARAM"), wrong
            assert key in error, (wrong, error)
            assert word in error, (wrong, error)
        assert self.refusal("POST", OUTAGES, {"from_ts": begin})[:2] == (400, "M_MISSING_PARAM")
        assert self.refusal("POST", OUTAGES, {"reason": "x"})[:2] == (400, "M_MISSING_PARAM")
        assert self.refusal("POST", OUTAGES)[:2] == (400, "M_NOT_JSON")
        for method in ("PUT", "DELETE"):
            body = {"reason": "x"} if method == "DELETE" else right
            assert self.refusal(method, f"{OUTAGES}/0123456789abcdef", body)[:2] == (404, "M_NOT_FOUND")
        assert self.outages() == []

    def test_users_read_and_change_nothing(self) -> None:
        for method, path in (("GET", OUTAGES), ("POST", OUTAGES), ("GET", "availability?month=2026-05")):
            assert self.refusal(method, path, token=self.alice_token)[:2] == (403, "M_FORBIDDEN")


class OperatorsTestCase(AvailabilityTestCase):
    availability = {"operator_users": ["@chief:test"], "service_begin": "2026-05-11", "target": 0.99}

    def test_only_operators_change_something(self) -> None:
        begin = berlin_ms("2026-05-12 10:00")
        body = {"from_ts": begin, "to_ts": begin + 1, "reason": "x"}
        assert self.refusal("POST", OUTAGES, body)[:2] == (403, "M_FORBIDDEN")
        assert self.refusal("POST", "maintenance", {})[:2] == (403, "M_FORBIDDEN")
        assert self.ask("GET", OUTAGES).code == HTTPStatus.OK

    def test_the_month_of_the_begin_counts_from_that_day(self) -> None:
        report = self.report("2026-05")
        assert (report["service_minutes"], report["target"]) == (21 * 1_440, 0.99)
        status, errcode, error = self.refusal("GET", "availability?month=2026-04")
        assert (status, errcode) == (400, "M_INVALID_PARAM")
        assert "2026-05-11" in error


class MaintenanceTestCase(AvailabilityTestCase):
    def announce(self, begin: int, minutes: int, **fields: object) -> dict[str, Any]:
        body = {"from_ts": begin, "to_ts": begin + minutes * MINUTE_MS, "text": "Wir warten den Server.", **fields}
        return self.answer("POST", "maintenance", body)

    def test_every_user_reads_what_is_announced_until_it_is_over(self) -> None:
        later = self.announce(self.now_ms + 60 * MINUTE_MS, 30)
        soon = self.announce(self.now_ms + 10 * MINUTE_MS, 10)
        channel = self.ask("GET", "maintenance", token=self.alice_token)
        assert channel.json_body == {"maintenance": [soon, later], "total": 2}
        assert soon.keys() == {"id", "from_ts", "to_ts", "text", "created_ts"}
        self.let_pass(30)
        assert self.answer("GET", "maintenance")["maintenance"] == [later]
        assert self.answer("GET", "maintenance?since_ts=0")["total"] == 2
        assert self.refusal("POST", "maintenance", {}, token=self.alice_token)[:2] == (403, "M_FORBIDDEN")

    def test_it_is_announced_before_and_once_for_each_moment(self) -> None:
        begin = self.now_ms + 60 * MINUTE_MS
        past = {"from_ts": self.now_ms - 1, "to_ts": begin, "text": "x"}
        status, errcode, error = self.refusal("POST", "maintenance", past)
        assert (status, errcode) == (400, "M_INVALID_PARAM")
        assert "from_ts" in error
        found = self.announce(begin, 30)
        inside = {"from_ts": begin + MINUTE_MS, "to_ts": begin + 2 * MINUTE_MS, "text": "x"}
        status, _errcode, error = self.refusal("POST", "maintenance", inside)
        assert status == 409
        assert found["id"] in error
        self.announce(begin + 30 * MINUTE_MS, 5)
        assert self.refusal("POST", "maintenance", {**inside, "to_ts": begin + MINUTE_MS})[:2] == (
            400,
            "M_INVALID_PARAM",
        )

    def test_one_that_runs_can_end_later_and_one_that_is_over_stays(self) -> None:
        found = self.announce(self.now_ms + MINUTE_MS, 10)
        one = f"maintenance/{found['id']}"
        moved = {"from_ts": found["from_ts"] + MINUTE_MS, "to_ts": found["to_ts"], "text": "später"}
        assert self.answer("PUT", one, moved)["text"] == "später"
        self.let_pass(5)
        assert self.refusal("PUT", one, {**moved, "from_ts": self.now_ms + 1})[0] == 400
        longer = {**moved, "to_ts": found["to_ts"] + 10 * MINUTE_MS}
        assert self.answer("PUT", one, longer)["to_ts"] == longer["to_ts"]
        self.let_pass(30)
        assert self.refusal("PUT", one, longer)[0] == 409
        assert self.refusal("DELETE", one, {"reason": "x"})[0] == 409
        assert self.actions() == ["availability.reannounced", "availability.reannounced", "availability.announced"]

    def test_it_can_be_taken_back(self) -> None:
        found = self.announce(self.now_ms + MINUTE_MS, 10)
        assert self.answer("DELETE", f"maintenance/{found['id']}", {"reason": "moved"}) == {}
        assert self.refusal("GET", f"maintenance/{found['id']}")[:2] == (404, "M_NOT_FOUND")
        assert self.answer("GET", "maintenance")["total"] == 0
        assert self.make_request("GET", f"{BASE}/maintenance").code == HTTPStatus.UNAUTHORIZED
