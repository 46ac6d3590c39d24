"""The whole service as it is in production: two organisations, all modules on every process, nginx before it.

Ours: PostgreSQL, Redis, main, a media worker (the only one with the media volume), a federation sender, two generic
workers, clamd, and nginx with the paths of the BundesMessenger's chart. Theirs: one Synapse with a scanner of its own.
The two reach each other over TLS, each through a `CutLine`. Run on Synapse 1.133.0 and 1.163.2.
"""

import contextlib
import secrets
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import attr
from typing_extensions import Self

from synapse_bum.testing.all_modules import ModulePlaces, all_modules, write_secrets
from synapse_bum.testing.certificates import CertificateFolder
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.cut_line import CutLine
from synapse_bum.testing.federation import IMPATIENT, CertificateAuthority, FederatingSynapse
from synapse_bum.testing.http_client import HttpClient, MatrixClient
from synapse_bum.testing.local_server import LOOPBACK, LocalServer, ServerError, free_port
from synapse_bum.testing.nginx import RealNginx
from synapse_bum.testing.oidc_provider import KEYCLOAK, RealOidcProvider
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.redis import RealRedis
from synapse_bum.testing.sso_browser import CLIENT, SsoBrowser
from synapse_bum.testing.stack_site import ADMIN_HOST, SitePorts, Upstreams, service_site
from synapse_bum.testing.synapse import RealSynapse
from synapse_bum.testing.workers import MEDIA, SENDER, Worker

GENERIC: Final = ("generic1", "generic2")
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - it protects nothing
ADMIN_ROLE: Final = "messenger-admin"
"""Whom the identity provider gives this role, he administers the homeserver."""

_STARTS: Final = 5
_BETWEEN_STARTS_S: Final = 1.0
_FAST: Final = {
    "bcrypt_rounds": 4,  # the least: passwords here protect nothing
    "background_updates": {"sleep_enabled": False},
}
_HURRIED: Final = {"storage.StorageModule": {"included_gb_per_user": 1, "update_interval": "2s"}}


class _Main(RealSynapse):
    """The main process, which trusts an authority of the test and no other."""

    trusting: Mapping[str, str]

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), **self.trusting}


class Authority(CertificateFolder):
    """Certificates of everybody here."""

    def __init__(self, folder: Path) -> None:
        """Writes the files; keeps the authority, which signs for the other organisation too."""
        self.signs = CertificateAuthority()
        super().__init__(folder, self.signs)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Account:
    """Somebody of our organisation.

    Attributes:
        client: he himself, through nginx.
        admin: the same at the administrators' host; only for administrators.
    """

    client: MatrixClient
    admin: MatrixClient


