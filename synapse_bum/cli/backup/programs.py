"""Programs of Debian packages: found, run, and never left behind.

A child ends with this process, even when that is killed: nothing writes to a repository or a database that nobody waits
for. Secrets reach it by its environment, never by its arguments, which everybody on the machine may read.
"""

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import attr

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.standstill import Activity, Standstill
from synapse_bum.quantities import escaped

_LONGEST_COMPLAINT: Final = 400
_GRACE_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 1.0
_QUOTES: Final = re.compile(r"\s*(DETAIL|CONTEXT|STATEMENT|QUERY|LINE [0-9]+|Command was):")
_SPEAKS: Final = re.compile(r"\S*(pg_[a-z]+|psql|createdb|dropdb)(:|\[)|(ERROR|FATAL|PANIC|WARNING|NOTICE|HINT):")

# prctl(PR_SET_PDEATHSIG, SIGKILL), kept over exec (prctl(2)). A parent that has ended before that is noticed by its
# number.
_ENDS_WITH_ITS_PARENT: Final = (
    "import ctypes,os,signal,sys;ctypes.CDLL(None).prctl(1,9);signal.signal(signal.SIGINT,signal.SIG_DFL);"
    "os.getppid()==int(sys.argv[1]) or os._exit(1);os.execv(sys.argv[2],sys.argv[2:])"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Done:
    """How a program ended.

    Attributes:
        status: its exit status.
        output: what it printed.
        complaint: what it said on stderr.
        stood_still: it was ended because it did nothing any more.
    """

    status: int
    output: str
    complaint: str
    stood_still: bool = False

    def last_complaint(self) -> str:
        """The last lines of what it said on stderr, in one, without rows of a database."""
        lines = [line.strip() for line in _unquoted(self.complaint.splitlines()) if line.strip()]
        return escaped("; ".join(lines[-3:])[-_LONGEST_COMPLAINT:]) or f"it ended with status {self.status}"


def _unquoted(lines: Iterable[str]) -> Iterator[str]:
    """What programs of PostgreSQL say, without the fields that quote rows (libpq, "PQresultErrorField"). Pure."""
    quotes = False
    for line in lines:
        if _QUOTES.match(line):
            quotes = True
        elif _SPEAKS.match(line):
            quotes = False
        if not quotes:
            yield line


def find_program(name: str, package: str) -> Path:
    """Look for a program.

    Args:
        name: of the program.
        package: the Debian package that brings it.

    Raises:
        BackupError: it is not there.
    """
    found = shutil.which(name)
    if found is None:
        raise BackupError(f"`{name}` is missing: apt-get install {package}")
    return Path(found)


def start_program(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    output: int | IO[bytes],
    complaint: int | IO[bytes],
    folder: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program that ends with this process.

    Args:
        command: the program, with its path, and its arguments.
        environment: in place of this process's own.
        output: where its output goes, as for `subprocess.Popen`.
        complaint: the same for its stderr.
        folder: its working directory.

    Raises:
        BackupError: it can't be started.
    """
    wrapped = [sys.executable, "-I", "-S", "-c", _ENDS_WITH_ITS_PARENT, str(os.getpid()), *map(str, command)]
    try:
        return subprocess.Popen(
            wrapped,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=complaint,
            start_new_session=True,
        )
    except OSError as error:
        raise BackupError(f"{command[0]} can't be started: {error.strerror}") from None


def run_program(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    hopeless: str = "",
    longest_standstill_s: float = math.inf,
) -> Done:
    """Run a program to its end. However this ends, the program has ended too.

    Args:
        command: the program, with its path, and its arguments.
        environment: in place of this process's own.
        hopeless: once it says this on stderr, it is interrupted: it might try again for a long time.
        longest_standstill_s: once it has done nothing for so long, it is interrupted.

    Raises:
        BackupError: it can't be started.
    """
    process = start_program(command, environment, output=subprocess.PIPE, complaint=subprocess.PIPE)
    said: list[bytes] = []
    ended = threading.Event()
    interruption = _Interruption(process)
    listener = threading.Thread(target=_listen, args=(process, said, hopeless.encode(), interruption), daemon=True)
    watcher = threading.Thread(
        target=_watch, args=(process, said, Standstill(longest_standstill_s), interruption, ended), daemon=True
    )
    listener.start()
    watcher.start()
    with process:
        try:
            output = process.stdout.read() if process.stdout is not None else b""
            process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            ended.set()
            listener.join()
            watcher.join()
            interruption.end()
    complaint = b"".join(said).decode(errors="replace")
    return Done(process.returncode, output.decode(errors="replace"), complaint, interruption.is_for_standstill)


class _Interruption:
    """Ends a program that can't succeed: SIGINT, once, and SIGKILL when that was not enough."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._last_resort = threading.Timer(_GRACE_SECONDS, process.kill)
        self._last_resort.daemon = True
        self._lock = threading.Lock()
        self._is_made = False
        self.is_for_standstill = False

    def make(self, *, for_standstill: bool) -> None:
        """Interrupts the program, unless that was done."""
        with self._lock:
            if self._is_made:
                return
            self._is_made = True
            self.is_for_standstill = for_standstill
        self._process.send_signal(signal.SIGINT)
        self._last_resort.start()

    def end(self) -> None:
        """Forgets the program, which has ended."""
        self._last_resort.cancel()


def _listen(
    process: "subprocess.Popen[bytes]", said: list[bytes], hopeless: bytes, interruption: _Interruption
) -> None:
    """Collects what a program says on stderr, and ends one that can't succeed."""
    for line in process.stderr or ():
        said.append(line)
        if hopeless and hopeless in line:
            interruption.make(for_standstill=False)


def _watch(
    process: "subprocess.Popen[bytes]",
    said: list[bytes],
    standstill: Standstill,
    interruption: _Interruption,
    ended: threading.Event,
) -> None:
    """Ends a program that stands still."""
    while not ended.wait(_LOOK_SECONDS):
        if standstill.is_reached(time.monotonic(), Activity.of(process.pid, len(said))):
            interruption.make(for_standstill=True)
