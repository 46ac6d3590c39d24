"""A real homeserver for tests and the demo: one Synapse process on the loopback interface, with modules from this tree.

It tells nobody anything: no statistics, no key servers, no federation listener unless asked for. Rate limits are so
high that a test with thousands of requests never meets them. Run on Synapse 1.133.0, 1.143.0 and 1.163.2: ready in 3 to
5 s, stopped in 0.1 s.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, TypeAlias

import synapse_bum
from synapse_bum.testing.http_client import HttpClient, MatrixClient
from synapse_bum.testing.local_server import LOOPBACK, LocalServer, ServerError, free_port

Config: TypeAlias = Mapping[str, Any]
"""What stands in a YAML file."""

_START_SECONDS: Final = 120.0  # much more than it takes: machines that run tests are busy
_HEALTH_SECONDS: Final = 2.0
_NEVER_REACHED: Final = {"per_second": 100_000, "burst_count": 100_000}
_RATE_LIMITS: Final[Config] = {
    "rc_message": _NEVER_REACHED,
    "rc_registration": _NEVER_REACHED,
    "rc_login": {"address": _NEVER_REACHED, "account": _NEVER_REACHED, "failed_attempts": _NEVER_REACHED},
    "rc_joins": {"local": _NEVER_REACHED, "remote": _NEVER_REACHED},
    "rc_joins_per_room": _NEVER_REACHED,
    "rc_invites": {"per_room": _NEVER_REACHED, "per_user": _NEVER_REACHED, "per_issuer": _NEVER_REACHED},
    "rc_media_create": _NEVER_REACHED,
    "rc_room_creation": _NEVER_REACHED,
    "max_pending_media_uploads": 100_000,
}


class RealSynapse(LocalServer):
    """Synapse's main process, without workers, on SQLite unless given a database.

    Example::

        module = {"module": "synapse_bum.antivirus.AntivirusModule", "config": {...}}
        with RealSynapse(modules=[module]) as synapse:
            alice = synapse.register("alice")
            assert alice.upload(b"hello").status == 200

    Attributes:
        config: homeserver.yaml; written at every start, so that it may be changed while the server is stopped.
        server_name: the part of user ids behind the colon.
        base_url: of the first listener, `http://127.0.0.1:port`.
        base_urls: of all listeners, in the order in which they were asked for.
        media_directory: where the media repository keeps its files.
        python: interpreter of the environment whose Synapse runs; may be changed while the server is stopped.
    """

    def __init__(
        self,
        *,
        modules: Sequence[Config] = (),
        config: Config | None = None,
        server_name: str = "messenger.example",
        listeners: Sequence[Sequence[str]] = (("client",),),
        postgres_dsn: str | None = None,
        python: str | Path = sys.executable,
        python_path: Sequence[str | Path] = (),
    ) -> None:
        """Prepare a homeserver; `start()` or entering the context starts it.

        Args:
            modules: the `modules` section: `{"module": ..., "config": {...}}` each.
            config: further sections of homeserver.yaml; a section here replaces the one that this class would write.
            server_name: any name; nobody resolves it.
            listeners: resources of each HTTP listener (`client`, `federation`, `metrics`, ...); each gets a free port.
            postgres_dsn: libpq connection string of an empty database with locale C, in place of SQLite.
            python: interpreter of the environment whose Synapse runs. `synapse_bum` comes from this tree whatever is
                installed there.
            python_path: more folders to import modules from.
        """
        super().__init__("synapse", _START_SECONDS)
        self.server_name = server_name
        self.media_directory = self.directory / "media_store"
        self.python = str(python)
        self._shared_secret = secrets.token_urlsafe()
        # A link instead of the folder above our package: that one may be the site-packages of another environment.
        package_path = self.directory / "modules"
        package_path.mkdir()
        (package_path / synapse_bum.__name__).symlink_to(Path(synapse_bum.__file__).parent)
        self._python_path = [str(package_path), *map(str, python_path)]
        ports = [free_port() for _ in listeners]
        self.base_urls = [f"http://{LOOPBACK}:{port}" for port in ports]
        self.base_url = self.base_urls[0]
        self.config: dict[str, Any] = {
            "server_name": server_name,
            "public_baseurl": f"{self.base_url}/",
            "listeners": [
                {"port": port, "bind_addresses": [LOOPBACK], "type": "http", "resources": [{"names": list(names)}]}
                for port, names in zip(ports, listeners, strict=True)
            ],
            "database": self._database(postgres_dsn),
            "media_store_path": str(self.media_directory),
            "signing_key_path": str(self.directory / "signing.key"),
            "log_config": str(self.directory / "log.yaml"),
            "pid_file": str(self.directory / "synapse.pid"),
            "registration_shared_secret": self._shared_secret,
            "macaroon_secret_key": secrets.token_urlsafe(),
            "form_secret": secrets.token_urlsafe(),
            "bcrypt_rounds": 4,  # the least: passwords here protect nothing
            "report_stats": False,
            "trusted_key_servers": [],
            "enable_metrics": any("metrics" in names for names in listeners),
            **_RATE_LIMITS,
            "modules": list(modules),
            **(config or {}),
        }
        signing_key = base64.b64encode(os.urandom(32)).decode().rstrip("=")
        (self.directory / "signing.key").write_text(f"ed25519 a_test {signing_key}\n")
        (self.directory / "log.yaml").write_text(json.dumps(self._log_config(), indent=2))

    @property
    def log_path(self) -> Path:
        """What Synapse logs; what it prints before its logging works is in `output.log`."""
        return self.directory / "homeserver.log"

    def register(self, name: str, *, admin: bool = False, password: str | None = None) -> MatrixClient:
        """Register a user with the shared secret (Synapse: docs/admin_api/register_api.md) and log him in.

        Args:
            name: localpart of the new user.
            admin: whether he administers the server.
            password: a long random one when None.

        Returns:
            A client with his access token.

        Raises:
            ServerError: Synapse refused, for example because the name is taken.
        """
        anonymous = HttpClient(self.base_url)
        path = "/_synapse/admin/v1/register"
        nonce = anonymous.get(path).json["nonce"]
        password = password or secrets.token_urlsafe()
        signed = "\0".join([nonce, name, password, "admin" if admin else "notadmin"])
        answer = anonymous.post(
            path,
            {
                "nonce": nonce,
                "username": name,
                "password": password,
                "admin": admin,
                "mac": hmac.new(self._shared_secret.encode(), signed.encode(), hashlib.sha1).hexdigest(),
            },
        )
        if answer.status != HTTPStatus.OK:
            raise ServerError(f"registration of {name} failed with HTTP {answer.status}: {answer.body[:500]!r}")
        return MatrixClient(self.base_url, answer.json["user_id"], answer.json["access_token"])

    def _database(self, postgres_dsn: str | None) -> Config:
        if postgres_dsn is None:
            return {"name": "sqlite3", "args": {"database": str(self.directory / "homeserver.db")}}
        return {"name": "psycopg2", "args": {"dsn": postgres_dsn, "cp_min": 1, "cp_max": 10}}

    def _log_config(self) -> Config:
        return {
            "version": 1,
            # Without this, loggers of modules that were imported before stay silent.
            "disable_existing_loggers": False,
            "filters": {"context": {"()": "synapse.logging.context.LoggingContextFilter"}},
            "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(request)s %(message)s"}},
            "handlers": {
                "file": {
                    "class": "logging.FileHandler",
                    "filename": str(self.log_path),
                    "formatter": "line",
                    "filters": ["context"],
                }
            },
            "root": {"level": "INFO", "handlers": ["file"]},
        }

    def _prepare(self) -> Sequence[str]:
        # JSON is YAML too.
        (self.directory / "homeserver.yaml").write_text(json.dumps(self.config, indent=2))
        return [self.python, "-m", "synapse.app.homeserver", "-c", "homeserver.yaml"]

    def _environment(self) -> Mapping[str, str]:
        return self.environment()

    def environment(self) -> Mapping[str, str]:
        """The variables with which a process of this homeserver finds the modules."""
        inherited = os.environ.get("PYTHONPATH")
        return {**os.environ, "PYTHONPATH": os.pathsep.join([*self._python_path, *([inherited] if inherited else [])])}

    def _is_ready(self) -> bool:
        try:
            return HttpClient(self.base_url, timeout=_HEALTH_SECONDS).get("/health").status == HTTPStatus.OK
        except HTTPException:
            return False
