"""The audit inside a homeserver: written with the change it describes, readable by administrators, dropped with age."""

import logging
from http import HTTPStatus
from typing import Any
from unittest.mock import patch

from synapse.http.server import OptionsResource
from synapse.module_api import LoggingTransaction, run_in_background
from synapse.rest import admin
from synapse.rest.client import login
from synapse.util.httpresourcetree import create_resource_tree
from tests.server import FakeChannel
from tests.unittest import HomeserverTestCase
from twisted.web.resource import Resource

from synapse_bum.audit import AUDIT, Entry, Selection, append, keep_audit, read_page, verify
from synapse_bum.audit.keeping import AuditKeeper
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import SharedConfig, parse
from synapse_bum.database import Database
from synapse_bum.quantities import parse_duration
from synapse_bum.rest import BASE, api_routes
from synapse_bum.testing.listeners import listener


def an_entry(ts: int = 1, action: str = "example.done", **fields: Any) -> Entry:  # noqa: ANN401 - fields of an entry
    return Entry(ts, "@boss:test", action, "mxc://example.org/abc", **fields)


class AuditTestCase(HomeserverTestCase):
    servlets = [admin.register_servlets, login.register_servlets]

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        config["listeners"] = [listener("client")]
        return config

    def create_test_resource(self) -> Resource:
        api = self.hs.get_module_api()
        self.database = Database(api, AUDIT)
        for _module in range(2):
            add_audit_routes(api_routes(api, parse(SharedConfig, {})), self.database)
        resources = {**self.create_resource_dict(), **self.hs._module_web_resources}
        return create_resource_tree(resources, OptionsResource())

    def append(self, entry: Entry) -> None:
        self.get_success(self.database.run("test", append, entry))

    def rows(self) -> list[tuple[int, str]]:
        rows, total = self.get_success(self.database.run("test", read_page, Selection(0, 1000)))
        assert len(rows) == total
        return [(row.ts, row.action) for row in rows]

    def is_whole(self) -> bool:
        return self.get_success(self.database.run("test", verify)) is None


class WritingTestCase(AuditTestCase):
    def test_a_change_that_fails_leaves_neither_row_nor_log_line(self) -> None:
        self.append(an_entry())

        def append_and_fail(txn: LoggingTransaction) -> None:
            append(txn, an_entry(2))
            raise KeyError

        with self.assertNoLogs("synapse_bum.audit", logging.INFO):
            self.get_failure(self.database.run("test", append_and_fail), KeyError)
        assert self.rows() == [(1, "example.done")]
        self.append(an_entry(3))
        assert self.is_whole()

    def test_a_repeated_attempt_leaves_one_row_and_one_log_line(self) -> None:
        attempts: list[int] = []

        def fail_once(txn: LoggingTransaction) -> None:
            attempts.append(1)
            append(txn, an_entry(len(attempts)))
            if len(attempts) == 1:
                raise txn.database_engine.module.OperationalError("the connection is gone")

        with self.assertLogs("synapse_bum.audit", logging.INFO) as logged:
            self.get_success(self.database.run("test", fail_once))
        assert len(logged.output) == 1
        assert self.rows() == [(2, "example.done")]
        assert self.is_whole()

    def test_many_at_once_make_one_chain(self) -> None:
        async def write(number: int) -> None:
            await self.database.run("test", append, an_entry(number))

        writing = [run_in_background(write, number) for number in range(30)]
        self.pump()
        for done in writing:
            self.successResultOf(done)
        assert len(self.rows()) == 30
        assert self.is_whole()

    def test_a_row_can_be_written_in_a_transaction_of_synapse(self) -> None:
        self.append(an_entry(1))
        self.get_success(self.hs.get_module_api().run_db_interaction("test", append, an_entry(2)))
        assert self.is_whole()


