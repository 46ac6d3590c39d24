"""A homeserver in the test's own process with a module that deletes files."""

import contextlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from unittest.mock import patch

from synapse.module_api import ModuleApi
from synapse.rest import admin
from synapse.rest.client import login, media, room
from synapse.server import HomeServer
from tests.server import FakeChannel
from tests.unittest import HomeserverTestCase
from twisted.web.resource import Resource

from synapse_bum.deletion import Deletion, Outcome, list_deletions
from synapse_bum.deletion.remover import SETTLE_MS, TICK_MS
from synapse_bum.testing.deleting_module import DeletingConfig, DeletingModule
from synapse_bum.testing.listeners import listener

SERVER = "remote.example"


class DeletionTestCase(HomeserverTestCase):
    """A homeserver with the example module and three users: an administrator, alice and bob.

    Attributes:
        server: further sections of homeserver.yaml; set by subclasses.
        fetched: media ids that were asked of the other server, in order.
    """

    server: ClassVar[Mapping[str, Any]] = {}
    servlets: ClassVar[list[Any]] = [
        admin.register_servlets,
        login.register_servlets,
        media.register_servlets,
        room.register_servlets,
    ]

    def default_config(self) -> dict[str, Any]:
        """Adds the module and a media folder."""
        config: dict[str, Any] = super().default_config()
        config["listeners"] = [listener("client", "media")]
        config["media_store_path"] = self.mktemp()  # type: ignore[no-untyped-call]
        config["modules"] = [{"module": "synapse_bum.testing.deleting_module.DeletingModule", "config": {}}]
        config.update(self.server)
        return config

    def make_homeserver(self, *_reactor_and_clock: object) -> HomeServer:
        """Remembers the module that is loaded."""
        self.modules: list[DeletingModule] = []
        self.fetched: list[str] = []
        remember = DeletingModule.__init__

        def init(module: DeletingModule, config: DeletingConfig, api: ModuleApi) -> None:
            self.modules.append(module)
            remember(module, config, api)

        with patch.object(DeletingModule, "__init__", init):
            return self.setup_test_homeserver()

    def create_resource_dict(self) -> dict[str, Resource]:
        """Adds the media repository and the module's own resource."""
        resources: dict[str, Resource] = super().create_resource_dict()
        resources["/_matrix/media"] = self.hs.get_media_repository_resource()
        resources.update(self.hs._module_web_resources)  # noqa: SLF001 - as Synapse's listeners do
        return resources

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        """Registers the users."""
        super().prepare(*reactor_clock_and_homeserver)
        self.admin = self.register_user("admin", "pass", admin=True)
        self.admin_token = self.login("admin", "pass")
        self.alice = self.register_user("alice", "pass")
        self.alice_token = self.login("alice", "pass")
        self.bob = self.register_user("bob", "pass")
        self.bob_token = self.login("bob", "pass")

    @property
    def module(self) -> DeletingModule:
        """The loaded module."""
        return self.modules[0]

    @property
    def store(self) -> Path:
        """The media folder."""
        return Path(self.hs.config.media.media_store_path)

    def upload(self, content: bytes, content_type: str = "image/png", *, token: str | None = None) -> str:
        """Upload as alice, unless another token is given, and return the mxc URI."""
        channel = self.make_request(
            "POST",
            "/_matrix/media/v3/upload",
            content=content,
            access_token=token or self.alice_token,
            shorthand=False,
            content_type=content_type.encode(),
            custom_headers=[("Content-Length", str(len(content)))],
        )
        assert channel.code == HTTPStatus.OK, channel.json_body
        self.pump()
        return str(channel.json_body["content_uri"])

    def fetch(self, media_id: str, content: bytes = b"from afar") -> FakeChannel:
        """Download a file of another server, with the request to it replaced."""

        async def download(
            _server: str, media: str, output_stream: BinaryIO, *_: object, **__: object
        ) -> tuple[int, dict[bytes, list[bytes]], bytes]:
            self.fetched.append(media)
            output_stream.write(content)
            return len(content), {b"Content-Type": [b"text/plain"]}, b"{}"

        with patch.object(self.hs.get_federation_client(), "federation_download_media", download):
            return self.get(f"/_matrix/client/v1/media/download/{SERVER}/{media_id}")

    def get(self, path: str) -> FakeChannel:
        """GET as bob, who has uploaded nothing."""
        return self.make_request("GET", path, access_token=self.bob_token, shorthand=False)

    def download(self, mxc: str) -> FakeChannel:
        """Download as bob."""
        return self.get(f"/_matrix/client/v1/media/download/{mxc.removeprefix('mxc://')}")

    def delete(self, mxc: str, **wish: Any) -> Outcome:  # noqa: ANN401 - the arguments of `DeletingModule.delete`
        """Plan a deletion; nothing is removed before the clock moves on."""
        server_name, media_id = mxc.removeprefix("mxc://").split("/")
        run = self.module.database.run("delete", self.module.delete, server_name, media_id, **wish)
        outcome: Outcome = self.get_success(run)
        return outcome

    @contextlib.contextmanager
    def removal_stopped(self) -> Iterator[None]:
        """Meanwhile the remover does nothing, as if it were at its last turn still."""
        assert self.module.remover is not None
        with patch.object(self.module.remover, "_busy", new=True):
            yield

    def turn(self, ms: int = TICK_MS) -> None:
        """Let time go by and the remover do its work."""
        self.reactor.advance(ms / 1000)
        self.pump()

    def settle(self) -> None:
        """Let so much time go by that a new upload is removed for good."""
        for _ in range(3):
            self.turn(SETTLE_MS // 2)

    def journal(self) -> list[Deletion]:
        """All deletions, newest first."""
        rows, _total = self.get_success(self.module.database.run("list", list_deletions, 0, 100))
        found: list[Deletion] = rows
        return found

    def files(self, folder: Path | None = None) -> list[str]:
        """Names of all files in the media folder or in another one, thumbnails included."""
        root = folder or self.store
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def count(self, table: str) -> int:
        """How many rows a table of Synapse has."""
        counted: int = self.get_success(
            self.hs.get_datastores().main.db_pool.simple_select_one_onecol(table, {}, "count(*)")
        )
        return counted
