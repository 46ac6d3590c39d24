"""Retention on PostgreSQL: selections and runs over millions of rows, files a second, events a second.

Each part starts a database and a homeserver of its own, and removes them. At 10 million rows that takes about 15 GB of
disk.
"""

import shutil
from collections.abc import Iterator
from typing import Final

from benchmarks import retention_events, retention_files, retention_rows
from benchmarks.measuring import Effort
from benchmarks.report import Section

_PROGRAMS: Final = ("initdb", "postgres")


def measure(effort: Effort) -> Iterator[Section]:
    """Measure retention; yields each section when it is done."""
    if not all(map(shutil.which, _PROGRAMS)):
        remark = "PostgreSQL is not installed (Debian: postgresql), so nothing was measured."
        yield Section(title="Retention", columns=("",), rows=[], remarks=[remark])
        return
    yield from retention_files.measure(effort)
    yield from retention_events.measure(effort)
    yield from retention_rows.measure(effort)
