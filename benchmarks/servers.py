"""The real servers that are measured, and what can be seen of a process from outside."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import benchmarks
from synapse_bum.rest import BASE
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.synapse import RealSynapse

_SELF_TEST_SECONDS: Final = 60.0
_KIB: Final = 1024


def clamd_for_large_files() -> RealClamd:
    """A clamd whose limits are above everything that is measured; with a TCP port."""
    return RealClamd(
        tcp=True, MaxFileSize="200M", MaxScanSize="400M", StreamMaxLength="200M", MaxThreads=8, AlertExceedsMax=True
    )


def synapse_with(module: str | None = None, config: Mapping[str, Any] | None = None) -> RealSynapse:
    """A homeserver on SQLite, with one module or none.

    Args:
        module: dotted name of its class, which may belong to this package of benchmarks.
        config: of the module.
    """
    modules = [] if module is None else [{"module": module, "config": dict(config or {})}]
    tree = Path(benchmarks.__file__).parent.parent
    return RealSynapse(modules=modules, config={"max_upload_size": "100M"}, python_path=[tree])


def await_self_test(synapse: RealSynapse) -> None:
    """Wait until the self-test of the antivirus module is over, which keeps clamd busy for some seconds.

    Raises:
        TimeoutError: it does not end.
    """
    administrator = synapse.register("administrator", admin=True)
    deadline = time.monotonic() + _SELF_TEST_SECONDS
    while None in administrator.get(f"{BASE}/antivirus/status").json["self_test"].values():
        if time.monotonic() > deadline:
            raise TimeoutError("the self-test of the scanner does not end")
        time.sleep(0.25)


@contextmanager
def peak_memory(pid: int) -> Iterator[list[int]]:
    """Yield a list that holds, at the end, by how many bytes the resident set of a process had grown at its highest.

    Linux resets the high-water mark when 5 is written to clear_refs (proc_pid_clear_refs(5)).
    """
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = _status_bytes(pid, "VmRSS")
    growth: list[int] = []
    yield growth
    growth.append(_status_bytes(pid, "VmHWM") - before)


def _status_bytes(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * _KIB for line in lines if line.startswith(f"{name}:"))
