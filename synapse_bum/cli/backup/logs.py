"""The logs outside the database, of what was deleted and closed: without them a restored backup opens it again.

A log is made with its first line. Each module notes in a table of one row how far it has written, which tells a log
that is lost from one that is not there yet. After a rotation a log is missing or empty until the homeserver's writer
begins it anew, within five seconds; one that stays so is lost, however it came to that.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.homeserver.database_copying import has_table
from synapse_bum.homeserver.offline_database import OfflineTransaction

_BEGUN_ANEW_S: Final = 15.0  # three times what the writers need
_LOOKS_PER_S: Final = 4
_LOOKED_AT: Final = 65_536  # bytes: lines are shorter
_DELETIONS: Final = "synapse_bum_deletion_log"
_RECOVERY: Final = "synapse_bum_recovery_log"
_OPTIONS: Final = {
    _DELETIONS: ("synapse_bum.retention.RetentionModule", "deletion_log_path"),
    _RECOVERY: ("synapse_bum.recovery.RecoveryModule", "log_path"),
}
# The one row of each.
_WRITTEN: Final = {table: f"SELECT 1 FROM {table} WHERE known_bytes > 0" for table in _OPTIONS}  # noqa: S608 - ours


def logs_written(txn: OfflineTransaction, *, is_postgres: bool) -> frozenset[str]:
    """The tables of the logs to which something was written.

    Args:
        txn: in a transaction.
        is_postgres: what kind of database it is.
    """
    found = set()
    for table, query in _WRITTEN.items():
        if has_table(txn, table, is_postgres=is_postgres):
            txn.execute(query)
            if txn.fetchone() is not None:
                found.add(table)
    return frozenset(found)


def refuse_lost_logs(
    homeserver: Mapping[str, Any], written: frozenset[str], *, patience_s: float = _BEGUN_ANEW_S
) -> None:
    """Make sure that every log to which something was written is there, with something in it.

    Args:
        homeserver: homeserver.yaml.
        written: see `logs_written`.
        patience_s: for how long to wait for one that may just have been rotated, in seconds.

    Raises:
        BackupError: one is missing, or empty.
    """
    end = time.monotonic() + patience_s
    for module in homeserver.get("modules") or ():
        config = module.get("config") or {}
        for table in written:
            owner, option = _OPTIONS[table]
            if module.get("module") == owner and config.get(option):
                _refuse_lost(Path(config[option]), option, end)


def _refuse_lost(log: Path, option: str, end: float) -> None:
    while (how := _lack_of(log)) is not None:
        if time.monotonic() >= end:
            raise BackupError(
                f"`{option}`: {log} {how}, though the database says that it was written: without what stood in it a"
                " restored backup opens again what was closed. Is its disk mounted, was it emptied? If it was rotated"
                " while Synapse stood, start Synapse: what it says then helps"
            )
        time.sleep(1 / _LOOKS_PER_S)


def _lack_of(log: Path) -> str | None:
    if not log.is_file():
        return "is not there"
    return None if log.stat().st_size else "is empty"


def cut_to_whole_lines(log: Path) -> None:
    """Takes off the beginning of a line that was being written when a log was copied."""
    with log.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _LOOKED_AT)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            end = start
        file.truncate(0)
