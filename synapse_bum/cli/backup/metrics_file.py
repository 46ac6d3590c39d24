"""What happened, for Prometheus: a file for node_exporter's textfile collector (its README, "Textfile Collector").

What a command does not know, for example the last verification, stays as it stood there. Each value has its server as
a label: several files on one machine with the same names and no labels are read by no collector. What never succeeded
has the time 0, so that an alert about its age speaks of that too.
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
    "missing_files": "Files of the database that the last attempt did not find on the disk and nobody has given up.",
    "lost_files": "Files of users that were missing when the last backup was made, and are known to be lost.",
    "last_verify_ok": "Whether the last verification succeeded.",
    "last_verify_timestamp_seconds": "When the last verification ended.",
    "last_verify_success_timestamp_seconds": "When a verification succeeded last.",
}
NAMES: Final = frozenset(_PREFIX + name for name in _MEANINGS)
"""Of all that may stand there."""

_AT_FIRST: Final = {"last_success_timestamp_seconds": 0.0, "last_verify_success_timestamp_seconds": 0.0}
_LINE: Final = re.compile(rf'{_PREFIX}(\w+)(?:\{{server="([^"\\]*)"\}})? ([0-9.e+]+)', re.ASCII)
_NO_LABEL: Final = re.compile(r'["\\\s]')
_MODE: Final = 0o644  # node_exporter is another user


def write_metrics(path: Path, server: str | None, values: Mapping[str, float]) -> None:
    """Write values beside those that are there.

    Args:
        path: `*.prom` in the folder of the collector.
        server: whose they are; None where that is not known: then they belong to the one server whose values are there.
        values: by their names without the prefix.

    Raises:
        OSError: it can't be written; the file stays as it was.
    """
    known = _read(path)
    if server is None:
        server = next(iter(known)) if len(known) == 1 else ""
    else:
        known.pop("", None)
    server = _NO_LABEL.sub("", server)
    known[server] = {**_AT_FIRST, **known.get(server, {}), **values}
    lines = []
    for name, meaning in _MEANINGS.items():
        full = _PREFIX + name
        samples = [f'{full}{{server="{one}"}} {found[name]:.15g}' for one, found in known.items() if name in found]
        if samples:
            lines += [f"# HELP {full} {meaning}", f"# TYPE {full} gauge", *samples]
    # The collector reads `*.prom` only: nothing that is half written.
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    beside.replace(path)


def _read(path: Path) -> dict[str, dict[str, float]]:
    """The values of each server."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        matched = _LINE.fullmatch(line)
        if matched is not None and matched[1] in _MEANINGS:
            found.setdefault(matched[2] or "", {})[matched[1]] = float(matched[3])
    return found
