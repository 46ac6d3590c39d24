"""The routes of holds: who may set, lift and read them, on whom, and what is written down of that."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote

from synapse.rest import admin
from synapse.rest.client import login, room
from tests.server import FakeChannel
from tests.test_utils import event_injection

from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import SharedConfig, parse
from synapse_bum.database import Database
from synapse_bum.rest import BASE, api_routes
from synapse_bum.retention.holds_api import HoldsApi
from synapse_bum.testing.rest_case import ApiTestCase

HOLDS = f"{BASE}/retention/holds"
DAY_MS = 86_400_000
USER = "@user:test"


class HoldsTestCase(ApiTestCase):
    """A homeserver with the routes of holds, and a room that `user` has created."""

    servlets: ClassVar[list[Any]] = [admin.register_servlets, login.register_servlets, room.register_servlets]

    def make_module(self) -> None:
        api = self.hs.get_module_api()
        database = Database(api)
        routes = api_routes(api, parse(SharedConfig, dict(self.shared)))
        HoldsApi(api, database).add_to(routes)
        add_audit_routes(routes, database)
        database.start()

    def setUp(self) -> None:
        super().setUp()
        self.room = self.helper.create_room_as(USER, tok=self.user)

    @property
    def now_ms(self) -> int:
        return self.hs.get_clock().time_msec()

    def put(self, target: str = USER, *, token: str | None = None, **body: Any) -> FakeChannel:  # noqa: ANN401 - any JSON
        content = {"reason": "a court order", "until_ts": self.now_ms + DAY_MS, **body}
        content = {name: value for name, value in content.items() if value is not None}
        return self.ask("PUT", self.path(target), token or self.boss, content=content)

    def get(self, target: str = USER) -> FakeChannel:
        return self.ask("GET", self.path(target), self.boss)

    def lift(self, target: str = USER, *, token: str | None = None) -> FakeChannel:
        return self.ask("DELETE", self.path(target), token or self.boss)

    def path(self, target: str) -> str:
        return f"{HOLDS}/{quote(target, safe='')}"

    def audit(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.ask("GET", f"{BASE}/audit", self.boss).json_body["audit"]
        return rows


class HoldTests(HoldsTestCase):
    def test_a_hold_is_answered_and_read_as_it_was_set(self) -> None:
        for target in (USER, self.room):
            until_ts = self.now_ms + DAY_MS
            answer = self.put(target, until_ts=until_ts)
            assert answer.code == HTTPStatus.OK
            assert answer.json_body == {
                "target": target,
                "reason": "a court order",
                "until_ts": until_ts,
                "created_by": "@boss:test",
                "created_ts": answer.json_body["created_ts"],
                "in_force": True,
            }
            assert abs(answer.json_body["created_ts"] - self.now_ms) < 1_000
            assert self.get(target).json_body == answer.json_body

    def test_a_second_one_replaces_the_first(self) -> None:
        first = self.put().json_body
        self.reactor.advance(3_600)
        second = self.put(reason="a longer one", until_ts=first["until_ts"] + 5).json_body
        assert second["created_ts"] > first["created_ts"]
        assert self.get().json_body == second
        assert self.ask("GET", HOLDS, self.boss).json_body["total"] == 1

    def test_one_that_has_ended_is_listed_until_it_is_lifted(self) -> None:
        self.put()
        self.reactor.advance(2 * DAY_MS / 1000)
        assert self.get().json_body["in_force"] is False
        assert [hold["in_force"] for hold in self.ask("GET", HOLDS, self.boss).json_body["holds"]] == [False]
        assert self.lift().code == HTTPStatus.OK
        assert self.ask("GET", HOLDS, self.boss).json_body == {"holds": [], "total": 0}

    def test_pages(self) -> None:
        targets = sorted([USER, "@boss:test", self.room])
        for target in targets:
            self.put(target)
        first = self.ask("GET", f"{HOLDS}?limit=2", self.boss).json_body
        rest = self.ask("GET", f"{HOLDS}?from={first['next_token']}", self.boss).json_body
        assert [hold["target"] for hold in first["holds"] + rest["holds"]] == targets
        assert (first["total"], rest["total"], "next_token" in rest) == (3, 3, False)

    def test_lifting_and_reading_what_nobody_has_set_is_404(self) -> None:
        assert USER in self.refused(self.get(), HTTPStatus.NOT_FOUND, "M_NOT_FOUND")
        assert USER in self.refused(self.lift(), HTTPStatus.NOT_FOUND, "M_NOT_FOUND")
        assert self.audit() == []

    def test_each_change_has_one_audit_row_and_one_line_in_the_log(self) -> None:
        with self.assertLogs("synapse_bum.audit", logging.INFO) as logged:
            first = self.put().json_body
            second = self.put(reason="another").json_body
            self.lift()
        without = [{name: value for name, value in hold.items() if name != "in_force"} for hold in (first, second)]
        rows = [
            (row["action"], row["target"], row["actor"], row["old"], row["new"], row["reason"]) for row in self.audit()
        ]
        assert rows[::-1] == [
            ("retention.hold.set", USER, "@boss:test", None, without[0], "a court order"),
            ("retention.hold.set", USER, "@boss:test", without[0], without[1], "another"),
            ("retention.hold.lift", USER, "@boss:test", without[1], None, None),
        ]
        assert len(logged.records) == 3


class HoldingTests(HoldsTestCase):
    def holding(self, target: str) -> list[str]:
        answer = self.ask("GET", f"{BASE}/retention/holding/{quote(target, safe='')}", self.boss)
        assert answer.code == HTTPStatus.OK, answer.json_body
        assert answer.json_body["total"] == len(answer.json_body["holds"])
        return [hold["target"] for hold in answer.json_body["holds"]]

    def test_the_longest_first_and_none_that_has_ended(self) -> None:
        assert self.holding(USER) == self.holding(self.room) == []
        self.put(USER)
        self.put(self.room, until_ts=self.now_ms + 3 * DAY_MS)
        assert self.holding(USER) == self.holding(self.room) == [self.room, USER]
        self.reactor.advance(2 * DAY_MS / 1000)
        assert self.holding(USER) == [self.room]
        self.lift(self.room)
        assert self.holding(self.room) == []

    def test_for_administrators(self) -> None:
        path = f"{BASE}/retention/holding/{quote(USER, safe='')}"
        self.refused(self.ask("GET", path, self.user), HTTPStatus.FORBIDDEN, "M_FORBIDDEN")


class RefusedTests(HoldsTestCase):
    def test_an_end_is_needed_in_the_future_and_within_a_hundred_years(self) -> None:
        for wrong in (0, -1, self.now_ms, self.now_ms - 1, self.now_ms + 101 * 366 * DAY_MS, 2**60, "soon", True, 1.5):
            error = self.refused(self.put(until_ts=wrong), HTTPStatus.BAD_REQUEST, "M_INVALID_PARAM")
            assert "`until_ts`" in error
        error = self.refused(self.put(until_ts=None), HTTPStatus.BAD_REQUEST, "M_MISSING_PARAM")
        assert "until_ts" in error
        assert self.put(until_ts=self.now_ms + 99 * 365 * DAY_MS).code == HTTPStatus.OK

    def test_a_reason_is_needed(self) -> None:
        for wrong in ("", "  ", 5, ["why"]):
            assert "`reason`" in self.refused(self.put(reason=wrong), HTTPStatus.BAD_REQUEST, "M_INVALID_PARAM")
        assert "reason" in self.refused(self.put(reason=None), HTTPStatus.BAD_REQUEST, "M_MISSING_PARAM")

    def test_other_keys_are_refused(self) -> None:
        self.refused(self.put(unti_ts=5), HTTPStatus.BAD_REQUEST, "M_INVALID_PARAM")

    def test_a_typing_error_holds_nothing_and_says_so(self) -> None:
        for unknown in ("@usr:test", "!nowhere:test", "!" + "x" * 43, "@somebody:elsewhere.example"):
            assert unknown in self.refused(self.put(unknown), HTTPStatus.NOT_FOUND, "M_NOT_FOUND")
        for no_target in ("user", "#alias:test", "@user", "mxc://test/abc"):
            self.refused(self.put(no_target), HTTPStatus.BAD_REQUEST, "M_INVALID_PARAM")
        assert self.audit() == []

    def test_a_user_of_another_server_who_was_seen_in_a_room_can_be_held(self) -> None:
        carol = "@carol:elsewhere.example"
        self.get_success(event_injection.inject_member_event(self.hs, self.room, carol, "join"))
        assert self.put(carol).code == HTTPStatus.OK

    def test_a_deactivated_user_can_be_held(self) -> None:
        path = f"/_synapse/admin/v1/deactivate/{quote(USER)}"
        assert self.ask("POST", path, self.boss, content={}).code == HTTPStatus.OK
        assert self.put(USER).code == HTTPStatus.OK


class AccessTests(HoldsTestCase):
    shared: ClassVar[Mapping[str, Any]] = {"operator_users": ["@operator:test"]}

    def setUp(self) -> None:
        super().setUp()
        self.register_user("operator", "pass", admin=True)
        self.operator = self.login("operator", "pass")

    def test_operators_set_and_lift_administrators_read_others_nothing(self) -> None:
        self.refused(self.put(token=self.boss), HTTPStatus.FORBIDDEN, "M_FORBIDDEN")
        assert self.put(token=self.operator).code == HTTPStatus.OK
        assert self.get().code == HTTPStatus.OK
        assert self.ask("GET", HOLDS, self.boss).code == HTTPStatus.OK
        self.refused(self.lift(token=self.boss), HTTPStatus.FORBIDDEN, "M_FORBIDDEN")
        for method in ("GET", "DELETE"):
            self.refused(self.ask(method, self.path(USER), self.user), HTTPStatus.FORBIDDEN, "M_FORBIDDEN")
        self.refused(self.ask("GET", HOLDS, self.user), HTTPStatus.FORBIDDEN, "M_FORBIDDEN")
        assert self.lift(token=self.operator).code == HTTPStatus.OK
