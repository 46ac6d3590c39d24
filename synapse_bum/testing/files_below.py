"""Files of a folder in which a server works meanwhile."""

import contextlib
import os
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder; what vanishes meanwhile is passed over, where `Path.rglob` breaks off."""
    return [path for above, _, names in os.walk(folder) for name in names if (path := Path(above, name)).is_file()]


def bytes_below(folder: Path) -> int:
    """The size of all files below a folder."""
    total = 0
    for path in files_below(folder):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
