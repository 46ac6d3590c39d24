"""Metrics of orphans, in Synapse's own /_synapse/metrics. No user, room, server or file in a label.

Gauges are set by the process that holds the lease of the runs; in all others they are NaN, because 0 is a statement.
"""

from collections.abc import Mapping
from typing import Any, Final

from prometheus_client import Counter, Gauge

from synapse_bum.storage.orphans.report import Totals

FILES: Final = Gauge("synapse_bum_storage_orphan_files", "Files without a row that the last look has found")
FILE_BYTES: Final = Gauge("synapse_bum_storage_orphan_file_bytes", "Bytes of these files")
ROWS: Final = Gauge("synapse_bum_storage_orphan_rows", "Rows whose file is nowhere that the last look has found")
COMPLETE: Final = Gauge(
    "synapse_bum_storage_orphan_look_complete", "1 when the last look has seen every place and every row, else 0"
)
LAST_LOOK: Final = Gauge("synapse_bum_storage_orphan_last_look_timestamp_seconds", "When the last look came to its end")
REMOVED_FILES: Final = Counter("synapse_bum_storage_orphan_removed_files", "Files without a row that were removed")
REMOVED_BYTES: Final = Counter("synapse_bum_storage_orphan_removed_bytes", "Bytes of these files")

_GAUGES: Final = (FILES, FILE_BYTES, ROWS, COMPLETE, LAST_LOOK)


def show(report: Mapping[str, Any], finished_ts: int) -> None:
    """Set the gauges to what a look has found.

    Args:
        report: as `Report.as_json` writes it.
        finished_ts: ms since the epoch.
    """
    totals = Totals.read(report)
    FILES.set(totals.files)
    FILE_BYTES.set(totals.file_bytes)
    ROWS.set(totals.rows)
    COMPLETE.set(bool(report["complete"]) and report["undecided_rows"] == 0)
    LAST_LOOK.set(finished_ts / 1000)


def nothing_is_known() -> None:
    """Says that this process does not look."""
    for gauge in _GAUGES:
        gauge.set(float("nan"))


nothing_is_known()
