"""A homeserver in the test's own process whose antivirus asks a scripted scanner."""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.module_api import ModuleApi
from synapse.rest import admin
from synapse.rest.client import login, media, room
from synapse.server import HomeServer
from tests.server import FakeChannel
from tests.unittest import HomeserverTestCase
from twisted.web.resource import Resource

from synapse_bum.antivirus import AntivirusModule
from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.antivirus.stored.backlog import TICK_MS
from synapse_bum.testing.engines import FakeEngine
from synapse_bum.testing.listeners import listener

MODULE = "synapse_bum.antivirus.AntivirusModule"
BASE = "/_synapse/client/bum/v1"


class AntivirusTestCase(HomeserverTestCase):
    """A homeserver with the antivirus module and two users.

    Attributes:
        antivirus: further keys of the module's configuration; set by subclasses.
        server: further sections of homeserver.yaml; set by subclasses.
        engine: the scanner; change what it says at any time.
    """

    antivirus: ClassVar[Mapping[str, Any]] = {}
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
        config["modules"] = [{"module": MODULE, "config": {"max_scan_size": "2M", **self.antivirus}}]
        config.update(self.server)
        return config

    def make_homeserver(self, *_reactor_and_clock: object) -> HomeServer:
        """Puts the scripted scanner in the place of the configured ones."""
        self.engine = FakeEngine()
        self.modules: list[AntivirusModule] = []
        remember = AntivirusModule.__init__

        def init(module: AntivirusModule, config: AntivirusConfig, api: ModuleApi) -> None:
            self.modules.append(module)
            remember(module, config, api)

        with (
            patch("synapse_bum.antivirus.module.build_engines", return_value=[self.engine]),
            patch.object(AntivirusModule, "__init__", init),
        ):
            return self.setup_test_homeserver()

    def create_resource_dict(self) -> dict[str, Resource]:
        """Adds the media repository and the modules' own resources."""
        resources: dict[str, Resource] = super().create_resource_dict()
        if self.hs.config.media.can_load_media_repo:
            resources["/_matrix/media"] = self.hs.get_media_repository_resource()
        resources.update(self.hs._module_web_resources)  # noqa: SLF001 - as Synapse's listeners do
        return resources

    def prepare(self, *_reactor_clock_and_homeserver: object) -> None:
        """Registers an administrator and a user, and lets the first self-test end."""
        self.admin = self.register_user("admin", "pass", admin=True)
        self.admin_token = self.login("admin", "pass")
        self.user = self.register_user("alice", "pass")
        self.user_token = self.login("alice", "pass")
        self.settle()

    @property
    def module(self) -> AntivirusModule:
        """The loaded module."""
        return self.modules[0]

    def settle(self) -> None:
        """Let background duties run: self-test, writing of verdicts, backlog."""
        for _ in range(12):
            self.reactor.advance(TICK_MS / 1000 / 2)
            self.pump()

    def upload(
        self, content: bytes, *, expect: int = HTTPStatus.OK, content_type: str = "application/octet-stream"
    ) -> str:
        """Upload and return the mxc URI, empty when the upload was refused."""
        channel = self.make_request(
            "POST",
            "/_matrix/media/v3/upload",
            content=content,
            access_token=self.user_token,
            shorthand=False,
            content_type=content_type.encode(),
            custom_headers=[("Content-Length", str(len(content)))],
        )
        assert channel.code == expect, channel.json_body
        self.pump()
        return str(channel.json_body.get("content_uri", ""))

    def upload_async(self, content: bytes) -> tuple[str, FakeChannel]:
        """Reserve a media id and upload to it; returns the mxc URI and the answer to the upload."""
        created = self.make_request("POST", "/_matrix/media/v1/create", access_token=self.user_token)
        mxc = str(created.json_body["content_uri"])
        path = mxc.removeprefix("mxc://")
        put = self.make_request(
            "PUT",
            f"/_matrix/media/v3/upload/{path}",
            content=content,
            access_token=self.user_token,
            custom_headers=[("Content-Length", str(len(content)))],
        )
        return mxc, put

    def download(self, mxc: str) -> FakeChannel:
        """Download as the ordinary user."""
        path = f"/_matrix/client/v1/media/download/{mxc.removeprefix('mxc://')}"
        return self.make_request("GET", path, access_token=self.user_token, shorthand=False)

    def ask(self, path: str) -> dict[str, Any]:
        """GET below our base as the administrator."""
        channel = self.make_request("GET", f"{BASE}/{path}", access_token=self.admin_token)
        assert channel.code == HTTPStatus.OK, channel.json_body
        answer: dict[str, Any] = channel.json_body
        return answer

    def findings(self) -> list[dict[str, Any]]:
        """All findings, newest first."""
        found: list[dict[str, Any]] = self.ask("antivirus/findings")["findings"]
        return found

    def stored_files(self) -> list[Path]:
        """Paths of all files in the media folder, thumbnails left out."""
        root = self.hs.config.media.media_store_path
        return sorted(path for path in Path(root).rglob("*") if path.is_file() and "thumbnail" not in str(path.parent))
