"""A real c-icap with virus_scan in front of a clamd, for tests: own directory, free port, in the foreground.

Observed on c-icap 0.5.10 with virus_scan 0.5.5: it asks clamd for its version once, when it starts. A clamd that is not
there then is never used, and every file gets a 204; one that goes away later leads to status 500. SIGTERM takes one
second, or eleven while a client keeps an idle connection.
"""

import re
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from synapse_bum.testing.local_server import LOOPBACK, LocalServer, ServerError, free_port

_START_SECONDS = 60.0  # much more than it takes: machines that run tests are busy
_REPLY_SECONDS = 5.0
_STOP_SECONDS = 1.5
_MAGIC_FILE = Path("/etc/c-icap/c-icap.magic")
_TEMPLATES = Path("/usr/share/c_icap/templates")


class RealCIcap(LocalServer):
    """c-icap from the distribution, with the service virus_scan and nothing else.

    Example::

        with RealClamd() as clamd, RealCIcap(clamd.socket_path, MaxObjectSize="100M") as c_icap:
            ...  # c_icap.address

    Attributes:
        settings: `virus_scan.*` of c-icap's configuration, name to value. May be changed while the server is stopped.
        address: of the service, as modules are told it: `icap://127.0.0.1:port/virus_scan`.
    """

    def __init__(self, clamd_socket: Path, **settings: str | int) -> None:
        """Prepare a c-icap; `start()` or entering the context starts it.

        Args:
            clamd_socket: unix socket of the clamd that scans.
            **settings: replace or extend those that Debian ships (virus_scan.conf).
        """
        super().__init__("c-icap", _START_SECONDS)
        self._clamd_socket = clamd_socket
        self._port = free_port()
        self.address = f"icap://{LOOPBACK}:{self._port}/virus_scan"
        self.settings: dict[str, str | int] = {
            "ScanFileTypes": "TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE",
            "SendPercentData": 5,
            "StartSendPercentDataAfter": "2M",
            "MaxObjectSize": "5M",
            **settings,
        }

    @staticmethod
    def missing() -> str | None:
        """What has to be installed before a c-icap can be started, as a sentence; None when nothing is missing."""
        if shutil.which("c-icap") and _modules() is not None:
            return None
        return "c-icap is not installed: on Debian and Ubuntu, `apt-get install c-icap libc-icap-mod-virus-scan`"

    @property
    def log_path(self) -> Path:
        """See `LocalServer`: c-icap prints nothing and writes a file."""
        return self.directory / "server.log"

    def stop(self, timeout: float = _STOP_SECONDS) -> None:
        """See `LocalServer`; does not wait for clients that keep idle connections."""
        super().stop(timeout)

    def kill(self) -> None:
        """See `LocalServer`. Removes the shared memory that c-icap then leaves in /dev/shm."""
        segments: list[str] = []
        if self.running:
            segments = re.findall(r"/\S+/c-icap-shared-\S+", Path(f"/proc/{self.pid}/maps").read_text())
        super().kill()
        for segment in segments:
            Path(segment).unlink(missing_ok=True)

    def _prepare(self) -> Sequence[str]:
        modules = _modules()
        if self.missing() is not None or modules is None:
            raise ServerError(self.missing() or "")
        spool = self.directory / "spool"
        spool.mkdir(exist_ok=True)
        lines = [
            f"PidFile {self.directory}/c-icap.pid",
            f"CommandsSocket {self.directory}/c-icap.ctl",
            f"Port {LOOPBACK}:{self._port}",
            "StartServers 1",
            "MaxServers 2",
            "ThreadsPerChild 10",
            "MinSpareThreads 5",
            "MaxSpareThreads 20",
            f"TmpDir {spool}",
            f"ModulesDir {modules}",
            f"ServicesDir {modules}",
            f"TemplateDir {_TEMPLATES}",
            f"LoadMagicFile {_MAGIC_FILE}",
            f"ServerLog {self.log_path}",
            f"AccessLog {self.directory}/access.log",
            "Service antivirus_module virus_scan.so",
            "Service echo srv_echo.so",
            *(f"virus_scan.{name} {value}" for name, value in self.settings.items()),
            "Module common clamd_mod.so",
            f"clamd_mod.ClamdSocket {self._clamd_socket}",
        ]
        configuration = self.directory / "c-icap.conf"
        configuration.write_text("".join(f"{line}\n" for line in lines))
        return ["c-icap", "-N", "-f", str(configuration)]

    def _is_ready(self) -> bool:
        with socket.create_connection((LOOPBACK, self._port), _REPLY_SECONDS) as connection:
            connection.sendall(b"OPTIONS %b ICAP/1.0\r\nHost: %b\r\n\r\n" % (self.address.encode(), LOOPBACK.encode()))
            return connection.recv(4096).startswith(b"ICAP/1.0 200 ")


def _modules() -> Path | None:
    """Folder of c-icap's modules, which Debian names after the architecture."""
    found = next(iter(Path("/usr/lib").glob("*/c_icap/virus_scan.so")), None)
    return None if found is None else found.parent
