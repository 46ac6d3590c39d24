"""What part of a backlog is files that everybody is refused already, while their bytes can't be removed."""

from collections.abc import Collection
from typing import Final

from synapse.module_api import ModuleApi

from synapse_bum.database import Database
from synapse_bum.deletion import journal
from synapse_bum.retention.classes import Backlog, RetentionClass

REMOVED_WITHIN_MS: Final = 600_000
"""What was planned so long ago should have been removed; what is younger is just on its way, unless it has failed."""


async def measure_unremoved(api: ModuleApi, database: Database, kind: RetentionClass) -> Backlog:
    """Measure the files of a class that were planned to be deleted, and whose bytes should be gone by now.

    Args:
        api: of the homeserver.
        database: with the journal of deletions.
        kind: which class.
    """
    until_ms = api.get_current_time_msec() - REMOVED_WITHIN_MS
    found = await database.run("synapse_bum_retention_unremoved", journal.overdue, kind.policy, until_ms)
    return Backlog(found.items, found.size_bytes, found.oldest_ts)


def summed(parts: Collection[Backlog]) -> Backlog:
    """Add up the parts of a backlog. Pure."""
    return Backlog(
        sum(part.items for part in parts),
        sum(part.size_bytes for part in parts),
        min((part.oldest_ts for part in parts if part.oldest_ts is not None), default=None),
    )
