"""Whether what is only in memory stays there: swap, core dumps, file systems. Read at the edge, judged purely.

The scanner decrypts files in memory. Swap and core dumps write memory to a disk. Sources: proc(5), core(5).
"""

import re
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import attr

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, warning

Mounts = Mapping[str, str] | None
"""The kind of file system by the folder where it is mounted; None when the machine is not looked at."""

_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_OBEDIENT: Final = ("systemd-coredump", "apport")
"""Handlers of core dumps that write nothing where the limit is 0."""
_DISCARDING: Final = frozenset({"/bin/false", "/usr/bin/false", "/bin/true", "/usr/bin/true"})
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Machine:
    """What this machine says of itself.

    Attributes:
        swaps: /proc/swaps.
        core_pattern: /proc/sys/kernel/core_pattern.
        core_limit: RLIMIT_CORE of this process, in bytes; -1 for none.
        mounts: the kind of file system by its folder.
    """

    swaps: str
    core_pattern: str
    core_limit: int
    mounts: Mapping[str, str]


def read_machine() -> Machine | None:
    """Ask the machine; None where there is no /proc as Linux has it."""
    try:
        swaps = Path("/proc/swaps").read_text(encoding="utf-8", errors="replace")
        pattern = Path("/proc/sys/kernel/core_pattern").read_text(encoding="utf-8", errors="replace")
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return Machine(swaps, pattern, resource.getrlimit(resource.RLIMIT_CORE)[0], mounts_in(mounts))


def mounts_in(text: str) -> dict[str, str]:
    """Read /proc/self/mounts; the last of two at one folder is the one that is seen. Pure."""
    found = {}
    for line in text.splitlines():
        parts = line.split(" ")
        if len(parts) > 2:
            found[_OCTAL.sub(lambda octal: chr(int(octal[1], 8)), parts[1])] = parts[2]
    return found


def is_in_memory(folder: str, mounts: Mapping[str, str]) -> bool:
    """Whether what is written to a folder stays in memory, as far as no swap takes it. Pure.

    Args:
        folder: an absolute path.
        mounts: as `mounts_in` returns them.
    """
    path = PurePosixPath(folder)
    nearest = next((mounts[str(place)] for place in (path, *path.parents) if str(place) in mounts), None)
    return nearest in _IN_MEMORY


def machine_remarks(machine: Machine) -> Iterator[Remark]:
    """Say where memory may reach a disk. Pure."""
    devices = [line.split()[0] for line in machine.swaps.splitlines()[1:] if line.strip()]
    on_disk = [device for device in devices if not re.fullmatch(r"/dev/zram[0-9]+", device)]
    if on_disk:
        says = f"swap is on ({', '.join(on_disk)}): decrypted files, keys and tokens may reach a disk"
        yield warning(Check.SWAP, says)
    reason = core_dump_reason(machine.core_pattern.strip(), machine.core_limit)
    if reason is not None:
        yield warning(Check.CORE_DUMPS, f"core dumps are on ({reason}): one holds decrypted files, keys and tokens")


def core_dump_reason(pattern: str, limit: int) -> str | None:
    """Why a process that crashes leaves its memory; None when it does not. Pure.

    Args:
        pattern: `kernel.core_pattern`.
        limit: RLIMIT_CORE in bytes; -1 for none.
    """
    if pattern.startswith("|"):
        handler = (pattern[1:].split() or [""])[0]
        obeys = PurePosixPath(handler).name in _OBEDIENT
        if handler in _DISCARDING or (obeys and limit == 0):
            return None
        return f"`kernel.core_pattern` is `{pattern[:80]}`, which no limit stops"
    if not pattern or limit == 0:
        return None
    return f"RLIMIT_CORE is {'unlimited' if limit < 0 else limit}"
