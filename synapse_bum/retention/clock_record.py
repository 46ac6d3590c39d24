"""The trusted clock between two looks at it: in memory while this process counts, in the database for the next one."""

from collections.abc import Callable
from typing import Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.database import Database
from synapse_bum.homeserver.clock_lags import CLOCK_LAGS_TABLE, ClockLag, last_stored_outside
from synapse_bum.homeserver.message_listing import stream_end
from synapse_bum.retention.clock_lags import Look
from synapse_bum.retention.tables import CLOCK_LAGS, RETENTION
from synapse_bum.retention.trusted_clock import TOLERANCE_MS, TrustedTime, advanced, believed, first_seen

STORE_EVERY_MS: Final = 60_000
"""How often it is written down. What a process counted after that is uncounted for the next one, and believed."""

# One row.
_READ: Final = "SELECT trusted_ts, wall_ts, doubted_since_ts FROM synapse_bum_retention_clock"
_WRITE: Final = (
    "INSERT INTO synapse_bum_retention_clock (only_row, trusted_ts, wall_ts, doubted_since_ts) VALUES (1, ?, ?, ?)"
    " ON CONFLICT (only_row) DO UPDATE SET trusted_ts = excluded.trusted_ts, wall_ts = excluded.wall_ts,"
    " doubted_since_ts = excluded.doubted_since_ts"
)
# The newest of a few rows, by primary key.
_LAST_LAG: Final = (
    "SELECT id, wall_from_ts, wall_to_ts, trusted_to_ts, stream_from, stream_to"  # noqa: S608
    f" FROM {CLOCK_LAGS_TABLE} ORDER BY id DESC LIMIT 1"
)
_PUT_LAG: Final = (
    f"INSERT INTO {CLOCK_LAGS_TABLE} (id, wall_from_ts, wall_to_ts, trusted_to_ts, stream_from, stream_to)"  # noqa: S608
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET wall_to_ts = excluded.wall_to_ts,"
    " trusted_to_ts = excluded.trusted_to_ts, stream_to = excluded.stream_to"
)


class ClockRecord:
    """The clock of the process that holds the lease of the runs."""

    def __init__(self, database: Database, wall_ms: Callable[[], int], monotonic_ms: Callable[[], float]) -> None:
        for component in (RETENTION, CLOCK_LAGS):
            database.add(component)
        self._database = database
        self._wall_ms = wall_ms
        self.monotonic_ms = monotonic_ms
        self._known: tuple[TrustedTime, float] | None = None
        self._stored_ms = float("-inf")

    def forget(self) -> None:
        """Forget what is in memory: another process may have gone on meanwhile."""
        self._known = None

    async def look(self) -> TrustedTime:
        """The time now, written down once a minute and whenever doubt begins or ends; and with it any lag."""
        monotonic_ms, wall_ms = self.monotonic_ms(), self._wall_ms()
        if self._known is None:
            before = await self._database.run("synapse_bum_retention_read_clock", read_clock)
            now = first_seen(wall_ms) if before is None else advanced(before, wall_ms, 0)
            look = Look(before, now, counted_ms=None)
        else:
            before, counted_from_ms = self._known
            counted_ms = round(monotonic_ms - counted_from_ms)
            now = advanced(before, wall_ms, counted_ms)
            look = Look(before, now, counted_ms)
        if look.is_to_be_kept or self._known is None or monotonic_ms - self._stored_ms >= STORE_EVERY_MS:
            await self._database.run("synapse_bum_retention_write_clock", write_look, look)
            self._stored_ms = monotonic_ms
        self._known = now, monotonic_ms
        return now

    async def believe(self) -> None:
        """Take the system clock for right from now on: an operator says so."""
        before = await self.look()
        now = believed(attr.evolve(before, wall_ms=self._wall_ms()))
        await self._database.run("synapse_bum_retention_write_clock", write_look, Look(before, now, counted_ms=0))
        self._known = now, self.monotonic_ms()


def read_clock(txn: LoggingTransaction) -> TrustedTime | None:
    """Reads what was written down; None on a server that has no clock yet."""
    txn.execute(_READ)
    row = txn.fetchone()
    return None if row is None else TrustedTime(*row)


def write_clock(txn: LoggingTransaction, time: TrustedTime) -> None:
    """Writes the clock down."""
    txn.execute(_WRITE, attr.astuple(time))


def write_look(txn: LoggingTransaction, look: Look) -> None:
    """Writes the clock down, and since when the system clock is behind."""
    write_clock(txn, look.now)
    if not look.was_behind and not look.begins:
        return
    txn.execute(_LAST_LAG)
    row = txn.fetchone()
    lag_id = row[0] if row else 0
    end = stream_end(txn)
    if look.was_behind and row is not None:
        # The clock and its lags are written together, so that the last one is the open one.
        _put_lag(txn, lag_id, look.continued(ClockLag(*row[1:]), end))
    if look.begins:
        stream_from = last_stored_outside(txn, look.begins_ts, look.now.wall_ms + TOLERANCE_MS)
        _put_lag(txn, lag_id + 1, look.begun(stream_from, end))


def _put_lag(txn: LoggingTransaction, lag_id: int, lag: ClockLag) -> None:
    txn.execute(_PUT_LAG, (lag_id, *attr.astuple(lag)))


def time_now(txn: LoggingTransaction, wall_ms: int) -> int | None:
    """The time to decide by, for a process that does not carry out runs: never later than what the runs go by.

    Returns:
        ms since the epoch; None when no clock was written down yet.
    """
    before = read_clock(txn)
    return None if before is None else advanced(before, wall_ms, 0).now_ms
