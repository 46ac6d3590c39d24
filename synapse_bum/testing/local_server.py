"""A real server as a child process on the loopback interface: started, waited for, and never left behind.

This file knows no particular server. A launcher derives from `LocalServer` and says what to run and when it is ready.
"""

import abc
import contextlib
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from typing_extensions import Self

LOOPBACK = "127.0.0.1"

_POLL_INTERVAL = 0.01
_LOG_LINES_IN_ERRORS = 25

# Below the ports that Linux gives to outgoing connections and to whoever binds port 0: no stranger takes one of these
# while its server is being restarted.
_PORTS: Final = range(10_000, 32_768)

# The guard is a second child that holds the reading end of a pipe. However its parent dies, the kernel closes the
# writing end, `read` returns, and the guard kills the server's whole process group and removes its directory ($0).
# PR_SET_PDEATHSIG would not do: it fires when the *thread* that started the server ends, and a server that changes its
# user loses it.
_GUARD = 'read -r pid && { read -r _; kill -s KILL -- "-$pid"; }; rm -rf -- "$0"'


class ServerError(Exception):
    """A server did not start, did not do what it was told, or is not running. The text holds its last log lines."""


def free_port() -> int:
    """Reserve a TCP port that nobody listens on. No other process gets it from here before this one has ended.

    Raises:
        ServerError: all ports are taken.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        if _reserve(port):
            return port
    raise ServerError(f"no port from {_PORTS.start} to {_PORTS.stop - 1} is free")


def _reserve(port: int) -> bool:
    """Whether the port is this process's from now on."""
    # An abstract unix socket (unix(7)) belongs to the same network namespace as the port, and ends with its process.
    with socket.socket(socket.AF_UNIX) as name, socket.socket() as probe:
        try:
            name.bind(f"\0synapse-bum-port-{port}")
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        name.detach()  # open until the process ends
        return True


class LocalServer(abc.ABC):
    """One server process with a directory of its own.

    A context manager: entering starts the server, leaving stops it and removes the directory. Between the two it can be
    stopped, killed and started again with the directory kept.

    Attributes:
        directory: holds configuration, data, sockets and logs.
        start_seconds: how long the last start took until the server was ready.
    """

    def __init__(self, name: str, start_timeout: float, parent: Path | None = None) -> None:
        """Make the directory; nothing is started yet.

        Args:
            name: what errors call the server, and part of the directory's name.
            start_timeout: seconds until a start that is not ready fails.
            parent: where the directory is made; None: where temporary ones are.
        """
        self._name = name
        self._start_timeout = start_timeout
        self._temporary = tempfile.TemporaryDirectory(prefix=f"bum-{name}-", dir=parent, ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self.directory = Path(self._temporary.name)
        self.start_seconds = 0.0

    @abc.abstractmethod
    def _prepare(self) -> Sequence[str]:
        """Write the configuration; returns the command line, the program first."""

    @abc.abstractmethod
    def _is_ready(self) -> bool:
        """Ask the server itself whether it serves. `OSError` counts as "not yet"."""

    def _environment(self) -> Mapping[str, str]:
        """Environment variables of the server, in place of this process's own."""
        return os.environ

    @property
    def log_path(self) -> Path:
        """The file with the server's log, which is what it prints unless it writes one of its own."""
        return self._output_path

    @property
    def _output_path(self) -> Path:
        return self.directory / "output.log"

    def log_text(self) -> str:
        """Everything that was logged since the directory was made, restarts included."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def running(self) -> bool:
        """Whether the process exists and has not ended."""
        return self._process is not None and self._exit_status(self._process) is None

    @property
    def pid(self) -> int:
        """Process id.

        Raises:
            ServerError: the server is not running.
        """
        if self._process is None or self._exit_status(self._process) is not None:
            raise self._error("is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it serves.

        Raises:
            ServerError: it is running already, ended, or was not ready in time; then no process is left.
        """
        if self.running:
            raise self._error("is running already")
        self.kill()
        command = self._prepare()
        began = time.monotonic()
        try:
            process = self._launch(command)
            self._wait_until_ready(process, began + self._start_timeout)
        except BaseException:
            self.kill()
            raise
        self.start_seconds = time.monotonic() - began

    def stop(self, timeout: float = 30.0) -> None:
        """Ask the server to end (SIGTERM), and kill it when it has not after `timeout` seconds."""
        if self._process is not None:
            # `Popen.terminate` would reap a server that has ended by itself, and its number would be anybody's.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)
            deadline = time.monotonic() + timeout
            while self._exit_status(self._process) is None and time.monotonic() < deadline:
                time.sleep(_POLL_INTERVAL)
        self.kill()

    def kill(self) -> None:
        """End the server and its children at once (SIGKILL), as a crash would."""
        if self._process is not None:
            # Nobody has waited for the process yet, so its number still means this server and its children.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None

    def restart(self) -> None:
        """Stop and start again with the same directory."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the server and remove its directory."""
        self.stop()
        self._temporary.cleanup()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _launch(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with self._output_path.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        assert self._guard.stdin is not None
        self._guard.stdin.write(b"%d\n" % self._process.pid)
        self._guard.stdin.flush()
        return self._process

    def _wait_until_ready(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while (status := self._exit_status(process)) is None:
            with contextlib.suppress(OSError):
                if self._is_ready():
                    return
            if time.monotonic() > deadline:
                raise self._error(f"was not ready after {self._start_timeout:g} s")
            time.sleep(_POLL_INTERVAL)
        raise self._error(f"ended with status {status} instead of serving")

    @staticmethod
    def _exit_status(process: subprocess.Popen[bytes]) -> int | None:
        """How the process ended, or None; leaves it waitable, so that its number is not given to another process."""
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return None if ended is None else ended.si_status

    def _error(self, what_happened: str) -> ServerError:
        paths = dict.fromkeys((self._output_path, self.log_path))
        logs = (path.read_text(errors="replace").splitlines() for path in paths if path.exists())
        lines = [line for log in logs for line in log[-_LOG_LINES_IN_ERRORS:]]
        return ServerError("\n  ".join([f"{self._name} {what_happened}; its last log lines:", *(lines or ["(none)"])]))
