"""`RealPostgres`: a real PostgreSQL with data of its own, without durability, for tests that need its locks."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from synapse_bum.testing.local_server import LOOPBACK, LocalServer, ServerError, free_port

_START_TIMEOUT: Final = 60.0
_SUITE_TIMEOUT: Final = 1800.0
_UNPRIVILEGED: Final = "nobody"
# A copy of a database, which each test case of Synapse asks for, takes 0.1 s in memory and up to 1 s on a disk.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the directory in it is made by `tempfile`
_ENOUGH_MEMORY: Final = 4 << 30
_SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "32MB",
}


def _memory() -> Path | None:
    usable = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _ENOUGH_MEMORY
    return _MEMORY if usable else None


class RealPostgres(LocalServer):
    """One server on loopback TCP and on a unix socket; its programs must be on `PATH`.

    PostgreSQL refuses to run as root, so it runs as `nobody` then (util-linux' `setpriv`).

    Attributes:
        host: for TCP connections; `directory` is a valid host for libpq too and means the socket.
        port: of both.
        user: the superuser; it needs no password.
    """

    def __init__(self) -> None:
        super().__init__("postgres", _START_TIMEOUT, _memory())
        self.host = LOOPBACK
        self.port = free_port()
        self.user = "postgres"
        self._as_user: Sequence[str] = ()
        if os.geteuid() == 0:
            account = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            self._as_user = ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")

    def dsn(self, database: str = "postgres") -> str:
        """Returns the libpq connection string of a database."""
        return f"host={self.host} port={self.port} user={self.user} dbname={database}"

    def synapse_tests_environment(self) -> Mapping[str, str]:
        """Returns the variables by which Synapse's own test cases use this server instead of SQLite."""
        return {
            "SYNAPSE_POSTGRES": "1",
            "SYNAPSE_POSTGRES_HOST": self.host,
            "SYNAPSE_POSTGRES_PORT": str(self.port),
            "SYNAPSE_POSTGRES_USER": self.user,
        }

    def assert_synapse_tests_pass(self, tests: Iterable[str | Path]) -> None:
        """Runs homeserver tests on this server instead of SQLite, in a process of their own.

        Synapse's test cases choose their database by variables when they are imported, so they need a process.

        Args:
            tests: as pytest takes them: absolute paths of files, each with classes and functions behind `::` or not.

        Raises:
            AssertionError: some failed or were skipped, or none ran.
            subprocess.TimeoutExpired: they took half an hour; what they had printed stands in it.
        """
        # In a folder of its own: it does not clear up what other runs have left.
        with tempfile.TemporaryDirectory(prefix="bum-pytest-", ignore_cleanup_errors=True) as folder:
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pytest",
                    "-q",
                    "-p",
                    "no:cacheprovider",
                    f"--basetemp={folder}",
                    *map(str, tests),
                ],
                env={**os.environ, **self.synapse_tests_environment()},
                cwd=Path(__file__).parent.parent.parent,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_SUITE_TIMEOUT,
            )
        if done.returncode or " passed" not in done.stdout or "skipped" in done.stdout:
            said = f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
            raise AssertionError(f"pytest ended with {done.returncode}:\n{said}")

    def stop(self, timeout: float = 30.0) -> None:
        """Ends all connections and stops; without this the server would wait until every client has left."""
        if self.running:
            os.kill(self.pid, signal.SIGINT)
        super().stop(timeout)

    def _prepare(self) -> Sequence[str]:
        data = str(self.directory / "data")
        if not self.directory.joinpath("data").exists():
            self._initialise(data)
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        return [*self._as_user, "postgres", "-D", data, "-k", str(self.directory), "-p", str(self.port), *settings]

    def _initialise(self, data: str) -> None:
        initdb = ["initdb", "--locale=C", "--encoding=UTF8", "--auth=trust", "--no-sync", "-U", self.user, "-D", data]
        made = subprocess.run(
            [*self._as_user, *initdb],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if made.returncode:
            raise ServerError(f"initdb failed: {made.stderr.decode(errors='replace')[-2000:]}")

    def _is_ready(self) -> bool:
        probe = ["pg_isready", "-q", "-h", self.host, "-p", str(self.port)]
        return subprocess.run(probe, check=False, stdin=subprocess.DEVNULL).returncode == 0
