"""The first two steps of the demo: they start the scanner and the homeserver that all others play on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from synapse_bum import __version__
from synapse_bum.cli.demo.performance import Performance
from synapse_bum.cli.demo.promise import require
from synapse_bum.cli.demo.report import duration
from synapse_bum.cli.demo.stage import Stage
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.synapse import RealSynapse

STEPS: Final = 2
"""How many steps `open_stage` plays."""

_LIMITS_OF_DEBIAN: Final = {"MaxFileSize": "25M", "MaxScanSize": "100M", "StreamMaxLength": "25M"}
"""What Debian writes into clamd.conf; clamd's own defaults are larger."""

_OFFICIAL_BASE_BYTES: Final = 2 << 30
"""Memory that clamd needs for the official signatures, with some to spare."""


def new_clamd() -> RealClamd:
    """Prepare a clamd with Debian's limits, and with the machine's official signatures where they are and fit."""
    clamd = RealClamd(real_base=True, **_LIMITS_OF_DEBIAN)
    if not official_signatures(clamd) or _available_bytes() > _OFFICIAL_BASE_BYTES:
        return clamd
    clamd.close()
    return RealClamd(**_LIMITS_OF_DEBIAN)


def official_signatures(clamd: RealClamd) -> list[str]:
    """List the files of the official signature base that this clamd loads: none, when the machine has none."""
    return sorted(path.name for path in Path(str(clamd.options["DatabaseDirectory"])).glob("*.c[lv]d"))


def open_stage(
    performance: Performance, resources: ExitStack, new_clamd: Callable[[], RealClamd] = new_clamd
) -> Stage | None:
    """Start clamd and Synapse, each as a step.

    Args:
        performance: plays and reports them.
        resources: stops what was started and removes its files when it is closed.
        new_clamd: makes the scanner, not started.

    Returns:
        The stage; None when a server did not start.
    """
    clamd = new_clamd()
    resources.callback(clamd.close)
    synapse = RealSynapse(modules=_modules(clamd), listeners=[["client"], ["metrics"]])
    resources.callback(synapse.close)
    opened: list[Stage] = []

    def start_synapse() -> Iterator[str]:
        synapse.start()
        stage = Stage(clamd, synapse, synapse.register("admin", admin=True), synapse.register("alice"))
        answer = stage.admin.get("/_synapse/admin/v1/server_version")
        require(answer.status == HTTPStatus.OK, f"Synapse tells its version with HTTP {answer.status}.")
        yield (
            f"Synapse {answer.json['server_version']} on SQLite, with synapse_bum {__version__}, serves {synapse.base_url}"
            f" after {duration(synapse.start_seconds)}. It has two users: an administrator and Alice."
        )
        opened.append(stage)

    if performance.play("clamd starts", "The scanner is the distribution's own, unchanged.", lambda: _start_clamd(clamd)):
        performance.play(
            "Synapse starts with the module loaded", "It needs no patch: three lines of configuration.", start_synapse
        )
    return opened[0] if opened else None


def _modules(clamd: RealClamd) -> list[dict[str, Any]]:
    return [
        {
            "module": "synapse_bum.antivirus.AntivirusModule",
            "config": {"scanner": {"address": clamd.address_unix, "timeout": "20s"}},
        }
    ]


def _start_clamd(clamd: RealClamd) -> Iterator[str]:
    clamd.start()
    yield f"{clamd.command('VERSION')} answers on a unix socket after {duration(clamd.start_seconds)}."
    official = official_signatures(clamd)
    if official:
        yield f"It has loaded this machine's official signatures: {', '.join(official)}."
    else:
        yield (
            "Only the EICAR signature that comes with this package is loaded, so this clamd finds the EICAR test file and"
            " nothing else: the machine has no official signature base, or too little memory for it."
        )


def _available_bytes() -> int:
    """Memory that can be had without swapping: proc(5), `MemAvailable`, in kibibytes."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
