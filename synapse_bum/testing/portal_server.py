"""The portal as an administrator meets it: a homeserver with every module, behind a proxy that speaks TLS."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final

from typing_extensions import Self

from synapse_bum.testing.fake_clamd import FakeClamd
from synapse_bum.testing.federation import CertificateAuthority
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.local_server import free_port
from synapse_bum.testing.nginx import RealNginx
from synapse_bum.testing.synapse import Config, RealSynapse

HOST: Final = "admin.example"
PORTAL_PATH: Final = "/_synapse/client/bum/portal/"
PORTAL_URL: Final = f"https://{HOST}{PORTAL_PATH}"
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - it protects nothing

# The host goes on with its port: a browser whose connections can't be led elsewhere has one in the address.
_SITE: Final = """
server {{
    listen 127.0.0.1:{port} ssl;
    server_name {host};
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    client_max_body_size 4m;
    location / {{
        proxy_pass {synapse};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
    }}
}}
"""

SUPPORT: Final[Config] = {
    "support": {
        "contacts": [
            {"name": "Service Desk", "task": "Störungen", "phone": "+49 30 123456", "email": "desk@messenger.example"},
            {"name": "Erika Muster", "task": "Vertrag und Rechnung", "email": "vertrag@messenger.example"},
        ],
        "email": "desk@messenger.example",
    },
    "contract": {"number": "V-4711", "begin": "2026-10-01"},
    "links": {"imprint": "https://messenger.example/impressum", "privacy": "https://messenger.example/datenschutz"},
}
_LIFETIMES: Final[Config] = {
    "messages": {"lifetime": "1y"},
    "local_media": {"lifetime": "90d"},
    "remote_media": {"lifetime": "14d"},
}


class ServedPortal:
    """A homeserver with the portal and the proxy before it; a context manager.

    Attributes:
        synapse: the homeserver.
        port: of the proxy, which speaks TLS and has the host `HOST`.
        boss: the homeserver's administrator; the password is `PASSWORD`.
    """

    boss: MatrixClient

    def __init__(
        self,
        folder: Path,
        *,
        synapse: RealSynapse | None = None,
        portal: Mapping[str, object] | None = None,
        modules: Mapping[str, Config] | None = None,
        more: Mapping[str, Config] | None = None,
        administrator: str = "boss",
    ) -> None:
        """Prepares; entering the context starts it.

        Args:
            folder: for the files of the proxy; it exists.
            synapse: one with further settings, not started; a plain one when None.
            portal: further keys of the portal's configuration.
            modules: configurations of the other modules, by path below the package such as `storage.StorageModule`;
                None for all that need no further server but a scanner, which is started too.
            more: keys that are added to these, by the same path.
            administrator: name of the account.
        """
        self.synapse = synapse or RealSynapse(config={"federation_domain_whitelist": []})
        for listener in self.synapse.config["listeners"]:
            listener["x_forwarded"] = True
        self.port = free_port()
        self._administrator = administrator
        self._folder = folder
        self._clamd = FakeClamd()
        own = {"hosts": [HOST], "admin_api_url": self.synapse.base_url, **SUPPORT, **(portal or {})}
        chosen = self._all_modules(more or {}) if modules is None else modules
        configs: dict[str, Config] = {"portal.PortalModule": own, **chosen}
        self.synapse.config["modules"] = [
            {"module": f"synapse_bum.{name}", "config": config} for name, config in configs.items()
        ]
        self._running = ExitStack()

    def _all_modules(self, more: Mapping[str, Config]) -> Mapping[str, Config]:
        """The configuration of every module that needs no further server but a scanner, by path below the package."""
        scanner = {"scanner": {"address": self._clamd.address}, "on_infected_upload": "block"}
        modules: dict[str, Config] = {
            "retention.RetentionModule": _LIFETIMES,
            "storage.StorageModule": {},
            "federation.FederationModule": {},
            "availability.AvailabilityModule": {},
            "antivirus.AntivirusModule": scanner,
        }
        return {name: {**config, **more.get(name, {})} for name, config in modules.items()}

    def __enter__(self) -> Self:
        certificate, key = CertificateAuthority().issue()
        (self._folder / "certificate.pem").write_bytes(certificate)
        (self._folder / "key.pem").write_bytes(key)
        site = _SITE.format(port=self.port, host=HOST, folder=self._folder, synapse=self.synapse.base_url)
        try:
            self._running.enter_context(self._clamd)
            self._running.enter_context(self.synapse)
            self._running.enter_context(RealNginx(site, self.port))
            self.boss = self.synapse.register(self._administrator, admin=True, password=PASSWORD)
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()
