"""What becomes of a probe's results: outages that come, end, grow and stay away."""

from http import HTTPStatus
from typing import Any

from prometheus_client import REGISTRY

from synapse_bum.availability.recording import MAX_AGE_MS
from synapse_bum.rest import BASE
from synapse_bum.testing.availability_case import MINUTE_MS, AvailabilityTestCase

PROBES = "availability/probes"


class MeasuredTestCase(AvailabilityTestCase):
    def begin(self, minutes_ago: int) -> int:
        """The first moment of a minute some minutes ago."""
        return self.now_ms // MINUTE_MS * MINUTE_MS - minutes_ago * MINUTE_MS

    def measure(self, pattern: str, minutes_ago: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - of a body
        """Delivers a result for each minute: `+` good, `-` failed, `?` unknown, `.` none."""
        states = {"+": "ok", "-": "failed", "?": "unknown"}
        begin = self.begin(minutes_ago)
        found = {
            begin + place * MINUTE_MS + 5_000: states[sign] for place, sign in enumerate(pattern) if sign in states
        }
        return self.deliver(found, **fields)

    def spans(self) -> list[tuple[int, int | None]]:
        """Begin and end of all outages in minutes from now, the earliest first."""
        now = self.begin(0)
        found = [
            ((one["from_ts"] - now) // MINUTE_MS, None if one["to_ts"] is None else (one["to_ts"] - now) // MINUTE_MS)
            for one in self.outages()
        ]
        return found[::-1]

    def test_an_outage_is_recorded_with_begin_and_end_and_counts_with_a_ticket(self) -> None:
        assert self.measure("++---++", 30) == {"stored": 7, "known": 0, "refused": 0, "clock_wrong": 0}
        assert self.spans() == [(-28, -25)]
        (found,) = self.outages()
        assert (found["source"], found["ticket"], found["created_by"]) == ("measured", None, "availability.probe")
        report = self.report("2026-06")
        assert (report["outage_minutes"], report["measured_outage_minutes"]) == (0, 3)
        body = {"from_ts": found["from_ts"], "to_ts": found["to_ts"], "ticket": "T-9", "reason": "a broken disk"}
        self.answer("PUT", f"availability/outages/{found['id']}", body)
        assert self.report("2026-06")["outage_minutes"] == 3
        assert self.actions() == ["availability.changed", "availability.measured", "availability.token_shown"]

    def test_results_that_come_twice_change_nothing(self) -> None:
        self.measure("+--+", 30)
        before = self.outages()
        assert self.measure("+--+", 30) == {"stored": 0, "known": 4, "refused": 0, "clock_wrong": 0}
        assert self.outages() == before

    def test_an_outage_goes_on_until_the_first_good_minute(self) -> None:
        self.measure("+--", 3)
        assert self.spans() == [(-2, None)]
        self.let_pass(0.5)
        assert REGISTRY.get_sample_value("synapse_bum_availability_outage_open") == 1
        self.let_pass(2)
        self.measure("+", 1)
        assert [end is None for _begin, end in self.spans()] == [False]
        self.let_pass(1)
        assert REGISTRY.get_sample_value("synapse_bum_availability_outage_open") == 0

    def test_when_the_probe_falls_silent_the_outage_ends_with_what_it_saw(self) -> None:
        self.measure("+--", 3)
        self.let_pass(10)
        assert [(end or 0) - begin for begin, end in self.spans()] == [2]
        report = self.report("2026-06")
        assert report["measured_outage_minutes"] == 2
        elapsed = 14 * 1_440 + 12 * 60 + 10
        assert elapsed - 4 < report["not_measured_minutes"] < elapsed + 4

    def test_late_results_join_what_was_apart_and_keep_what_an_operator_said(self) -> None:
        self.measure("+-", 40)
        self.measure("-+", 20)
        assert self.spans() == [(-39, -38), (-20, -19)]
        second = self.outages()[0]
        body = {"from_ts": second["from_ts"], "to_ts": second["to_ts"], "ticket": "T-1", "reason": "x"}
        self.answer("PUT", f"availability/outages/{second['id']}", body)
        self.measure("-" * 18, 38)
        (joined,) = self.outages()
        assert (joined["id"], joined["ticket"]) == (second["id"], "T-1")
        assert self.spans() == [(-39, -19)]
        assert "availability.retracted" in self.actions()

    def test_a_good_result_of_another_probe_takes_an_outage_back(self) -> None:
        self.measure("+-+", 20)
        begin = self.begin(19)
        self.deliver({begin + 40_000: "ok"})
        assert self.outages() == []
        assert self.actions()[0] == "availability.retracted"

    def test_what_an_operator_has_spoken_about_he_has_to_take_back_himself(self) -> None:
        self.measure("+-+", 20)
        (found,) = self.outages()
        body = {"from_ts": found["from_ts"], "to_ts": found["to_ts"], "ticket": "T-1", "reason": "x"}
        self.answer("PUT", f"availability/outages/{found['id']}", body)
        self.deliver({self.begin(19) + 40_000: "ok"})
        (kept,) = self.outages()
        assert (kept["id"], kept["ticket"]) == (found["id"], "T-1")

    def test_one_that_an_operator_removed_stays_removed(self) -> None:
        self.measure("+--", 4)
        (found,) = self.outages()
        self.answer("DELETE", f"availability/outages/{found['id']}", {"reason": "the probe's cable"})
        self.let_pass(1)
        self.measure("-", 1)
        assert self.outages() == []
        assert self.report("2026-06")["measured_outage_minutes"] == 0

    def test_begin_and_end_of_a_measured_one_are_the_probes(self) -> None:
        self.measure("+--+", 30)
        (found,) = self.outages()
        body = {"from_ts": found["from_ts"] + 1, "to_ts": found["to_ts"], "reason": "x"}
        status, _errcode, error = self.refusal("PUT", f"availability/outages/{found['id']}", body)
        assert status == 409
        assert "measured" in error

    def test_a_wrong_clock_counts_nowhere(self) -> None:
        assert self.measure("+--+", 30, ahead_ms=31_000)["clock_wrong"] == 4
        assert self.measure("+--+", 60, clock_offset_ms=-30_001)["clock_wrong"] == 4
        assert self.deliver({self.now_ms + 31_000: "failed"})["clock_wrong"] == 1
        assert self.outages() == []
        assert {one["state"] for one in self.answer("GET", PROBES)["probes"]} == {"clock_wrong"}
        assert self.measure("+--+", 90, ahead_ms=29_000, clock_offset_ms=29_000)["clock_wrong"] == 0
        assert len(self.outages()) == 1

    def test_what_the_probe_does_not_know_is_not_measured(self) -> None:
        before = self.report("2026-06")["not_measured_minutes"]
        self.measure("+??+", 30)
        assert self.outages() == []
        assert self.report("2026-06")["not_measured_minutes"] == before - 2

    def test_results_of_long_ago_are_not_taken(self) -> None:
        assert self.deliver({self.now_ms - MAX_AGE_MS - 1: "failed"})["refused"] == 1
        assert self.answer("GET", PROBES)["total"] == 0

    def test_results_are_listed_newest_first(self) -> None:
        self.measure("+-+", 30, direct_ms=12)
        page = self.answer("GET", f"{PROBES}?limit=2")
        assert (page["total"], page["next_token"]) == (3, "2")
        assert page["probes"][0]["ts"] > page["probes"][1]["ts"]
        assert page["probes"][0]["direct_ms"] == 12


class TokenTestCase(AvailabilityTestCase):
    def send(self, authorization: str | None, body: dict[str, Any] | None = None) -> tuple[int, str | None]:
        headers = [] if authorization is None else [("Authorization", authorization)]
        content = {"sent_ts": self.now_ms, "results": []} if body is None else body
        channel = self.make_request("POST", f"{BASE}/{PROBES}", content, custom_headers=headers)
        return channel.code, channel.json_body.get("errcode")

    def test_the_probe_has_a_secret_of_its_own(self) -> None:
        token = self.probe_token()
        assert self.answer("POST", "availability/probe_token", {})["token"] == token
        assert self.send(f"Bearer {token}") == (HTTPStatus.OK, None)
        assert self.send(f"bearer {token}") == (HTTPStatus.OK, None)
        assert self.send(None) == (401, "M_MISSING_TOKEN")
        for wrong in ("x", token[:-1], token + "x", self.boss_token, "ä"):
            assert self.send(f"Bearer {wrong}") == (401, "M_UNKNOWN_TOKEN")
        assert self.send(f"Basic {token}") == (401, "M_MISSING_TOKEN")
        # It opens nothing else.
        assert self.refusal("GET", PROBES, token=token)[:2] == (401, "M_UNKNOWN_TOKEN")
        assert self.refusal("POST", "availability/probe_token", {}, token=self.alice_token)[0] == 403

    def test_what_is_refused_says_why(self) -> None:
        bearer = f"Bearer {self.probe_token()}"
        result = {"probe_id": "a", "ts": self.now_ms, "state": "ok"}
        for wrong in (
            {**result, "state": "clock_wrong"},
            {**result, "ts": self.now_ms // 1000},
            {**result, "probe_id": "a/b"},
            {**result, "direct_ms": -1},
            {**result, "error": "x" * 501},
        ):
            assert self.send(bearer, {"sent_ts": self.now_ms, "results": [wrong]}) == (400, "M_INVALID_PARAM"), wrong
        assert self.send(bearer, {"results": [result]}) == (400, "M_MISSING_PARAM")
        many = [{**result, "probe_id": f"p{number}"} for number in range(201)]
        assert self.send(bearer, {"sent_ts": self.now_ms, "results": many}) == (400, "M_INVALID_PARAM")


class HostsTestCase(AvailabilityTestCase):
    availability = {"admin_hosts": ["admin.example"], "operator_users": ["@boss:test"]}

    def test_the_probe_may_use_any_host_and_administrators_theirs(self) -> None:
        def ask(method: str, path: str, host: str, token: str, body: dict[str, Any] | None = None) -> int:
            return self.make_request(method, f"{BASE}/{path}", body or {}, token, custom_headers=[("Host", host)]).code

        shown = self.make_request(
            "POST", f"{BASE}/availability/probe_token", {}, self.boss_token, custom_headers=[("Host", "admin.example")]
        )
        token = shown.json_body["token"]
        body = {"sent_ts": self.now_ms, "results": []}
        assert ask("POST", PROBES, "matrix.example", token, body) == HTTPStatus.OK
        assert ask("POST", PROBES, "matrix.example", "x", body) == HTTPStatus.UNAUTHORIZED
        assert ask("GET", "availability/outages", "matrix.example", self.boss_token) == HTTPStatus.NOT_FOUND
        assert ask("GET", "availability/outages", "admin.example", self.boss_token) == HTTPStatus.OK
        assert ask("GET", "maintenance", "matrix.example", self.alice_token) == HTTPStatus.OK
