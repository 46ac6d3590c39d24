"""One change after the other: of outages, results of probes and announcements."""

from typing import Final

from synapse_bum.database import Cursor

# One row.
_TAKE: Final = "UPDATE synapse_bum_availability_turn SET turns = turns + 1"


def take_turn(txn: Cursor) -> None:
    """Waits for the change before, and keeps others waiting until the commit; before anything else is read."""
    txn.execute(_TAKE)
