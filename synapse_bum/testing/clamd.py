"""A real clamd for tests, benchmarks and the demo: own directory, own signature, unix socket and, if asked for, TCP.

A distribution's clamd comes without signatures and refuses to start. `eicar.ndb` beside this file holds one: the EICAR
test text at any offset of any file, as a hex string (ClamAV documentation, "Body-based signature content format").
clamd reports it as `Eicar-Test-Signature.UNOFFICIAL`: every name that is not of the official base gets that suffix.

Observed on ClamAV 1.4.6: ready in 0.03 s with this signature alone; SIGTERM lets running scans end, without sending
their verdicts, and removes the socket file; after SIGKILL the file stays and refuses connections.
"""

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeAlias

from synapse_bum.testing import malware, raw_clamd
from synapse_bum.testing.local_server import LOOPBACK, LocalServer, ServerError, free_port

EICAR_SIGNATURE: Final = "Eicar-Test-Signature.UNOFFICIAL"
"""What clamd calls EICAR when only `eicar.ndb` is loaded."""

Option: TypeAlias = str | int | bool
"""A value of clamd.conf; booleans are written as `yes` and `no`."""

_SYSTEM_BASE = Path("/var/lib/clamav")
_REPLY_SECONDS = 30.0  # at once, unless the machine is busy
_POLL_INTERVAL = 0.01
_MARKER_BYTES = 32
_START_SECONDS = 60.0  # much more than it takes: machines that run tests are busy
_START_SECONDS_WITH_REAL_BASE = 180.0  # eight million signatures: 10 to 60 s

_LOADED = "Activating the newly loaded database..."
_NOT_LOADED = "Database reload failed"


class RealClamd(LocalServer):
    """clamd from the distribution, in the foreground, on a directory of its own.

    Example::

        with RealClamd(MaxFileSize="50M", AlertExceedsMax=True) as clamd:
            ...  # clamd.address_unix

    Attributes:
        options: clamd.conf, name to value. May be changed while the server is stopped.
        socket_path: the unix socket.
        temporary_directory: where clamd unpacks; tests may fill or remove it.
    """

    def __init__(self, *, tcp: bool = False, real_base: bool = False, **options: Option) -> None:
        """Prepare a clamd; `start()` or entering the context starts it.

        Args:
            tcp: listen on a free port of the loopback interface too.
            real_base: load the machine's official signatures as well, if there are any. Takes a minute and 1.5 GB.
            **options: lines of clamd.conf(5) that replace or extend the defaults here.
        """
        super().__init__("clamd", _START_SECONDS_WITH_REAL_BASE if real_base else _START_SECONDS)
        self.socket_path = self.directory / "clamd.sock"
        self.temporary_directory = self.directory / "tmp"
        self._base = self.directory / "signatures"
        self._tcp_port = free_port() if tcp else None
        self.options: dict[str, Option] = {
            "Foreground": True,
            "LocalSocket": str(self.socket_path),
            "DatabaseDirectory": str(self._base),
            "TemporaryDirectory": str(self.temporary_directory),
            "MaxThreads": 8,
            "SelfCheck": 0,  # signatures change only when a test says so
            **({} if self._tcp_port is None else {"TCPSocket": self._tcp_port, "TCPAddr": LOOPBACK}),
            **options,
        }
        self.temporary_directory.mkdir()
        self._base.mkdir()
        (self._base / "eicar.ndb").write_bytes(files(__package__).joinpath("eicar.ndb").read_bytes())
        if real_base:
            for official in sorted(_SYSTEM_BASE.glob("*.c[lv]d")):
                (self._base / official.name).symlink_to(official)

    @staticmethod
    def missing() -> str | None:
        """What has to be installed before a clamd can be started, as a sentence; None when nothing is missing."""
        if shutil.which("clamd"):
            return None
        return "clamd is not installed: on Debian and Ubuntu, `apt-get install clamav-daemon`"

    @property
    def address_unix(self) -> str:
        """The unix socket as modules are told it: `unix:/path`."""
        return f"unix:{self.socket_path}"

    @property
    def address_tcp(self) -> str:
        """The TCP socket as modules are told it: `tcp:127.0.0.1:port`.

        Raises:
            ServerError: this clamd was made without `tcp=True`.
        """
        if self._tcp_port is None:
            raise ServerError("this clamd listens on no TCP port: RealClamd(tcp=True)")
        return f"tcp:{LOOPBACK}:{self._tcp_port}"

    def command(self, command: str) -> str:
        """Send one command (`PING`, `VERSION`, `RELOAD`, ...) over the unix socket; returns the reply.

        Raises:
            OSError: clamd is not there or did not answer within 30 s.
        """
        reply = raw_clamd.exchange(self.address_unix, b"z%b\0" % command.encode(), timeout=_REPLY_SECONDS)
        return reply.decode().rstrip("\0\n")

    def reload_with(self, lines: Iterable[str], timeout: float = 60.0) -> None:
        """Add signatures and wait until clamd scans with them.

        Args:
            lines: body signatures in ClamAV's extended format, for example from `malware.signature_for`.
            timeout: seconds to wait. With `ConcurrentDatabaseReload=False` clamd needs up to its `IdleTimeout`.

        Raises:
            ServerError: clamd rejected them (and goes on with those it had), or took too long.
        """
        marker = malware.unique_bytes(_MARKER_BYTES)
        added = self._base / f"added-{len(list(self._base.glob('added-*.ndb')))}.ndb"
        added.write_text("".join(f"{line}\n" for line in (*lines, malware.signature_for("Reload-Marker", marker))))
        deadline = time.monotonic() + timeout
        # clamd ignores a RELOAD while another one is under way, and that one may have read the folder before.
        while b"FOUND" not in raw_clamd.scan_stream(self.address_unix, marker):
            self._reload(added, deadline)

    def _reload(self, added: Path, deadline: float) -> None:
        already_logged = len(self.log_text())
        self.command("RELOAD")
        while _LOADED not in (log := self.log_text()[already_logged:]):
            if _NOT_LOADED in log or time.monotonic() > deadline:
                added.unlink()
                raise self._error("did not load the new signatures")
            time.sleep(_POLL_INTERVAL)
        # The line is written before the new signatures are in use, by the thread that answers PING afterwards.
        self.command("PING")

    def _prepare(self) -> Sequence[str]:
        sentence = self.missing()
        if sentence is not None:
            raise ServerError(sentence)
        configuration = self.directory / "clamd.conf"
        configuration.write_text("".join(f"{name} {_as_option(value)}\n" for name, value in self.options.items()))
        return ["clamd", "-c", str(configuration)]

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, "LC_ALL": "C"}

    def _is_ready(self) -> bool:
        return self.command("PING") == "PONG"


def _as_option(value: Option) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