class RouteTestCase(AuditTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.register_user("boss", "pass", admin=True)
        self.boss = self.login("boss", "pass")
        self.register_user("user", "pass")
        self.user = self.login("user", "pass")

    def ask(self, query: str = "", token: str | None = None) -> FakeChannel:
        return self.make_request("GET", f"{BASE}/audit{query}", access_token=token or self.boss)

    def test_an_administrator_reads_newest_first(self) -> None:
        self.append(an_entry(1, old="blocked", new={"state": "released"}, reason="falscher Alarm"))
        self.append(an_entry(2))
        channel = self.ask()
        assert channel.code == HTTPStatus.OK
        newest, oldest = channel.json_body["audit"]
        assert channel.json_body["total"] == 2
        assert "next_token" not in channel.json_body
        assert newest["ts"] == 2
        assert len(oldest.pop("hash")) == 64
        assert oldest == {
            "ts": 1,
            "actor": "@boss:test",
            "action": "example.done",
            "target": "mxc://example.org/abc",
            "old": "blocked",
            "new": {"state": "released"},
            "reason": "falscher Alarm",
        }

    def test_pages_and_filters(self) -> None:
        for number in range(10):
            self.append(an_entry(number, "even" if number % 2 == 0 else "odd"))
        first = self.ask("?limit=4").json_body
        assert [row["ts"] for row in first["audit"]] == [9, 8, 7, 6]
        assert (first["total"], first["next_token"]) == (10, "4")
        last = self.ask("?limit=4&from=8").json_body
        assert [row["ts"] for row in last["audit"]] == [1, 0]
        assert "next_token" not in last
        odd = self.ask("?action=odd&since_ts=5").json_body
        assert ([row["ts"] for row in odd["audit"]], odd["total"]) == ([9, 7, 5], 3)
        for query in ("?since_ts=yesterday", "?action=", "?limit=0", "?action=a&action=b"):
            assert self.ask(query).json_body["errcode"] == "M_INVALID_PARAM"

    def test_nobody_else_reads_it_and_nobody_writes_it(self) -> None:
        assert self.ask(token=self.user).code == HTTPStatus.FORBIDDEN
        for method in ("POST", "PUT", "DELETE"):
            channel = self.make_request(method, f"{BASE}/audit", access_token=self.boss)
            assert channel.code == HTTPStatus.METHOD_NOT_ALLOWED

    def test_tables_that_are_not_ready_are_an_error_and_no_empty_list(self) -> None:
        def broken(*args: object) -> None:
            raise RuntimeError(args)

        with patch("synapse_bum.database.transactions.migrate", broken):
            channel = self.ask()
        assert channel.code == HTTPStatus.INTERNAL_SERVER_ERROR
        assert channel.json_body == {"errcode": "M_UNKNOWN", "error": "Internal server error"}


class KeepingTestCase(AuditTestCase):
    def test_rows_are_dropped_with_age_once_a_day_and_the_chain_stays_whole(self) -> None:
        api = self.hs.get_module_api()
        keep_audit(api, self.database, parse_duration("30d"))
        keep_audit(api, self.database, parse_duration("1y"))
        keep_audit(api, self.database, parse_duration("90d"))
        start = api.get_current_time_msec()
        self.append(an_entry(start))
        self.append(an_entry(start + 1))
        self.reactor.advance(364 * 86_400)
        self.pump()
        assert len(self.rows()) == 2
        self.append(an_entry(api.get_current_time_msec(), "example.later"))
        self.reactor.advance(3 * 86_400)
        self.pump()
        rows = self.rows()
        assert [action for _ts, action in rows] == ["audit.drop", "example.later"]
        assert self.is_whole()
        self.reactor.advance(3_600)
        self.pump()
        assert self.rows() == rows

    def test_one_process_does_it(self) -> None:
        api = self.hs.get_module_api()
        keeper, other = AuditKeeper(api, self.database), AuditKeeper(api, self.database)
        self.append(an_entry(0))
        keeper.keep(parse_duration("1s"))
        with patch.object(api, "get_current_time_msec", lambda: 10 * 86_400_000):
            lease = self.get_success(other._leases.acquire("audit.drop", 60_000))
            assert lease is not None
            self.get_success(keeper.run())
            assert self.rows() == [(0, "example.done")]
            self.get_success(other._leases.release(lease))
            self.get_success(keeper.run())
        assert [action for _ts, action in self.rows()] == ["audit.drop"]
