"""Which clamd the demo starts: with Debian's limits, and with the machine's official signatures if there are any."""

from pathlib import Path
from typing import Final

import attr

from synapse_bum.testing.clamd import RealClamd

_OFFICIAL_BASE_BYTES: Final = 2 << 30
"""Memory that clamd needs for the official signatures, with some to spare."""

_EICAR_ONLY: Final = (
    "Only the EICAR signature of this package is loaded: this clamd finds the EICAR test file, nothing else."
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ChosenClamd:
    """A clamd that is not started yet.

    Attributes:
        clamd: the server.
        signatures: a sentence that says what it will find.
    """

    clamd: RealClamd
    signatures: str


def choose_clamd() -> ChosenClamd:
    """Prepare a clamd with the official signatures of this machine, if it has any and the memory for them."""
    clamd = _clamd(real_base=True)
    files = sorted(path.name for path in Path(str(clamd.options["DatabaseDirectory"])).glob("*.c[lv]d"))
    if not files:
        return ChosenClamd(clamd, f"This machine has no official signature base. {_EICAR_ONLY}")
    if available_bytes() >= _OFFICIAL_BASE_BYTES:
        return ChosenClamd(clamd, f"It has loaded this machine's official signature base: {', '.join(files)}.")
    clamd.close()
    reason = "The machine's official signature base is left out, because less than 2 GiB of memory are free."
    return ChosenClamd(_clamd(real_base=False), f"{reason} {_EICAR_ONLY}")


def _clamd(*, real_base: bool) -> RealClamd:
    # The limits in Debian's clamd.conf. clamd's own defaults are larger, and hide what the module does about limits.
    return RealClamd(real_base=real_base, MaxFileSize="25M", MaxScanSize="100M", StreamMaxLength="25M")


def available_bytes() -> int:
    """Memory that can be had without swapping: proc(5), `MemAvailable`."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
