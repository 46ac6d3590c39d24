"""The daily counts: what is counted, when, and who may read it."""

import datetime as dt
from http import HTTPStatus
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from synapse.types import create_requester

from synapse_bum.portal.statistics.calendar_days import begin_ms, utc_begin_ms
from synapse_bum.portal.statistics.duty import LOOK_EVERY_MS
from synapse_bum.testing.portal_case import PortalTestCase

ROUTE = "/_synapse/client/bum/v1/portal/statistics"
BERLIN = ZoneInfo("Europe/Berlin")
DAY_S = 86_400


def seconds(day: int, hour: int, minute: int = 0) -> float:
    """A moment of November 2026 in Germany."""
    return dt.datetime(2026, 11, day, hour, minute, tzinfo=BERLIN).timestamp()


class StatisticsCase(PortalTestCase):
    def go_to(self, moment_s: float) -> None:
        """Lets time pass until a moment."""
        self.reactor.advance(moment_s - self.reactor.seconds())
        self.pump(0.1)

    def let_it_count(self) -> None:
        """Lets the duty look once more."""
        self.reactor.advance(LOOK_EVERY_MS / 1000)
        self.pump(0.1)

    def statistics(self, query: str = "") -> list[dict[str, Any]]:
        """What the route answers to the administrator."""
        channel = self.make_request("GET", ROUTE + query, access_token=self.login("boss", "pass"))
        assert channel.code == HTTPStatus.OK, channel.json_body
        found: list[dict[str, Any]] = channel.json_body["statistics"]
        assert channel.json_body["total"] == len(found)
        return found

    def by_day(self) -> dict[str, dict[str, Any]]:
        return {day["day"]: day for day in self.statistics()}


class CountingTestCase(StatisticsCase):
    def test_a_day_is_counted_once_when_it_is_over(self) -> None:
        self.go_to(seconds(10, 12))
        self.let_it_count()
        token = self.login("alice", "pass")
        room_id = self.helper.create_room_as(self.alice, tok=token)
        self.go_to(seconds(10, 23, 59))
        self.helper.send(room_id, "late on the tenth", tok=token)
        self.helper.send_event(room_id, "m.reaction", {}, tok=token)
        self.go_to(seconds(11, 0, 0) + 1)
        self.helper.send(room_id, "early on the eleventh", tok=token)
        self.helper.send(room_id, "once more", tok=token)
        assert "2026-11-10" not in self.by_day()
        self.go_to(seconds(11, 1, 30))
        self.let_it_count()
        tenth = self.by_day()["2026-11-10"]
        assert tenth["registered_users"] == 2
        assert (tenth["rooms"], tenth["messages"], tenth["sent_messages"]) == (1, 1, 1)
        assert tenth["ts"] == begin_ms(dt.date(2026, 11, 10))
        assert "2026-11-11" not in self.by_day()
        # A day stands as it was counted.
        self.helper.create_room_as(self.alice, tok=token)
        self.go_to(seconds(12, 3))
        self.let_it_count()
        assert self.by_day()["2026-11-10"] == tenth
        eleventh = self.by_day()["2026-11-11"]
        assert (eleventh["rooms"], eleventh["messages"]) == (2, 2)

    def test_rooms_of_days_that_nobody_counted_in_time_are_not_known(self) -> None:
        self.go_to(seconds(20, 12))
        self.let_it_count()
        days = self.by_day()
        assert min(days) == "2026-11-13"
        assert days["2026-11-18"]["rooms"] is None
        assert days["2026-11-18"]["registered_users"] is None
        assert days["2026-11-18"]["messages"] == 0
        assert days["2026-11-19"]["rooms"] == 0

    def test_rooms_that_all_of_ours_have_left_do_not_count(self) -> None:
        token = self.login("alice", "pass")
        room_id = self.helper.create_room_as(self.alice, tok=token)
        self.helper.create_room_as(self.alice, tok=token)
        self.helper.leave(room_id, self.alice, tok=token)
        self.go_to(seconds(10, 12))
        self.let_it_count()
        assert self.by_day()["2026-11-09"]["rooms"] == 1

    def test_users_who_are_locked_count_and_those_who_are_gone_do_not(self) -> None:
        gone = self.register_user("gone", "pass")
        self.get_success(self.hs.get_datastores().main.set_user_locked_status(self.alice, locked=True))
        self.go_to(seconds(10, 12))
        self.let_it_count()
        assert self.by_day()["2026-11-09"]["registered_users"] == 3
        handler = self.hs.get_deactivate_account_handler()
        self.get_success(handler.deactivate_account(gone, erase_data=False, requester=create_requester(gone)))
        self.go_to(seconds(11, 12))
        self.let_it_count()
        assert self.by_day()["2026-11-10"]["registered_users"] == 2

    def test_days_are_kept_for_two_years(self) -> None:
        self.go_to(seconds(10, 12))
        self.let_it_count()
        assert "2026-11-09" in self.by_day()
        self.go_to(seconds(10, 12) + 730 * DAY_S)
        self.let_it_count()
        assert "2026-11-09" not in self.by_day() or min(self.by_day()) >= "2026-11-09"
        self.go_to(seconds(10, 12) + 733 * DAY_S)
        self.let_it_count()
        assert min(self.by_day()) > "2026-11-09"

    def test_users_of_a_day_are_not_even_counted_unless_they_may_be_shown(self) -> None:
        self.go_to(seconds(10, 12))
        self.let_it_count()
        assert {day["active_users"] for day in self.statistics()} == {None}

    def test_the_route_is_for_administrators_and_takes_a_span(self) -> None:
        assert self.make_request("GET", ROUTE).code == HTTPStatus.UNAUTHORIZED
        token = self.login("alice", "pass")
        assert self.make_request("GET", ROUTE, access_token=token).code == HTTPStatus.FORBIDDEN
        self.go_to(seconds(10, 12))
        self.let_it_count()
        from_ts, to_ts = begin_ms(dt.date(2026, 11, 5)), begin_ms(dt.date(2026, 11, 7))
        found = self.statistics(f"?from_ts={from_ts}&to_ts={to_ts}")
        assert [day["day"] for day in found] == ["2026-11-05", "2026-11-06"]
        boss = self.login("boss", "pass")
        for query in ("?from_ts=x", "?from_ts=2&to_ts=1", "?limit=0"):
            channel = self.make_request("GET", ROUTE + query, access_token=boss)
            assert channel.code == HTTPStatus.BAD_REQUEST, query
            assert channel.json_body["errcode"] == "M_INVALID_PARAM"


class ActivityTestCase(StatisticsCase):
    portal = {"show_activity": True}

    def test_users_of_a_day_where_that_is_switched_on(self) -> None:
        self.go_to(seconds(10, 12))
        token = self.login("alice", "pass")
        for _ in range(2):
            self.make_request("GET", "/_matrix/client/v3/account/whoami", access_token=token)
            # Synapse writes it down some seconds later.
            self.pump(2)
        # Every five minutes Synapse notes who was there on this day of UTC, by the machine's own clock.
        store = self.hs.get_datastores().main
        midnight = utc_begin_ms(dt.date(2026, 11, 10))
        with (
            patch.object(store, "_get_start_of_day", return_value=midnight),
            patch.object(store, "_last_user_visit_update", midnight),
        ):
            store.generate_user_daily_visits()
            self.pump()
        self.go_to(seconds(11, 3))
        self.let_it_count()
        assert self.by_day()["2026-11-10"]["active_users"] == 1
        assert self.by_day()["2026-11-09"]["active_users"] == 0
