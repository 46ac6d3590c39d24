"""What can be seen of a homeserver from outside: its metrics, its database file, files in its memory."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from synapse_bum.testing.http_client import HttpClient

_BLOCK_BYTES: Final = 512
"""The unit of `st_blocks` (stat(2))."""


def metric(base_url: str, sample: str, **labels: str) -> float:
    """The sum of all samples of this name that have these labels; 0 without any.

    Args:
        base_url: of a listener with `metrics`.
        sample: name with suffix, for example `..._total`.
        **labels: what the samples must have.
    """
    text = HttpClient(base_url).get("/_synapse/metrics").body.decode()
    return sum(
        one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.name == sample and labels.items() <= one.labels.items()
    )


def rows(database: Path, query: str, *parameters: str) -> list[tuple[Any, ...]]:
    """Rows of a SQLite database that a homeserver uses at the same time.

    Args:
        database: its file.
        query: one SELECT.
        *parameters: for its question marks.
    """
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(query, parameters).fetchall()


def memory_files(pid: int, name: str) -> list[int]:
    """Sizes in memory, in bytes, of the files that a process has open and made with `memfd_create`.

    Args:
        pid: of the process; it may open and close files meanwhile.
        name: that they were given.
    """
    sizes = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if str(entry.readlink()).startswith(f"/memfd:{name} "):
                status = entry.stat()
                # Several descriptors may be of one file.
                sizes[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK_BYTES
    return list(sizes.values())
