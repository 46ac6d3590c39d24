"""The trusted clock between two looks at it: in memory while this process counts, in the database for the next one."""

from collections.abc import Callable
from typing import Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.database import Database
from synapse_bum.retention.trusted_clock import TrustedTime, advanced, believed, first_seen

STORE_EVERY_MS: Final = 60_000
"""How often it is written down. What a process counted after that is uncounted for the next one, and believed."""

# One row.
_READ: Final = "SELECT trusted_ts, wall_ts, doubted_since_ts FROM synapse_bum_retention_clock"
_WRITE: Final = (
    "INSERT INTO synapse_bum_retention_clock (only_row, trusted_ts, wall_ts, doubted_since_ts) VALUES (1, ?, ?, ?)"
    " ON CONFLICT (only_row) DO UPDATE SET trusted_ts = excluded.trusted_ts, wall_ts = excluded.wall_ts,"
    " doubted_since_ts = excluded.doubted_since_ts"
)


class ClockRecord:
    """The clock of the process that holds the lease of the runs."""

    def __init__(self, database: Database, wall_ms: Callable[[], int], monotonic_ms: Callable[[], float]) -> None:
        self._database = database
        self._wall_ms = wall_ms
        self.monotonic_ms = monotonic_ms
        self._known: tuple[TrustedTime, float] | None = None
        self._stored_ms = float("-inf")

    def forget(self) -> None:
        """Forget what is in memory: another process may have gone on meanwhile."""
        self._known = None

    async def look(self) -> TrustedTime:
        """The time now, written down once a minute and whenever doubt begins or ends."""
        monotonic_ms, wall_ms = self.monotonic_ms(), self._wall_ms()
        if self._known is None:
            before = await self._database.run("synapse_bum_retention_read_clock", read_clock)
            now = first_seen(wall_ms) if before is None else advanced(before, wall_ms, 0)
        else:
            before, counted_from_ms = self._known
            now = advanced(before, wall_ms, round(monotonic_ms - counted_from_ms))
        changed = before is None or before.is_doubted != now.is_doubted
        if changed or self._known is None or monotonic_ms - self._stored_ms >= STORE_EVERY_MS:
            await self._database.run("synapse_bum_retention_write_clock", write_clock, now)
            self._stored_ms = monotonic_ms
        self._known = now, monotonic_ms
        return now

    async def believe(self) -> None:
        """Take the system clock for right from now on: an operator says so."""
        now = believed(attr.evolve(await self.look(), wall_ms=self._wall_ms()))
        await self._database.run("synapse_bum_retention_write_clock", write_clock, now)
        self._known = now, self.monotonic_ms()


def read_clock(txn: LoggingTransaction) -> TrustedTime | None:
    """Reads what was written down; None on a server that has no clock yet."""
    txn.execute(_READ)
    row = txn.fetchone()
    return None if row is None else TrustedTime(*row)


def write_clock(txn: LoggingTransaction, time: TrustedTime) -> None:
    """Writes the clock down."""
    txn.execute(_WRITE, attr.astuple(time))


def time_now(txn: LoggingTransaction, wall_ms: int) -> int | None:
    """The time to decide by, for a process that does not carry out runs: never later than what the runs go by.

    Returns:
        ms since the epoch; None when no clock was written down yet.
    """
    before = read_clock(txn)
    return None if before is None else advanced(before, wall_ms, 0).now_ms
