"""The peer: Element's matrix-content-scanner, a service beside the homeserver, that runs `clamdscan --fdpass`.

`scripts/setup-content-scanner` makes its environment. Its configuration says nothing but what has no default.
"""

import base64
import ctypes.util
import json
import os
import re
import shlex
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

import benchmarks
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.local_server import LOOPBACK, LocalServer, ServerError, free_port

_TREE: Final = Path(benchmarks.__file__).parent.parent
_PINS: Final = _TREE / "requirements" / "content-scanner.txt"
_START_SECONDS: Final = 30.0
_HEALTH_SECONDS: Final = 2.0


class MatrixContentScanner(LocalServer):
    """matrix-content-scanner, which fetches files from one homeserver and has them scanned by one clamd.

    Attributes:
        base_url: `http://127.0.0.1:port`.
    """

    def __init__(self, homeserver_url: str, clamd: RealClamd) -> None:
        """Prepare; `start()` or entering the context starts it.

        Args:
            homeserver_url: where it fetches files, with the token of whoever asks.
            clamd: scans them; has to be running.
        """
        super().__init__("matrix-content-scanner", _START_SECONDS)
        self._port = free_port()
        self._homeserver_url = homeserver_url
        self._clamd = clamd
        self.base_url = f"http://{LOOPBACK}:{self._port}"

    @staticmethod
    def missing() -> str | None:
        """Why this peer can't take part, as a sentence; None when it can."""
        if not _python().exists():
            return (
                "matrix-content-scanner is not built, so it takes no part: `scripts/setup-content-scanner` builds it,"
                " for which it needs cargo (Rust)."
            )
        if ctypes.util.find_library("magic") is None:
            return (
                "matrix-content-scanner needs libmagic, so it takes no part: on Debian and Ubuntu,"
                " `apt-get install libmagic1`."
            )
        return None

    def _prepare(self) -> Sequence[str]:
        sentence = self.missing()
        if sentence is not None:
            raise ServerError(sentence)
        plaintexts, script, secret = (self.directory / name for name in ("plaintexts", "scan", "request.key"))
        plaintexts.mkdir(exist_ok=True)
        configuration = shlex.quote(str(self._clamd.directory / "clamd.conf"))
        script.write_text(f'#!/bin/sh\nexec clamdscan --fdpass --no-summary --config-file={configuration} "$1"\n')
        script.chmod(0o700)
        secret.write_text(base64.b64encode(os.urandom(32)).decode())
        settings = {
            "web": {"host": LOOPBACK, "port": self._port},
            "scan": {"script": str(script), "temp_directory": str(plaintexts)},
            "download": {"base_homeserver_url": self._homeserver_url},
            "crypto": {"request_secret_path": str(secret)},
        }
        # JSON is YAML too.
        (self.directory / "config.yaml").write_text(json.dumps(settings, indent=2))
        return [str(_python()), "-m", "matrix_content_scanner.mcs", "-c", "config.yaml"]

    def _is_ready(self) -> bool:
        answer = HttpClient(self.base_url, timeout=_HEALTH_SECONDS).get("/_matrix/media_proxy/unstable/public_key")
        return answer.status == HTTPStatus.OK


def _python() -> Path:
    version = re.search(r"^matrix-content-scanner==(\S+)", _PINS.read_text(), re.MULTILINE)
    return _TREE / ".cache" / "matrix-content-scanner" / (version[1] if version else "") / "bin" / "python"
