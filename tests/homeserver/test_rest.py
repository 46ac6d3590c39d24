"""The API as clients and operators see it: which requests are answered, and how the others are refused."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from unittest.mock import patch

import attr
from synapse.config.server import parse_listener_def
from synapse.http.server import OptionsResource
from synapse.module_api import ModuleApi
from synapse.rest import admin
from synapse.rest.client import login
from synapse.util.httpresourcetree import create_resource_tree
from tests.server import FakeChannel
from tests.unittest import HomeserverTestCase, override_config
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.web.resource import Resource

from synapse_bum import reading
from synapse_bum.config import SharedConfig, parse
from synapse_bum.reading import option
from synapse_bum.rest import BASE, Access, Answer, ApiRequest, api_routes, conflict, not_found
from synapse_bum.testing.listeners import listener

JsonDict = dict[str, Any]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Release:
    reason: str = option(reading.text)
    dry_run: bool = option(reading.boolean, default=False)


class ExampleModule:
    """A module with one route of each kind."""

    def __init__(self, config: SharedConfig, api: ModuleApi) -> None:
        routes = api_routes(api, config)
        routes.add("GET", "example/mine", self.mine, access=Access.USER)
        routes.add("GET", "example/things", self.things)
        routes.add("GET", "example/things/{server_name}/{media_id}", self.thing)
        routes.add("DELETE", "example/things/{server_name}/{media_id}", self.thing)
        routes.add("POST", "example/things/{server_name}/{media_id}/release", self.release, access=Access.OPERATOR)
        routes.add("GET", "example/things/local/newest", self.newest)
        routes.add("PUT", "example/holds/{room_or_user_id}", self.thing)
        routes.add("POST", "example/runs", self.run)
        routes.add("GET", "example/broken", self.broken)

    @staticmethod
    def parse_config(config: JsonDict) -> SharedConfig:
        return parse(SharedConfig, config)

    async def mine(self, request: ApiRequest) -> Answer:
        return Answer({"user_id": request.user_id})

    async def things(self, request: ApiRequest) -> Answer:
        page = request.page()
        things = [{"n": n} for n in range(250)][page.offset :][: page.limit]
        return Answer(page.answer("things", things, 250))

    async def thing(self, request: ApiRequest) -> Answer:
        return Answer(dict(request.path))

    async def newest(self, request: ApiRequest) -> Answer:
        del request
        return Answer({"newest": True})

    async def release(self, request: ApiRequest) -> Answer:
        body = request.body(Release)
        if request.path["media_id"] == "missing":
            raise not_found("finding for this file")
        if request.path["media_id"] == "released":
            raise conflict("The file is released already")
        return Answer({"reason": body.reason, "dry_run": body.dry_run})

    async def run(self, request: ApiRequest) -> Answer:
        del request
        return Answer.accepted("run1")

    async def broken(self, request: ApiRequest) -> Answer:
        del request
        raise RuntimeError("password hunter2")


THINGS = f"{BASE}/example/things"


class ApiTestCase(HomeserverTestCase):
    servlets = [admin.register_servlets, login.register_servlets]

    shared: Mapping[str, Any] = {}

    def default_config(self) -> JsonDict:
        config = super().default_config()
        if "listeners" not in (self._extra_config or {}):
            config["listeners"] = [listener("client")]
        return config

    def make_module(self) -> None:
        ExampleModule(parse(SharedConfig, dict(self.shared)), self.hs.get_module_api())

    def create_test_resource(self) -> Resource:
        self.make_module()
        resources = {**self.create_resource_dict(), **self.hs._module_web_resources}
        return create_resource_tree(resources, OptionsResource())

    def setUp(self) -> None:
        super().setUp()
        self.register_user("boss", "pass", admin=True)
        self.boss = self.login("boss", "pass")
        self.register_user("user", "pass")
        self.user = self.login("user", "pass")

    def ask(
        self,
        method: str,
        path: str | bytes,
        token: str | None = None,
        *,
        content: bytes | JsonDict = b"",
        headers: Mapping[str, str] | None = None,
    ) -> FakeChannel:
        custom = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        return self.make_request(method, path, content, token, custom_headers=custom)

    def not_stored(self, channel: FakeChannel) -> None:
        header = (channel.headers.getRawHeaders(b"Cache-Control") or [b""])[0]
        assert b"no-store" in header.split(b", ")

    def refused(self, channel: FakeChannel, status: int, errcode: str) -> str:
        assert (channel.code, channel.json_body["errcode"]) == (status, errcode), channel.json_body
        self.not_stored(channel)
        error: str = channel.json_body["error"]
        return error


class AnswerTestCase(ApiTestCase):
    def test_an_administrator_gets_the_object(self) -> None:
        channel = self.ask("GET", f"{THINGS}/example.org/abc", self.boss)
        assert channel.code == HTTPStatus.OK
        assert channel.json_body == {"server_name": "example.org", "media_id": "abc"}
        self.not_stored(channel)
        assert channel.headers.getRawHeaders(b"Access-Control-Allow-Origin") == [b"*"]
        assert channel.headers.getRawHeaders(b"Content-Type") == [b"application/json"]

    def test_head_is_get_without_the_body(self) -> None:
        got = self.ask("GET", f"{THINGS}/example.org/abc", self.boss)
        head = self.ask("HEAD", f"{THINGS}/example.org/abc", self.boss)
        assert head.code == HTTPStatus.OK
        assert "body" not in head.result
        assert head.headers.getRawHeaders(b"Content-Length") == got.headers.getRawHeaders(b"Content-Length")

    def test_options_is_answered_without_a_token_and_with_cors(self) -> None:
        channel = self.ask("OPTIONS", f"{THINGS}/example.org/abc")
        assert channel.code == HTTPStatus.NO_CONTENT
        assert channel.headers.getRawHeaders(b"Access-Control-Allow-Origin") == [b"*"]

    def test_a_started_run_is_202(self) -> None:
        channel = self.ask("POST", f"{BASE}/example/runs", self.boss)
        assert (channel.code, channel.json_body) == (HTTPStatus.ACCEPTED, {"run_id": "run1"})

    def test_a_user_gets_what_is_his(self) -> None:
        channel = self.ask("GET", f"{BASE}/example/mine", self.user)
        assert (channel.code, channel.json_body) == (HTTPStatus.OK, {"user_id": "@user:test"})

    def test_fixed_text_wins_over_a_parameter(self) -> None:
        assert self.ask("GET", f"{THINGS}/local/newest", self.boss).json_body == {"newest": True}
        assert self.ask("GET", f"{THINGS}/local/oldest", self.boss).json_body["media_id"] == "oldest"

    def test_pages_lead_through_the_whole_list(self) -> None:
        numbers: list[int] = []
        path, token = f"{THINGS}?limit=120", "0"
        while token:
            channel = self.ask("GET", f"{path}&from={token}", self.boss)
            assert channel.json_body["total"] == 250
            numbers += [thing["n"] for thing in channel.json_body["things"]]
            token = channel.json_body.get("next_token", "")
        assert numbers == list(range(250))
        assert len(self.ask("GET", THINGS, self.boss).json_body["things"]) == 100

    def test_an_unexpected_error_says_nothing_of_the_inside(self) -> None:
        with self.assertLogs("synapse.http.server", logging.ERROR) as logged:
            channel = self.ask("GET", f"{BASE}/example/broken", self.boss)
        assert self.refused(channel, 500, "M_UNKNOWN") == "Internal server error"
        assert "Traceback" in logged.output[0]


class CheckTestCase(ApiTestCase):
    def test_unknown_paths(self) -> None:
        for path in (
            "",
            "/",
            "/example",
            "/example/things/",
            "/example/things/a.example",
            "/example/things/a/b/c",
            "/x",
        ):
            self.refused(self.ask("GET", BASE + path, self.boss), 404, "M_UNRECOGNIZED")
        for path in (
            "//example/things",
            "/example//things",
            "/example/things//abc",
            "/./example/things",
            "/EXAMPLE/things",
        ):
            self.refused(self.ask("GET", BASE + path, self.boss), 404, "M_UNRECOGNIZED")

    def test_an_unknown_path_is_404_before_the_token_and_a_wrong_method_405(self) -> None:
        self.refused(self.ask("GET", f"{BASE}/nothing"), 404, "M_UNRECOGNIZED")
        for method in ("POST", "PUT", "PATCH"):
            channel = self.ask(method, f"{THINGS}/example.org/abc")
            self.refused(channel, 405, "M_UNRECOGNIZED")
            assert channel.headers.getRawHeaders(b"Allow") == [b"HEAD, DELETE, GET, OPTIONS"]

    def test_tokens(self) -> None:
        self.refused(self.ask("GET", THINGS), 401, "M_MISSING_TOKEN")
        self.refused(self.ask("GET", THINGS, "nonsense"), 401, "M_UNKNOWN_TOKEN")
        self.refused(self.ask("GET", f"{BASE}/example/mine"), 401, "M_MISSING_TOKEN")
        self.refused(self.ask("GET", THINGS, headers={"Authorization": "Bearer t\u00f6ken"}), 401, "M_UNKNOWN_TOKEN")
        self.refused(self.ask("GET", THINGS, headers={"Authorization": "Basic x"}), 401, "M_MISSING_TOKEN")

    def test_only_administrators(self) -> None:
        self.refused(self.ask("GET", THINGS, self.user), 403, "M_FORBIDDEN")

    def test_an_administrator_is_whom_synapse_takes_for_one(self) -> None:
        """Under MAS that is decided by the token's scope, not by the account."""

        async def by_scope(requester: object) -> bool:
            del requester
            return True

        with patch.object(self.hs.get_auth(), "is_server_admin", by_scope):
            assert self.ask("GET", THINGS, self.user).code == HTTPStatus.OK

    def test_the_admin_check_comes_before_path_values_and_body(self) -> None:
        path = f"{THINGS}/example.org/..%2F..%2Fetc/release"
        self.refused(self.ask("POST", path), 401, "M_MISSING_TOKEN")
        self.refused(self.ask("POST", path, self.user, content=b"{"), 403, "M_FORBIDDEN")
        self.refused(self.ask("POST", path, self.boss, content=b"{"), 400, "M_INVALID_PARAM")
        path = f"{THINGS}/example.org/missing/release"
        self.refused(self.ask("POST", path, self.boss, content=b"{"), 400, "M_NOT_JSON")
        self.refused(self.ask("POST", path, self.boss, content={"reason": "x"}), 404, "M_NOT_FOUND")
        path = f"{THINGS}/example.org/released/release"
        channel = self.ask("POST", path, self.boss, content={"reason": "x"})
        assert self.refused(channel, 409, "M_UNKNOWN") == "The file is released already"

    def test_path_segments_are_validated_after_decoding(self) -> None:
        for segment in ("a%2Fb", "..", "%2e%2e", "%00", "%ff", "a%0ab", "%252F", "a.b", "%E2%80%AE"):
            channel = self.ask("GET", f"{THINGS}/example.org/{segment}", self.boss)
            assert "`media_id`" in self.refused(channel, 400, "M_INVALID_PARAM")
        channel = self.ask("GET", f"{THINGS}/..%2f/abc", self.boss)
        assert "`server_name`" in self.refused(channel, 400, "M_INVALID_PARAM")

    def test_what_is_legal_in_an_identifier_passes_encoded(self) -> None:
        for encoded, decoded in (
            ("%21a%2Fb%3Aexample.org%3A8448", "!a/b:example.org:8448"),
            ("@a%2Fb:example.org", "@a/b:example.org"),
        ):
            channel = self.ask("PUT", f"{BASE}/example/holds/{encoded}", self.boss)
            assert channel.json_body == {"room_or_user_id": decoded}

    def test_query_parameters_are_strict_and_unknown_ones_ignored(self) -> None:
        for query in (
            "limit=0",
            "limit=1001",
            "limit=",
            "limit=ten",
            "from=-1",
            "limit=1&limit=2",
            "from=%D9%A1",
            "from=1e3",
        ):
            name = query.partition("=")[0]
            channel = self.ask("GET", f"{THINGS}?{query}", self.boss)
            assert f"`{name}`" in self.refused(channel, 400, "M_INVALID_PARAM")
        self.refused(self.ask("GET", f"{THINGS}?from=%ff", self.boss), 400, "M_INVALID_PARAM")
        assert self.ask("GET", f"{THINGS}?something=else", self.boss).code == HTTPStatus.OK

    def test_a_form_body_is_no_query(self) -> None:
        channel = self.make_request("POST", f"{BASE}/example/runs", b"limit=0&limit=1", self.boss, content_is_form=True)
        assert channel.code == HTTPStatus.ACCEPTED


