"""Programs of Debian packages: found, run, and never left behind.

A child ends with this process, even when that is killed: nothing writes to a repository or a database that nobody waits
for. Secrets reach it by its environment, never by its arguments, which everybody on the machine may read.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import attr

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.quantities import escaped

_LONGEST_COMPLAINT: Final = 400
_GRACE_SECONDS: Final = 30.0
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
    """

    status: int
    output: str
    complaint: str

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


def run_program(command: Sequence[str | Path], environment: Mapping[str, str], *, hopeless: str = "") -> Done:
    """Run a program to its end. However this ends, the program has ended too.

    Args:
        command: the program, with its path, and its arguments.
        environment: in place of this process's own.
        hopeless: once it says this on stderr, it is interrupted: it might try again for a long time.

    Raises:
        BackupError: it can't be started.
    """
    process = start_program(command, environment, output=subprocess.PIPE, complaint=subprocess.PIPE)
    said: list[bytes] = []
    listener = threading.Thread(target=_listen, args=(process, said, hopeless.encode()), daemon=True)
    listener.start()
    with process:
        try:
            output = process.stdout.read() if process.stdout is not None else b""
            process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            listener.join()
    return Done(process.returncode, output.decode(errors="replace"), b"".join(said).decode(errors="replace"))


def _listen(process: "subprocess.Popen[bytes]", said: list[bytes], hopeless: bytes) -> None:
    """Collects what a program says on stderr, and ends one that can't succeed."""
    last_resort = threading.Timer(_GRACE_SECONDS, process.kill)
    last_resort.daemon = True
    for line in process.stderr or ():
        said.append(line)
        if hopeless and hopeless in line and not last_resort.is_alive():
            process.send_signal(signal.SIGINT)
            last_resort.start()
            hopeless = b""
    last_resort.cancel()
