"""Where file systems are mounted: what is behind a mount may be somebody else's, and without one nothing seems left."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_LIST: Final = Path("/proc/self/mountinfo")
_MOUNT_POINT: Final = 4
_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")


def mount_points() -> list[Path]:
    """All of this process, with those of folders of the same file system.

    Raises:
        OSError: the kernel does not tell.
    """
    return mount_points_in(_LIST.read_bytes())


def mount_points_in(mountinfo: bytes) -> list[Path]:
    """The mount points of a list as the kernel gives it (proc(5), `/proc/pid/mountinfo`). Pure."""
    return [
        Path(os.fsdecode(_ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), line.split(b" ")[_MOUNT_POINT])))
        for line in mountinfo.splitlines()
    ]


def mounts_below(folder: Path) -> list[Path]:
    """What is mounted somewhere below a folder.

    Raises:
        OSError: the kernel does not tell.
    """
    real = folder.resolve()
    return [point for point in mount_points() if point != real and point.is_relative_to(real)]


def mounts_of(paths: Iterable[Path]) -> tuple[str, ...]:
    """The mount points of the file systems that hold some paths, without the uppermost one.

    Args:
        paths: absolute; they need not be there.
    """
    found = dict.fromkeys(_mount_of(path.resolve()) for path in paths)
    return tuple(str(point) for point in found if point != Path(point.anchor))


def _mount_of(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.is_mount() or one == Path(one.anchor))