class BodyTestCase(ApiTestCase):
    PATH = f"{THINGS}/example.org/abc/release"

    def post(self, content: bytes | JsonDict) -> FakeChannel:
        return self.ask("POST", self.PATH, self.boss, content=content)

    def test_a_good_body(self) -> None:
        assert self.post({"reason": "falscher Alarm äöü"}).json_body == {
            "reason": "falscher Alarm äöü",
            "dry_run": False,
        }

    def test_what_is_no_json_object(self) -> None:
        for content in (
            *(
                b"",
                b"{",
                b"[]",
                b"null",
                b'"x"',
                b"\xff",
                b'{"reason": NaN}',
                b'{"reason": Infinity}',
                b"{'reason': 1}",
            ),
            *(b"[" * 3_000, b'{"reason": ' * 300 + b"1" + b"}" * 299, b'{"reason": ' + b"9" * 3_500 + b"e}"),
        ):
            self.refused(self.post(content), 400, "M_NOT_JSON")

    def test_missing_and_wrong_parameters_are_named(self) -> None:
        assert "`reason`" in self.refused(self.post({}), 400, "M_MISSING_PARAM")
        for content, name in (
            ({"reason": 1}, "reason"),
            ({"reason": ""}, "reason"),
            ({"reason": None}, "reason"),
            ({"reason": "a\0b"}, "reason"),
            ({"reason": "a", "dry_run": "true"}, "dry_run"),
            ({"reason": "a", "dryrun": True}, "dryrun"),
        ):
            assert f"`{name}`" in self.refused(self.post(content), 400, "M_INVALID_PARAM")
        assert "did you mean `dry_run`?" in self.post({"reason": "a", "dryrun": True}).json_body["error"]
        assert "`reason`" in self.refused(self.post(b'{"reason": "a", "reason": "b"}'), 400, "M_INVALID_PARAM")
        assert "`reason`" in self.refused(self.post(b'{"reason": "\\ud800"}'), 400, "M_INVALID_PARAM")

    def test_a_body_above_the_limit_is_refused(self) -> None:
        fitting = b'{"reason": "x"}' + b" " * (65_536 - 15)
        with patch("tests.server.MAX_REQUEST_SIZE", 1_000_000, create=True):
            assert self.post(fitting).code == HTTPStatus.OK
            self.refused(self.post(fitting + b" "), 413, "M_TOO_LARGE")


