"""Which request secret the processes have: its public key is written down, so that none starts with another one.

Clients encrypt for the key that one process told them, and another may have to decrypt. A process that comes with a new
secret changes it for all: from then on the one before is accepted for `ACCEPTED_MS`, which is the time to start the
other processes with the new one. A third secret within that time, and one of before, are no change but a mistake.

Decisions are pure. No private key is stored here.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

import attr

from synapse_bum.database.schema import Cursor

ACCEPTED_MS: Final = 86_400_000
"""For so long the secret of before may be used."""

# The whole table: one row for each secret that there ever was.
_SELECT: Final = "SELECT public_key, replaced_ts FROM synapse_bum_antivirus_request_keys"
# By primary key.
_INSERT: Final = (
    "INSERT INTO synapse_bum_antivirus_request_keys (public_key, pinned_ts, replaced_ts) VALUES (?, ?, NULL)"
)
# The whole table.
_REPLACE: Final = "UPDATE synapse_bum_antivirus_request_keys SET replaced_ts = ? WHERE replaced_ts IS NULL"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Pins:
    """The public keys that were written down.

    Attributes:
        current: the one in use; None while there is none.
        replaced_ts: when each of the others was replaced, ms since the epoch.
    """

    current: str | None
    replaced_ts: Mapping[str, int]

    def changed_until(self, now_ms: int) -> int | None:
        """Until when the secret of before is accepted; None when no change is under way."""
        last = max(self.replaced_ts.values(), default=None)
        return None if last is None or now_ms >= last + ACCEPTED_MS else last + ACCEPTED_MS


class Standing(Enum):
    """What a process with some key is."""

    CURRENT = "current"
    """It has the key that all have."""
    NEW = "new"
    """It changes the key for all."""
    PREVIOUS = "previous"
    """It has the one of before, and still may."""
    REFUSED = "refused"
    """It has another one than all others."""


def standing(public_key: str, pins: Pins, now_ms: int) -> Standing:
    """Decide about a process. Pure.

    Args:
        public_key: of its request secret.
        pins: as they are in the database.
        now_ms: the time that it is, ms since the epoch.
    """
    if public_key == pins.current:
        return Standing.CURRENT
    replaced_ts = pins.replaced_ts.get(public_key)
    if replaced_ts is not None:
        return Standing.PREVIOUS if now_ms < replaced_ts + ACCEPTED_MS else Standing.REFUSED
    return Standing.NEW if pins.current is None or pins.changed_until(now_ms) is None else Standing.REFUSED


def read_pins(txn: Cursor) -> Pins:
    """Read what is written down."""
    txn.execute(_SELECT)
    rows = [(str(public_key), replaced_ts) for public_key, replaced_ts in txn.fetchall()]
    current = next((public_key for public_key, replaced_ts in rows if replaced_ts is None), None)
    return Pins(current, {public_key: int(ts) for public_key, ts in rows if ts is not None})


def pin(txn: Cursor, public_key: str, now_ms: int) -> tuple[Standing, Pins]:
    """Write a new key down; the caller holds a lock, so that two processes don't at once.

    Args:
        txn: in a transaction.
        public_key: of this process.
        now_ms: the time that it is.

    Returns:
        What this process is, and what was written down before.
    """
    pins = read_pins(txn)
    found = standing(public_key, pins, now_ms)
    if found is Standing.NEW:
        txn.execute(_REPLACE, (now_ms,))
        txn.execute(_INSERT, (public_key, now_ms))
    return found, pins
