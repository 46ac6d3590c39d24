"""A homeserver of several processes on PostgreSQL and Redis: main, a media worker, a federation sender and others.

Run on Synapse 1.133.0 and 1.163.2.
"""

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from typing_extensions import Self

from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.local_server import LOOPBACK, LocalServer, free_port
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.redis import RealRedis
from synapse_bum.testing.synapse import RealSynapse

_START_SECONDS: Final = 180.0  # much more than it takes: machines that run tests are busy
_HEALTH_SECONDS: Final = 2.0
SENDER: Final = "sender"
MEDIA: Final = "media"


class Worker(LocalServer):
    """One worker of a homeserver.

    Attributes:
        name: of the worker.
        base_url: of its listener for clients and servers.
    """

    def __init__(self, name: str, main: RealSynapse, more: Mapping[str, Any] | None = None) -> None:
        """Prepares a worker; nothing is started yet.

        Args:
            name: of the worker.
            main: the main process, which runs already: its configuration is the worker's too.
            more: what this worker has otherwise than all others.
        """
        super().__init__(name, _START_SECONDS)
        self.name = name
        self._main = main
        port = free_port()
        self.base_url = f"http://{LOOPBACK}:{port}"
        resources = ["client", "federation", "media"] if name == MEDIA else ["client", "federation"]
        log = json.loads((main.directory / "log.yaml").read_text())
        log["handlers"]["file"]["filename"] = str(self.directory / "worker.log")
        (self.directory / "log.yaml").write_text(json.dumps(log))
        config = {
            "worker_app": "synapse.app.generic_worker",
            "worker_name": name,
            "worker_log_config": str(self.directory / "log.yaml"),
            "worker_pid_file": str(self.directory / "worker.pid"),
            "enable_media_repo": name == MEDIA,
            "worker_listeners": [
                {"type": "http", "port": port, "bind_addresses": [LOOPBACK], "resources": [{"names": resources}]}
            ],
            **(more or {}),
        }
        (self.directory / "worker.yaml").write_text(json.dumps(config))

    @property
    def log_path(self) -> Path:
        """What the worker logs; what it prints before its logging works is in `output.log`."""
        return self.directory / "worker.log"

    def _prepare(self) -> Sequence[str]:
        configs = ["-c", str(self._main.directory / "homeserver.yaml"), "-c", str(self.directory / "worker.yaml")]
        return [sys.executable, "-m", "synapse.app.generic_worker", *configs]

    def _environment(self) -> Mapping[str, str]:
        return self._main.environment()

    def _is_ready(self) -> bool:
        try:
            return HttpClient(self.base_url, timeout=_HEALTH_SECONDS).get("/health").status == HTTPStatus.OK
        except HTTPException:
            return False


class SynapseStack:
    """Main process, media worker, federation sender and more workers.

    Attributes:
        main: the main process.
        workers: by name.
        redis: what they talk through.
    """

    def __init__(self, *, modules: Sequence[Mapping[str, Any]], config: Mapping[str, Any], more: Sequence[str]) -> None:
        """Prepares; entering the context starts everything.

        Args:
            modules: of homeserver.yaml.
            config: further sections of homeserver.yaml.
            more: names of workers beside those for media and sending.
        """
        self._modules = modules
        self._config = config
        self._names = (MEDIA, SENDER, *more)
        self._stack = ExitStack()
        self.workers: dict[str, Worker] = {}

    @property
    def processes(self) -> Mapping[str, tuple[str, LocalServer]]:
        """Base URL and server of each process, by name."""
        found: dict[str, tuple[str, LocalServer]] = {"main": (self.main.base_url, self.main)}
        return found | {name: (worker.base_url, worker) for name, worker in self.workers.items()}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            postgres = stack.enter_context(RealPostgres())
            self.redis = stack.enter_context(RealRedis())
            replication = free_port()
            self.main = RealSynapse(
                modules=self._modules,
                postgres_dsn=postgres.dsn(),
                listeners=(("client", "federation"),),
                config={
                    "redis": {"enabled": True, "host": LOOPBACK, "port": self.redis.port},
                    "worker_replication_secret": secrets.token_urlsafe(),
                    "instance_map": {"main": {"host": LOOPBACK, "port": replication}},
                    "federation_sender_instances": [SENDER],
                    "media_instance_running_background_jobs": MEDIA,
                    "enable_media_repo": False,
                    **self._config,
                },
            )
            self.main.config["listeners"].append(
                {
                    "type": "http",
                    "port": replication,
                    "bind_addresses": [LOOPBACK],
                    "resources": [{"names": ["replication"]}],
                }
            )
            stack.enter_context(self.main)
            for name in self._names:
                self.workers[name] = stack.enter_context(Worker(name, self.main))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