class ServiceStack:
    """Everything, started together; a context manager.

    Example::

        with ServiceStack() as stack:
            boss = stack.register("boss", admin=True)
            boss.admin.put(f"{BASE}/federation/partners/{stack.there.server_name}", {"reason": "a contract"})

    Attributes:
        main: our main process.
        workers: ours, by name.
        there: the homeserver of the other organisation.
        lines: to us and to them, in this order: what each calls the other by leads through one.
        start_seconds: how long everything took until it was ready.
    """

    def __init__(self, *, identity: Path | None = None, volume_bytes: int | None = None, hurried: bool = True) -> None:
        """Prepares; entering the context starts everything.

        Args:
            identity: what `scripts/setup-identity oidc-provider` prints, to sign in by an identity provider too.
            volume_bytes: size of the media volume, which is a file system of its own then; needs root.
            hurried: whether the account of what is stored follows within seconds, not within the hour.
        """
        self._temporary = TemporaryDirectory(prefix="bum-stack-", ignore_cleanup_errors=True)
        folder = Path(self._temporary.name)
        self._running = ExitStack()
        self._volume_bytes = volume_bytes
        self.media_volume = folder / "media"
        self.media_volume.mkdir()
        self.postgres, self.redis = RealPostgres(), RealRedis()
        self.clamd = RealClamd(AlertExceedsMax=True, MaxFileSize="100M", MaxScanSize="200M", StreamMaxLength="100M")
        self.authority = Authority(folder)
        self._ports = SitePorts(free_port(), free_port(), free_port())
        self.client_url = f"http://{LOOPBACK}:{self._ports.clients}"
        self.admin_url = f"http://{LOOPBACK}:{self._ports.administrators}"
        self.there = self._other_organisation()
        theirs = self.there.config["listeners"][-1]["port"]
        self.there.config["listeners"][-1]["port"] = behind = free_port()
        self.lines = (CutLine(self._ports.servers), CutLine(behind, theirs))
        self.providers = None
        if identity is not None:
            self.providers = RealOidcProvider(identity, self.authority, [self.client_url])
        self.places = ModulePlaces(folder, self.clamd.address_unix, ADMIN_HOST, self.admin_url)
        write_secrets(self.places)
        self.main = self._main_process(_HURRIED if hurried else {})
        volume = {"media_store_path": str(self.media_volume)}
        self.workers = {
            name: Worker(name, self.main, volume if name == MEDIA else None) for name in (MEDIA, SENDER, *GENERIC)
        }
        self.nginx = RealNginx(self._site(), self._ports.clients)
        self.start_seconds = 0.0

    @property
    def server_name(self) -> str:
        """Of our organisation."""
        return self.main.server_name

    @property
    def processes(self) -> Mapping[str, LocalServer]:
        """Our five processes of Synapse, by name."""
        return {"main": self.main, **self.workers}

    @property
    def urls(self) -> Mapping[str, str]:
        """Where each of our five processes is reached past nginx, by name."""
        return {"main": self.main.base_url, **{name: worker.base_url for name, worker in self.workers.items()}}

    def register(self, name: str, *, admin: bool = False) -> Account:
        """Make an account of our organisation, with `PASSWORD`."""
        made = self.main.register(name, admin=admin, password=PASSWORD)
        assert made.token is not None
        return Account(
            MatrixClient(self.client_url, made.user_id, made.token),
            MatrixClient(self.admin_url, made.user_id, made.token),
        )

    def at(self, process: str, client: HttpClient) -> HttpClient:
        """The same user at one of our processes, past nginx."""
        return HttpClient(self.urls[process], client.token)

    def browser(self) -> SsoBrowser:
        """A fresh browser for somebody who signs in by the identity provider."""
        return SsoBrowser(self.authority.context(), self.client_url)

    def tls(self) -> ssl.SSLContext:
        """For requests to the port for other organisations."""
        return self.authority.context()

    def restart_killed(self, name: str) -> None:
        """Kill one of our processes (SIGKILL), and start it again as a supervisor would: until it stays.

        Raises:
            ServerError: it does not start, whatever is tried.
        """
        process = self.processes[name]
        process.kill()
        for _ in range(_STARTS - 1):
            with contextlib.suppress(ServerError):
                process.start()
                return
            time.sleep(_BETWEEN_STARTS_S)
        process.start()

    def __enter__(self) -> Self:
        began = time.monotonic()
        with ExitStack() as stack:
            stack.callback(self._temporary.cleanup)
            if self._volume_bytes is not None:
                self._mount(stack)
            servers: Sequence[LocalServer] = [
                *(self.postgres, self.redis, self.clamd, self.there, self.main, *self.workers.values(), self.nginx),
                *([] if self.providers is None else [self.providers]),
            ]
            for server in servers:
                stack.callback(server.close)
            for line in self.lines:
                stack.enter_context(line)
            self._start_all()
            self._running = stack.pop_all()
        self.start_seconds = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _start_all(self) -> None:
        with ThreadPoolExecutor(8) as threads:
            first = [threads.submit(server.start) for server in (self.redis, self.clamd, self.nginx)]
            if self.providers is not None:
                first.append(threads.submit(self.providers.start))
            ours = threads.submit(self.postgres.start)
            theirs = threads.submit(self._start_theirs, first)
            wait(first)
            ours.result()
            self.main.start()
            # Workers read tables that main makes.
            behind = [threads.submit(worker.start) for worker in self.workers.values()]
            for future in (*first, theirs, *behind):
                future.result()

    def _start_theirs(self, first: Sequence[Any]) -> None:
        wait(first)
        self.there.start()

    def _mount(self, stack: ExitStack) -> None:
        volume = str(self.media_volume)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self._volume_bytes}", "none", volume],  # noqa: S607 - on PATH
            check=True,
        )
        stack.callback(subprocess.run, ["umount", "--lazy", volume], check=False)

    def _other_organisation(self) -> FederatingSynapse:
        modules = [
            {
                "module": "synapse_bum.antivirus.AntivirusModule",
                "config": {"scanner": {"address": self.clamd.address_unix}},
            }
        ]
        return FederatingSynapse(self.authority.signs, modules=modules, config=dict(_FAST))

    def _main_process(self, more: Mapping[str, Mapping[str, Any]]) -> _Main:
        replication = free_port()
        config: dict[str, Any] = {
            **_FAST,
            "public_baseurl": f"{self.client_url}/",
            "redis": {"enabled": True, "host": LOOPBACK, "port": self.redis.port},
            "worker_replication_secret": secrets.token_urlsafe(),
            "instance_map": {"main": {"host": LOOPBACK, "port": replication}},
            "federation_sender_instances": [SENDER],
            "media_instance_running_background_jobs": MEDIA,
            "enable_media_repo": False,
            "max_upload_size": "50M",
            "federation_domain_whitelist": [],
            "federation_custom_ca_list": [str(self.authority.authority)],
            "federation": dict(IMPATIENT),
            "ip_range_whitelist": [f"{LOOPBACK}/8"],
            "sso": {"client_whitelist": [CLIENT]},
            "room_list_publication_rules": [{"action": "allow"}],
            "user_directory": {"enabled": True, "search_all_users": True},
            # Nobody but the media worker has the volume.
            "media_store_path": "/dev/null/media",
        }
        if self.providers is not None:
            mapping = {"preset": "keycloak", "admin_roles": [ADMIN_ROLE]}
            config["oidc_providers"] = [self.providers.relation(KEYCLOAK).entry("keycloak", mapping)]
        main = _Main(
            server_name=f"localhost:{self.lines[0].port}",
            modules=all_modules(self.places, more),
            postgres_dsn=self.postgres.dsn(),
            listeners=(("client", "federation"),),
            config=config,
        )
        main.trusting = self.authority.trusting
        main.media_directory = self.media_volume
        for listener in main.config["listeners"]:
            listener["x_forwarded"] = True
        resources = [{"names": ["replication"]}]
        main.config["listeners"].append(
            {"type": "http", "port": replication, "bind_addresses": [LOOPBACK], "resources": resources}
        )
        return main

    def _site(self) -> str:
        def address(url: str) -> str:
            return url.removeprefix("http://")

        generic = [address(self.workers[name].base_url) for name in GENERIC]
        upstreams = Upstreams(address(self.main.base_url), address(self.workers[MEDIA].base_url), generic)
        return service_site(self._ports, upstreams, self.authority.certificate.parent)
