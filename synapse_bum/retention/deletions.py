"""The record of what was deleted for auditors: files, whoever deleted them, and messages."""

from typing import Any

from synapse_bum import deletion
from synapse_bum.database import Cursor
from synapse_bum.retention.messages.purges import count_purges, list_purges


def list_deletions(txn: Cursor, offset: int, limit: int) -> tuple[list[dict[str, Any]], int]:
    """A page of deletions, newest first, and how many there are.

    Each record is read from the start of the list: a page far behind costs what lies before it.
    """
    files, total_files = deletion.list_deletions(txn, 0, offset + limit)
    purges = list_purges(txn, 0, offset + limit)
    found = [*(file.as_json() for file in files), *(purge.as_json() for purge in purges)]
    found.sort(key=lambda entry: entry["planned_ts"], reverse=True)
    return found[offset : offset + limit], total_files + count_purges(txn)
