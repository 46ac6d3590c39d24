"""Removing old files without rows from the media store.

Only from there: a bucket or a copy folder may hold the files of another homeserver too, which have no rows here. Only
where the whole store was looked at and the database can be believed. Holds on other servers count, those that have
ended as well, until they are lifted: so no clock that is wrong can end one. Whose a local file without a row was nobody
knows.
"""

import logging
from pathlib import Path
from typing import Final

from synapse.module_api import LoggingTransaction

from synapse_bum import audit
from synapse_bum.deletion import holds
from synapse_bum.deletion.survey import Survey
from synapse_bum.deletion.walk import Removed, remove_unchanged
from synapse_bum.storage.orphans import metrics
from synapse_bum.storage.orphans import run as run_record
from synapse_bum.storage.orphans.look import Look
from synapse_bum.storage.orphans.run import ACTOR

logger = logging.getLogger(__name__)

CHUNK: Final = 500
"""Files that are removed with one audit row."""


async def remove_orphans(look: Look, store: Path, survey: Survey, run_id: str) -> list[str]:
    """Remove what a survey of the media store has collected.

    Args:
        look: the one that made the survey.
        store: the folder of the media store.
        survey: of it; has to be believable.
        run_id: in whose name.

    Returns:
        Why some could not be removed.

    Raises:
        RunOverError: the run is over before its end.
    """
    errors: list[str] = []
    files = size_bytes = 0
    for start in range(0, len(survey.strays), CHUNK):
        await look.pause()
        held = await look.database.run("synapse_bum_storage_orphans_held", _held_servers)
        chunk = [file for file in survey.strays[start : start + CHUNK] if file.owner.server_name not in held]
        removed = await look.api.defer_to_thread(remove_unchanged, store, chunk)
        errors += removed.errors
        files, size_bytes = files + removed.files, size_bytes + removed.size_bytes
        if removed.files:
            now_ms = look.api.get_current_time_msec()
            await look.database.run("synapse_bum_storage_orphans_removed", _record, run_id, removed, now_ms)
    logger.info(
        "Removed %d files without a row, %d bytes (run %s)",
        files,
        size_bytes,
        run_id,
        extra={"run_id": run_id, "items": files, "size_bytes": size_bytes},
    )
    return errors


def _held_servers(txn: LoggingTransaction) -> frozenset[str]:
    return holds.held_uploaders(txn, 0).servers


def _record(txn: LoggingTransaction, run_id: str, removed: Removed, now_ms: int) -> None:
    run_record.count_removed(txn, run_id, removed.files, removed.size_bytes)
    txn.call_after(metrics.REMOVED_FILES.inc, removed.files)
    txn.call_after(metrics.REMOVED_BYTES.inc, removed.size_bytes)
    new = {"items": removed.files, "bytes": removed.size_bytes}
    audit.append(txn, audit.Entry(now_ms, ACTOR, "storage.orphans.remove", run_id, new=new))