class OperatorTestCase(ApiTestCase):
    shared = {"operator_users": ["@op:test"]}

    def setUp(self) -> None:
        super().setUp()
        self.register_user("op", "pass", admin=True)
        self.operator = self.login("op", "pass")

    def test_only_operators_change_and_other_administrators_read(self) -> None:
        path = f"{THINGS}/example.org/abc/release"
        channel = self.ask("POST", path, self.boss, content={"reason": "x"})
        assert "operator_users" in self.refused(channel, 403, "M_FORBIDDEN")
        assert self.ask("POST", path, self.operator, content={"reason": "x"}).code == HTTPStatus.OK
        assert self.ask("GET", THINGS, self.boss).code == HTTPStatus.OK

    def test_an_operator_who_is_no_administrator_may_nothing(self) -> None:
        user_id = self.register_user("plain", "pass")
        assert user_id == "@plain:test"
        with patch.object(self, "shared", {"operator_users": [user_id]}):
            channel = self.ask("POST", f"{THINGS}/a.example/b/release", self.login("plain", "pass"))
        self.refused(channel, 403, "M_FORBIDDEN")


class HostTestCase(ApiTestCase):
    shared = {"admin_hosts": ["Admin.Example"]}

    def test_admin_routes_exist_only_on_admin_hosts(self) -> None:
        for host in ("admin.example", "ADMIN.example:8448"):
            assert self.ask("GET", THINGS, self.boss, headers={"Host": host}).code == HTTPStatus.OK
        for host in ("matrix.example", "admin.example.evil", "xadmin.example", "", "admin.example."):
            headers = {"Host": host}
            self.refused(self.ask("GET", THINGS, self.boss, headers=headers), 404, "M_UNRECOGNIZED")
            self.refused(self.ask("POST", THINGS, headers=headers), 404, "M_UNRECOGNIZED")
        self.refused(self.ask("GET", THINGS, self.boss), 404, "M_UNRECOGNIZED")

    def test_two_host_headers_are_none(self) -> None:
        for first, second in ((b"matrix.example", b"admin.example"), (b"admin.example", b"matrix.example")):
            custom = [(b"Host", first), (b"Host", second)]
            channel = self.make_request("GET", THINGS, access_token=self.boss, custom_headers=custom)
            self.refused(channel, 404, "M_UNRECOGNIZED")

    def test_routes_of_users_exist_everywhere(self) -> None:
        headers = {"Host": "matrix.example"}
        assert self.ask("GET", f"{BASE}/example/mine", self.user, headers=headers).code == HTTPStatus.OK


