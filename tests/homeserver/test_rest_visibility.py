"""For whom and where the API exists: operators, hosts, listeners, and several modules side by side."""

import copy
import logging
from http import HTTPStatus
from unittest.mock import Mock, patch

from synapse.config.server import parse_listener_def
from synapse.module_api import ModuleApi
from tests.unittest import override_config
from twisted.internet.address import IPv4Address, UNIXAddress

from synapse_bum.config import SharedConfig, parse
from synapse_bum.rest import BASE, Answer, ApiRequest, api_routes
from synapse_bum.testing.listeners import listener
from synapse_bum.testing.rest_case import THINGS, ApiTestCase, JsonDict


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
        other = copy.copy(self.hs.get_module_api())
        other._hs = Mock()
        for _module in range(2):
            api_routes(other, parse(SharedConfig, {}))
        (registered,) = other._hs.register_module_web_resource.call_args_list
        assert registered.args[0] == BASE
        assert registered.args[1] is not self.hs._module_web_resources[BASE]


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
