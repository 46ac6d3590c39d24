"""What happened, for Prometheus: a file for node_exporter's textfile collector (its README, "Textfile Collector").

What a command does not know, for example the last verification, stays as it stood there.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PREFIX: Final = "synapse_bum_backup_"
_MEANINGS: Final = {
    "last_success_timestamp_seconds": "When the last backup was made.",
    "last_run_ok": "Whether the last attempt succeeded.",
    "last_run_timestamp_seconds": "When the last attempt ended.",
    "duration_seconds": "How long the last backup took.",
    "size_bytes": "What the last backup holds, before compression.",
    "kept_runs": "Backups in the repository.",
    "oldest_timestamp_seconds": "When the oldest of them was made.",
    "lost_files": "Files of users that were missing when the last backup was made.",
    "last_verify_ok": "Whether the last verification succeeded.",
    "last_verify_timestamp_seconds": "When the last verification ended.",
    "last_verify_success_timestamp_seconds": "When a verification succeeded last.",
}
NAMES: Final = frozenset(_PREFIX + name for name in _MEANINGS)
"""Of all that may stand there."""

_LINE: Final = re.compile(rf"{_PREFIX}(\w+) ([0-9.]+)", re.ASCII)
_MODE: Final = 0o644  # node_exporter is another user


def write_metrics(path: Path, values: Mapping[str, float]) -> None:
    """Write values beside those that are there.

    Args:
        path: `*.prom` in the folder of the collector.
        values: by their names without the prefix.

    Raises:
        OSError: it can't be written; the file stays as it was.
    """
    known = {**_read(path), **values}
    lines = []
    for name, meaning in _MEANINGS.items():
        if name in known:
            full = _PREFIX + name
            lines += [f"# HELP {full} {meaning}", f"# TYPE {full} gauge", f"{full} {known[name]:.15g}"]
    # The collector reads `*.prom` only: nothing that is half written.
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    beside.replace(path)


def _read(path: Path) -> dict[str, float]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    found = {}
    for line in text.splitlines():
        matched = _LINE.fullmatch(line)
        if matched is not None and matched[1] in _MEANINGS:
            found[matched[1]] = float(matched[2])
    return found