class OtherModule:
    def __init__(self, config: SharedConfig, api: ModuleApi) -> None:
        routes = api_routes(api, config)
        routes.add("GET", "other", self.other)
        routes.add("GET", "example/things", self.other)

    async def other(self, request: ApiRequest) -> Answer:
        del request
        return Answer({"other": True})


class SeveralModulesTestCase(ApiTestCase):
    shared = {"admin_hosts": ["admin.example"]}

    def make_module(self) -> None:
        with self.assertNoLogs("synapse.server", logging.WARNING):
            super().make_module()
            OtherModule(parse(SharedConfig, {}), self.hs.get_module_api())
            super().make_module()

    def test_each_keeps_its_own_hosts_and_the_first_keeps_its_routes(self) -> None:
        assert self.ask("GET", f"{BASE}/other", self.boss).json_body == {"other": True}
        channel = self.ask("GET", THINGS, self.boss, headers={"Host": "admin.example"})
        assert "things" in channel.json_body
        self.refused(self.ask("GET", THINGS, self.boss), 404, "M_UNRECOGNIZED")

    def test_another_homeserver_has_its_own_table(self) -> None:
        other = self.setup_test_homeserver()
        api_routes(other.get_module_api(), parse(SharedConfig, {}))
        assert other._module_web_resources[BASE] is not self.hs._module_web_resources[BASE]


