"""A homeserver in the test's own process with the federation module, and another server that signs requests to it.

What goes out ends at `Wire`, which notes where it was going to and refuses the connection.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from signedjson.key import encode_verify_key_base64, get_verify_key
from synapse.api.urls import SERVER_KEY_PREFIX
from synapse.module_api import ModuleApi
from synapse.rest import admin
from synapse.rest.client import (
    devices,
    directory,
    keys,
    knock,
    login,
    media,
    profile,
    receipts,
    room,
    sendtodevice,
    sync,
)
from synapse.rest.key.v2 import KeyResource
from synapse.server import HomeServer
from synapse.storage.keys import FetchKeyResult
from tests.server import FakeChannel
from tests.unittest import FederatingHomeserverTestCase
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError as RefusedError
from twisted.web.resource import Resource

from synapse_bum.federation import FederationModule
from synapse_bum.federation.config import FederationConfig
from synapse_bum.rest import BASE
from synapse_bum.testing.listeners import listener

MODULE = "synapse_bum.federation.FederationModule"
PARTNER = FederatingHomeserverTestCase.OTHER_SERVER_NAME
"""The server whose requests are signed with a key that is known here."""


class Wire:
    """Stands for the network behind Synapse's federation client.

    Attributes:
        reached: names of the servers that a request went out to.
    """

    def __init__(self) -> None:
        self.reached: list[str] = []

    def request(self, _method: bytes, uri: bytes, **_headers_and_body: object) -> "Deferred[Any]":
        """As Twisted's `IAgent`."""
        self.reached.append(uri.split(b"/")[2].decode())
        return fail(RefusedError())


class FederationTestCase(FederatingHomeserverTestCase):
    """A homeserver `test` with the module; `boss` administers it, `alice` uses it.

    Attributes:
        federation: the module's configuration; set by subclasses.
        server: further sections of homeserver.yaml; set by subclasses.
        wire: what goes out to other servers.
    """

    federation: ClassVar[Mapping[str, Any]] = {}
    server: ClassVar[Mapping[str, Any]] = {}
    servlets: ClassVar[list[Any]] = [
        admin.register_servlets,
        devices.register_servlets,
        directory.register_servlets,
        keys.register_servlets,
        knock.register_servlets,
        login.register_servlets,
        media.register_servlets,
        profile.register_servlets,
        receipts.register_servlets,
        room.register_servlets,
        sendtodevice.register_servlets,
        sync.register_servlets,
    ]

    def default_config(self) -> dict[str, Any]:
        """Adds the module, denies all by configuration, and sends what goes out from this process."""
        config: dict[str, Any] = super().default_config()
        config["listeners"] = [listener("client", "media", "federation")]
        config["media_store_path"] = self.mktemp()  # type: ignore[no-untyped-call]
        config["federation_domain_whitelist"] = []
        config["federation_sender_instances"] = None
        config["trusted_key_servers"] = []
        config["modules"] = [{"module": MODULE, "config": dict(self.federation)}]
        config.update(self.server)
        return config

    def make_homeserver(self, *_reactor_and_clock: object) -> HomeServer:
        """Keeps the module, and puts the wire behind the federation client."""
        self.modules: list[FederationModule] = []
        self.wire = Wire()
        remember = FederationModule.__init__

        def init(module: FederationModule, config: FederationConfig, api: ModuleApi) -> None:
            self.modules.append(module)
            remember(module, config, api)

        with patch.object(FederationModule, "__init__", init):
            hs = self.setup_test_homeserver()
        hs.get_federation_http_client().agent = self.wire  # type: ignore[assignment]
        return hs

    def create_resource_dict(self) -> dict[str, Resource]:
        """Adds the media repository, the key server and the module's own resources."""
        resources: dict[str, Resource] = super().create_resource_dict()
        if self.hs.config.media.can_load_media_repo:
            resources["/_matrix/media"] = self.hs.get_media_repository_resource()
        resources[SERVER_KEY_PREFIX] = KeyResource(self.hs)
        resources.update(self.hs._module_web_resources)  # noqa: SLF001 - as Synapse's listeners do
        return resources

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        """Registers the two accounts and lets the partners be loaded."""
        super().prepare(*reactor_clock_and_homeserver)
        self._know_the_key_for_long()
        self.boss = self.register_user("boss", "pass", admin=True)
        self.boss_token = self.login("boss", "pass")
        self.alice = self.register_user("alice", "pass")
        self.alice_token = self.login("alice", "pass")
        self.pump(0.1)

    def _know_the_key_for_long(self) -> None:
        """Synapse's test case stores the other server's key for ten seconds."""
        key = get_verify_key(self.OTHER_SERVER_SIGNATURE_KEY)
        name = f"{key.alg}:{key.version}"
        stored = self.hs.get_datastores().main.store_server_keys_response(
            PARTNER,
            from_server=PARTNER,
            ts_added_ms=self.now_ms(),
            verify_keys={name: FetchKeyResult(verify_key=key, valid_until_ts=self.now_ms() + 10**10)},
            response_json={"verify_keys": {name: {"key": encode_verify_key_base64(key)}}},
        )
        self.get_success(stored)

    @property
    def module(self) -> FederationModule:
        """The loaded module."""
        return self.modules[0]

    def now_ms(self) -> int:
        """The homeserver's time, ms since the epoch."""
        return int(self.hs.get_clock().time_msec())

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> FakeChannel:
        """Sends a request below our base, as the administrator unless another token is given."""
        content = b"" if body is None else dict(body)
        return self.make_request(method, f"{BASE}/{path}", content, access_token=token or self.boss_token)

    def answer(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """As `ask`; asserts that it is answered with 200 and returns the object."""
        channel = self.ask(method, path, body)
        assert channel.code == HTTPStatus.OK, channel.json_body
        found: dict[str, Any] = channel.json_body
        return found

    def add(self, name: str = PARTNER, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the body
        """Makes a server a partner."""
        return self.answer("PUT", f"federation/partners/{name}", {"reason": "a contract", **fields})

    def remove(self, name: str = PARTNER) -> None:
        """Removes a partner and waits until nothing goes out any more."""
        self.answer("DELETE", f"federation/partners/{name}", {"reason": "the contract ended"})
        self.pump(0.2)

    def is_allowed(self, name: str = PARTNER) -> bool:
        """What the API says about a server."""
        return bool(self.answer("GET", f"federation/check/{name}")["allowed"])

    def audit(self) -> list[dict[str, Any]]:
        """All rows, newest first."""
        rows: list[dict[str, Any]] = self.answer("GET", "audit")["audit"]
        return rows
