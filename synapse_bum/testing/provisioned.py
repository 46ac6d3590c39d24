"""Processes of a homeserver that `synapse-bum provision` made, started as its systemd units start them.

Run on Synapse 1.133.0 and 1.163.2.
"""

import re
import shlex
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import yaml
from typing_extensions import Self

import synapse_bum
from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.local_server import LOOPBACK, LocalServer, free_port

_START_SECONDS: Final = 180.0
_HEALTH_SECONDS: Final = 5.0
_TARGETS: Final = "systemd/*.target"


def free_ports(count: int) -> int:
    """Find ports that follow each other.

    Returns:
        The first of them. Only that one is reserved, the others were free a moment ago.
    """
    while True:
        first = free_port()
        if all(_is_free(first + behind) for behind in range(1, count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class ProvisionedProcess(LocalServer):
    """Main, or one worker.

    Attributes:
        base_url: of its first listener.
    """

    def __init__(self, folder: Path, worker: str | None = None) -> None:
        """Prepare a process.

        Args:
            folder: what `--out` was.
            worker: its name; None for main.
        """
        super().__init__(worker or "main", _START_SECONDS)
        (target,) = folder.glob(_TARGETS)
        unit = target.with_name(target.stem + ("-worker@.service" if worker else ".service"))
        (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
        self._command = shlex.split(line.replace("%i", worker or ""))
        path, key = (f"workers/{worker}.yaml", "worker_listeners") if worker else ("homeserver.yaml", "listeners")
        config: Mapping[str, Any] = yaml.safe_load((folder / path).read_text())
        self.base_url = f"http://{LOOPBACK}:{config[key][0]['port']}"
        self._log = folder / "log" / f"{worker or 'homeserver'}.log"

    @property
    def log_path(self) -> Path:
        """What the process logs."""
        return self._log

    def _prepare(self) -> Sequence[str]:
        # A link instead of the folder above our package: that one may be the site-packages of another environment.
        link = self.directory / "modules" / synapse_bum.__name__
        if not link.parent.exists():
            link.parent.mkdir()
            link.symlink_to(Path(synapse_bum.__file__).parent)
        return ["env", f"PYTHONPATH={link.parent}", *self._command]

    def _is_ready(self) -> bool:
        try:
            return HttpClient(self.base_url, timeout=_HEALTH_SECONDS).get("/health").status == HTTPStatus.OK
        except HTTPException:
            return False


class ProvisionedHomeserver:
    """All processes, main first.

    Attributes:
        main: the main process.
        workers: by name.
    """

    def __init__(self, folder: Path) -> None:
        """Prepare.

        Args:
            folder: what `--out` was.
        """
        self._folder = folder
        self._stack = ExitStack()
        self.workers: dict[str, ProvisionedProcess] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.main = stack.enter_context(ProvisionedProcess(self._folder))
            for path in sorted(self._folder.glob("workers/*.yaml")):
                if not path.stem.endswith(".log"):
                    self.workers[path.stem] = stack.enter_context(ProvisionedProcess(self._folder, path.stem))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
