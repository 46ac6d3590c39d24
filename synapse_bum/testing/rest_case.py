"""`ApiTestCase`: our API in a homeserver, with a module that has one route of each kind.

Needs Synapse's own `tests` package.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import attr
from synapse.http.server import OptionsResource
from synapse.module_api import ModuleApi
from synapse.rest import admin
from synapse.rest.client import login
from synapse.util.httpresourcetree import create_resource_tree
from tests.server import FakeChannel
from tests.unittest import HomeserverTestCase
from twisted.web.resource import Resource

from synapse_bum import reading
from synapse_bum.config import SharedConfig, parse
from synapse_bum.reading import option
from synapse_bum.rest import BASE, Access, Answer, ApiRequest, api_routes, conflict, not_found
from synapse_bum.testing.listeners import listener

JsonDict = dict[str, Any]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Release:
    """Body of the example's `release`."""

    reason: str = option(reading.text)
    dry_run: bool = option(reading.boolean, default=False)


class ExampleModule:
    """A module with one route of each kind."""

    def __init__(self, config: SharedConfig, api: ModuleApi) -> None:
        routes = api_routes(api, config)
        routes.add("GET", "example/mine", self._mine, access=Access.USER)
        routes.add("GET", "example/things", self._things)
        routes.add("GET", "example/things/{server_name}/{media_id}", self._thing)
        routes.add("DELETE", "example/things/{server_name}/{media_id}", self._thing)
        routes.add("POST", "example/things/{server_name}/{media_id}/release", self._release, access=Access.OPERATOR)
        routes.add("GET", "example/things/local/newest", self._newest)
        routes.add("PUT", "example/holds/{room_or_user_id}", self._thing)
        routes.add("POST", "example/runs", self._run)
        routes.add("GET", "example/broken", self._broken)

    async def _mine(self, request: ApiRequest) -> Answer:
        return Answer({"user_id": request.user_id})

    async def _things(self, request: ApiRequest) -> Answer:
        page = request.page()
        things = [{"n": n} for n in range(250)][page.offset :][: page.limit]
        return Answer(page.answer("things", things, 250))

    async def _thing(self, request: ApiRequest) -> Answer:
        return Answer(dict(request.path))

    async def _newest(self, request: ApiRequest) -> Answer:
        del request
        return Answer({"newest": True})

    async def _release(self, request: ApiRequest) -> Answer:
        body = request.body(Release)
        if request.path["media_id"] == "missing":
            raise not_found("finding for this file")
        if request.path["media_id"] == "released":
            raise conflict("The file is released already")
        return Answer({"reason": body.reason, "dry_run": body.dry_run})

    async def _run(self, request: ApiRequest) -> Answer:
        del request
        return Answer.accepted("run1")

    async def _broken(self, request: ApiRequest) -> Answer:
        del request
        raise RuntimeError("password hunter2")


THINGS = f"{BASE}/example/things"
"""The list that administrators of the example read."""


class ApiTestCase(HomeserverTestCase):
    """A homeserver with the example module, an administrator `@boss:test` and a user `@user:test`.

    Attributes:
        shared: the module's configuration; set by subclasses.
        boss: access token of the administrator.
        user: access token of the user.
    """

    servlets: ClassVar[list[Any]] = [admin.register_servlets, login.register_servlets]
    shared: ClassVar[Mapping[str, Any]] = {}

    def default_config(self) -> JsonDict:
        """Adds a listener for clients, unless the test has its own."""
        config = super().default_config()
        if "listeners" not in (self._extra_config or {}):
            config["listeners"] = [listener("client")]
        return config

    def make_module(self) -> None:
        """Loads the example module as Synapse does."""
        ExampleModule(parse(SharedConfig, dict(self.shared)), self.hs.get_module_api())

    def create_test_resource(self) -> Resource:
        """Puts the resources of modules beside Synapse's own."""
        self.make_module()
        resources = {**self.create_resource_dict(), **self.hs._module_web_resources}  # noqa: SLF001 - as Synapse itself does
        return create_resource_tree(resources, OptionsResource())

    def setUp(self) -> None:
        """Registers the two accounts."""
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
        """Sends a request and returns the answer."""
        custom = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        return self.make_request(method, path, content, token, custom_headers=custom)

    def not_stored(self, channel: FakeChannel) -> None:
        """Asserts that no cache may keep an answer."""
        header = (channel.headers.getRawHeaders(b"Cache-Control") or [b""])[0]
        assert b"no-store" in header.split(b", ")

    def refused(self, channel: FakeChannel, status: int, errcode: str) -> str:
        """Asserts status and `errcode` of an error answer and returns its sentence."""
        assert (channel.code, channel.json_body["errcode"]) == (status, errcode), channel.json_body
        self.not_stored(channel)
        error: str = channel.json_body["error"]
        return error
