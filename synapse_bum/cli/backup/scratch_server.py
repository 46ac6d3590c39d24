"""A Synapse on a restored backup that nobody can reach and that reaches nobody, and a client of it.

Its configuration is made of what serving a message and a file takes, and of nothing else: no module, no worker, no
mail, no push, no federation, no identity provider, no bridge. It listens on a socket in a folder of ours.
"""

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import attr

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.programs import start_program

_START_SECONDS: Final = 300.0
_STOP_SECONDS: Final = 30.0
_REQUEST_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.2
_LONGEST_SOCKET: Final = 107  # bytes: sun_path, unix(7)
_KEPT: Final = ("server_name", "old_signing_keys", "default_room_version", "max_upload_size", "max_image_pixels")
_LOG_LINES: Final = 3


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ScratchServer:
    """One that serves.

    Attributes:
        socket: where it listens.
    """

    socket: Path

    def get(self, path: str, token: str) -> tuple[int, bytes]:
        """Sends a request of a user; returns status and body.

        Raises:
            BackupError: there is no answer.
        """
        connection = _UnixConnection(self.socket)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise BackupError(f"the Synapse on the restored backup does not answer: {error}") from None
        finally:
            connection.close()

    def event(self, room_id: str, event_id: str, token: str) -> tuple[int, bytes]:
        """Asks for an event as clients do."""
        return self.get(f"/_matrix/client/v3/rooms/{quote(room_id, safe='')}/event/{quote(event_id, safe='')}", token)

    def file(self, server_name: str, media_id: str, token: str) -> tuple[int, bytes]:
        """Asks for a file as clients do."""
        return self.get(f"/_matrix/client/v1/media/download/{server_name}/{quote(media_id, safe='')}", token)


def scratch_config(
    homeserver: Mapping[str, Any],
    *,
    folder: Path,
    media: Path,
    providers: Sequence[Path],
    database: Mapping[str, Any],
    signing_key: Path | None,
) -> dict[str, Any]:
    """Make the configuration. Pure.

    Args:
        homeserver: homeserver.yaml of the backup.
        folder: of the scratch server.
        media: the restored media store.
        providers: the restored folders of storage providers.
        database: `name` and `args` of the restored database.
        signing_key: the restored key; None when homeserver.yaml has it.
    """
    key = {"signing_key": homeserver.get("signing_key")} if signing_key is None else {}
    return {
        **{name: homeserver[name] for name in _KEPT if name in homeserver},
        **key,
        **({} if signing_key is None else {"signing_key_path": str(signing_key)}),
        "public_baseurl": "http://scratch.invalid/",
        "listeners": [{"path": str(_socket_of(folder)), "type": "http", "resources": [{"names": ["client"]}]}],
        "database": dict(database),
        "media_store_path": str(media),
        "media_storage_providers": [
            {"module": "file_system", "store_local": False, "store_remote": False, "config": {"directory": str(one)}}
            for one in providers
        ],
        "log_config": str(folder / "log.yaml"),
        "pid_file": str(folder / "synapse.pid"),
        "macaroon_secret_key": secrets.token_urlsafe(),
        "form_secret": secrets.token_urlsafe(),
        "registration_shared_secret": secrets.token_urlsafe(),
        "enable_registration": False,
        "report_stats": False,
        "enable_metrics": False,
        "send_federation": False,
        "start_pushers": False,
        "federation_domain_whitelist": [],
        "trusted_key_servers": [],
        "url_preview_enabled": False,
        "user_directory": {"enabled": False},
        "presence": {"enabled": False},
        "modules": [],
    }


@contextlib.contextmanager
def scratch_server(folder: Path, config: Mapping[str, Any]) -> Iterator[ScratchServer]:
    """Run the server until the context is left; however it is left, the server has ended.

    Args:
        folder: of its own; nobody else may enter it.
        config: see `scratch_config`.

    Raises:
        BackupError: it does not start.
    """
    server = ScratchServer(_socket_of(folder))
    if len(os.fsencode(server.socket)) > _LONGEST_SOCKET:
        raise BackupError(f"--work-dir is too long for a socket in it: {server.socket}")
    # JSON is YAML too.
    (folder / "homeserver.yaml").write_text(json.dumps(config))
    (folder / "log.yaml").write_text(json.dumps(_log_config(folder / "synapse.log")))
    command = [sys.executable, "-m", "synapse.app.homeserver", "-c", str(folder / "homeserver.yaml")]
    with (folder / "output.log").open("wb") as output:
        process = start_program(command, os.environ, output=output, complaint=output, folder=folder)
        try:
            _wait(process, server, folder)
            yield server
        finally:
            _end(process)


def _wait(process: "subprocess.Popen[bytes]", server: ScratchServer, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BackupError(f"Synapse does not start on the restored backup: {_last_lines(folder)}")
        with contextlib.suppress(BackupError):
            if server.get("/health", "none")[0] == http.HTTPStatus.OK:
                return
        time.sleep(_POLL_SECONDS)
    raise BackupError(f"Synapse on the restored backup was not ready after {_START_SECONDS:g} s: {_last_lines(folder)}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_lines(folder: Path) -> str:
    lines: list[str] = []
    for name in ("synapse.log", "output.log"):
        with contextlib.suppress(OSError):
            lines += (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()
    return "; ".join(line.strip() for line in lines[-_LOG_LINES:]) or "it says nothing"


def _socket_of(folder: Path) -> Path:
    return folder / "s"


def _log_config(path: Path) -> Mapping[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(levelname)s %(name)s %(message)s"}},
        "handlers": {"file": {"class": "logging.FileHandler", "filename": str(path), "formatter": "line"}},
        "root": {"level": "WARNING", "handlers": ["file"]},
    }


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("scratch.invalid", timeout=_REQUEST_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket in place of the host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_REQUEST_SECONDS)
        self.sock.connect(str(self._path))
