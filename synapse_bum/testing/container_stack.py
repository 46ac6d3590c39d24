"""The homeserver in read-only containers: main, media worker, federation sender, generic worker, all from the bundle.

Each process has the volumes of the BundesMessenger's chart: configuration, the bundle as a ConfigMap, a volume for
secrets and for logs that are written outside of the database, and, on the media worker alone, the media. It logs to its
output. PostgreSQL, Redis and clamd (by TCP, as a sidecar) are servers of this machine. Run on Synapse 1.133.0 and
1.163.2.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from typing_extensions import Self

from synapse_bum.testing.all_modules import ModulePlaces, all_modules, write_secrets
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.container import USER, Container, Mount, as_config_map, process_root
from synapse_bum.testing.local_server import LOOPBACK, free_port
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.redis import RealRedis
from synapse_bum.testing.stack_site import ADMIN_HOST
from synapse_bum.testing.synapse import RealSynapse
from synapse_bum.testing.workers import MEDIA, SENDER, Worker

GENERIC: Final = "generic"
BUNDLE_KEY: Final = "synapse_bum.zip"

_CONFIG: Final = "/synapse/config"
_WORKER: Final = "/synapse/workers"
_VOLUME: Final = "/synapse/volume"
_MEDIA_VOLUME: Final = "/synapse/data/media"
_MODULES: Final = "/modules"
_LOG: Final = "console.yaml"


class _Volumes:
    """What is mounted into all processes."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder = folder
        self.media = self._made("media")
        self.outside = self._made("outside")
        modules = self._made("modules")
        as_config_map(modules, {BUNDLE_KEY: bundle})
        self._shared = (Mount(modules, _MODULES), Mount(self.outside, _VOLUME, writable=True))

    def container(self, *more: Mount) -> Container:
        root = self._made(secrets.token_hex(4))
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": f"{_MODULES}/{BUNDLE_KEY}"}
        return Container(root, (*self._shared, *more), environment)

    def _made(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir()
        path.chmod(0o755)
        return path


class _Main(RealSynapse):
    """The main process."""

    container: Container

    @property
    def log_path(self) -> Path:
        return self._output_path

    def _prepare(self) -> Sequence[str]:
        super()._prepare()
        _give_away(self.directory)
        config = ("-c", f"{_CONFIG}/homeserver.yaml")
        return self.container.command([sys.executable, "-B", "-m", "synapse.app.homeserver", *config])


class _Worker(Worker):
    """One worker."""

    container: Container

    @property
    def log_path(self) -> Path:
        return self._output_path

    def _prepare(self) -> Sequence[str]:
        _give_away(self.directory)
        config = ("-c", f"{_CONFIG}/homeserver.yaml", "-c", f"{_WORKER}/worker.yaml")
        return self.container.command([sys.executable, "-B", "-m", "synapse.app.generic_worker", *config])


class ContainerStack:
    """All processes; a context manager.

    Attributes:
        main: the main process.
        workers: by name.
        start_seconds: how long each process took until it served, by name.
    """

    def __init__(self, bundle: Path) -> None:
        """Prepares; entering the context starts everything.

        Args:
            bundle: what `make bundle` wrote.
        """
        self._bundle = bundle
        self._running = ExitStack()
        self.workers: dict[str, Worker] = {}

    @property
    def processes(self) -> Mapping[str, RealSynapse | Worker]:
        """By name."""
        return {"main": self.main, **self.workers}

    @property
    def start_seconds(self) -> Mapping[str, float]:
        """How long each process took until it served, by name."""
        return {name: process.start_seconds for name, process in self.processes.items()}

    def root(self, name: str) -> Path:
        """The file system that a process sees."""
        return process_root(self.processes[name].pid)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the bundle in a container of its own, as `kubectl exec` into main would."""
        return self.main.container.run([sys.executable, "-B", "-m", "synapse_bum", *command])

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="bum-container-", ignore_cleanup_errors=True)))
            self._volumes = _Volumes(folder, self._bundle)
            postgres, redis, clamd = RealPostgres(), RealRedis(), RealClamd(tcp=True, AlertExceedsMax=True)
            for server in (postgres, redis, clamd):
                stack.enter_context(server)
            self.main = stack.enter_context(self._main_process(postgres, redis, clamd))
            for name in (MEDIA, SENDER, GENERIC):
                self.workers[name] = worker = self._worker(name)
                stack.callback(worker.close)
            with ThreadPoolExecutor(len(self.workers)) as threads:
                list(threads.map(Worker.start, self.workers.values()))
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _main_process(self, postgres: RealPostgres, redis: RealRedis, clamd: RealClamd) -> _Main:
        replication, port = free_port(), free_port()
        write_secrets(self._places(self._volumes.outside, clamd, port))
        _give_away(self._volumes.outside)
        config: dict[str, Any] = {
            "background_updates": {"sleep_enabled": False},
            "signing_key_path": f"{_CONFIG}/signing.key",
            "log_config": f"{_CONFIG}/{_LOG}",
            "media_store_path": _MEDIA_VOLUME,
            "max_upload_size": "50M",
            "federation_domain_whitelist": [],
            "enable_media_repo": False,
            "redis": {"enabled": True, "host": LOOPBACK, "port": redis.port},
            "worker_replication_secret": secrets.token_urlsafe(),
            "instance_map": {"main": {"host": LOOPBACK, "port": replication}},
            "federation_sender_instances": [SENDER],
            "media_instance_running_background_jobs": MEDIA,
            "listeners": [_listener(port, "client", "federation"), _listener(replication, "replication")],
        }
        modules = [
            # The portal reaches the homeserver by the second name.
            {**entry, "config": {**entry["config"], "admin_hosts": [ADMIN_HOST, LOOPBACK]}}
            for entry in all_modules(self._places(Path(_VOLUME), clamd, port))
        ]
        main = _Main(modules=modules, postgres_dsn=postgres.dsn(), config=config)
        main.base_url = f"http://{LOOPBACK}:{port}"
        (main.directory / _LOG).write_text(json.dumps(_console_log()))
        main.container = self._volumes.container(Mount(main.directory, _CONFIG))
        return main

    def _worker(self, name: str) -> _Worker:
        worker = _Worker(name, self.main, {"worker_log_config": f"{_CONFIG}/{_LOG}"})
        mounts = [Mount(self.main.directory, _CONFIG), Mount(worker.directory, _WORKER)]
        if name == MEDIA:
            _give_away(self._volumes.media)
            mounts.append(Mount(self._volumes.media, _MEDIA_VOLUME, writable=True))
        worker.container = self._volumes.container(*mounts)
        return worker

    @staticmethod
    def _places(folder: Path, clamd: RealClamd, port: int) -> ModulePlaces:
        return ModulePlaces(folder, clamd.address_tcp, ADMIN_HOST, f"http://{LOOPBACK}:{port}")


def _give_away(folder: Path) -> None:
    """Make the container's user the owner of a volume, as `fsGroup` does for its group."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, USER, USER, follow_symlinks=False)


def _listener(port: int, *names: str) -> Mapping[str, Any]:
    return {"type": "http", "port": port, "bind_addresses": [LOOPBACK], "resources": [{"names": list(names)}]}


def _console_log() -> Mapping[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": "INFO", "handlers": ["console"]},
    }