def unix_listener(path: str, resource: str) -> JsonDict:
    return {"path": path, "type": "http", "resources": [{"names": [resource]}]}


class ListenerTestCase(ApiTestCase):
    def status(self) -> int:
        channel = self.ask("GET", THINGS, self.boss)
        if channel.code != HTTPStatus.OK:
            self.refused(channel, 404, "M_UNRECOGNIZED")
        return channel.code

    def test_a_listener_for_clients(self) -> None:
        assert self.status() == HTTPStatus.OK

    @override_config({"listeners": [listener("media")]})
    def test_a_listener_for_media(self) -> None:
        assert self.status() == HTTPStatus.OK

    @override_config({"listeners": [listener("metrics", "health")]})
    def test_a_listener_for_metrics(self) -> None:
        assert self.status() == HTTPStatus.NOT_FOUND

    @override_config({"listeners": [listener("federation")]})
    def test_a_listener_for_federation(self) -> None:
        assert self.status() == HTTPStatus.NOT_FOUND

    @override_config({"listeners": [listener("replication")]})
    def test_a_listener_for_replication(self) -> None:
        assert self.status() == HTTPStatus.NOT_FOUND

    @override_config({"listeners": [listener("client", tag="other")]})
    def test_a_listener_that_nobody_knows(self) -> None:
        assert self.status() == HTTPStatus.NOT_FOUND

    @override_config({"listeners": [listener("client"), listener("replication")]})
    def test_two_listeners_of_the_same_name_that_cannot_be_told_apart(self) -> None:
        assert self.status() == HTTPStatus.NOT_FOUND

    @override_config({"listeners": [{**listener("client"), "port": 5}, {**listener("replication"), "port": 6}]})
    def test_two_listeners_of_the_same_name_are_told_apart_by_their_port(self) -> None:
        with patch("tests.server.FakeChannel.getHost", lambda _channel: _address(5)):
            assert self.status() == HTTPStatus.OK
        with patch("tests.server.FakeChannel.getHost", lambda _channel: _address(6)):
            assert self.status() == HTTPStatus.NOT_FOUND

    @override_config(
        {"listeners": [unix_listener("/run/clients", "client"), unix_listener("/run/replication", "replication")]}
    )
    def test_unix_sockets_share_a_name_and_are_told_apart_by_their_path(self) -> None:
        self.site.site_tag = "unix"
        for path, status in (("/run/clients", 200), ("/run/replication", 404), ("/run/unknown", 404)):
            with patch("tests.server.FakeChannel.getHost", lambda _channel, path=path: UNIXAddress(path.encode())):
                assert self.status() == status

    @override_config({"listeners": [listener("replication")]})
    def test_on_a_worker_the_listeners_of_the_worker_count(self) -> None:
        clients = parse_listener_def(0, dict(listener("client")))
        worker = self.hs.config.worker
        assert self.status() == HTTPStatus.NOT_FOUND
        with patch.object(worker, "worker_app", "synapse.app.generic_worker"):
            with patch.object(worker, "worker_listeners", []):
                assert self.status() == HTTPStatus.NOT_FOUND
            with patch.object(worker, "worker_listeners", [clients]):
                assert self.status() == HTTPStatus.OK


def _address(port: int) -> IPv4Address:
    return IPv4Address("TCP", "127.0.0.1", port)
