"""Times when the system clock was behind, and when that really came which Synapse stored with such a time.

While the system clock is a year behind, Synapse stores new messages and files as a year old. Once it is right again
they would be expired, minutes after they came. So it is written down from when to when the system clock was behind, and
what was stored with a time of then counts from the correction on. Old files that really are of that earlier time can't
be told from them, and are kept longer too; messages can, by their positions in the stream.

The table nearly always is empty, and otherwise has few rows: each query reads all of it for each row that it is asked
about.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: table `events` with its unique index on
`stream_ordering`, `received_ts` being the system clock's; `created_ts` of `local_media_repository` and
`remote_media_cache`.
"""

from typing import Final

import attr
from synapse.storage.database import LoggingTransaction

CLOCK_LAGS_TABLE: Final = "synapse_bum_retention_clock_lags"
"""Has the columns of `ClockLag`, and `id`."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ClockLag:
    """A time when the system clock was behind; all in ms since the epoch, both ends included unless said otherwise.

    Attributes:
        wall_from_ts: what the system clock said when it began.
        wall_to_ts: what the system clock said when it ended, or last.
        trusted_to_ts: what the time really was then.
        stream_from: the events of this time have positions in the stream that are greater than this,
        stream_to: and not greater than this.
    """

    wall_from_ts: int
    wall_to_ts: int
    trusted_to_ts: int
    stream_from: int
    stream_to: int

    def has_event(self, stream_ordering: int, received_ts: int) -> bool:
        """Whether an event was stored in this time; those from the past have positions that tell nothing."""
        if stream_ordering < 0:
            return self.has_moment(received_ts)
        return self.stream_from < stream_ordering <= self.stream_to

    def has_moment(self, ts: int) -> bool:
        """Whether something with this time may have been stored in this time."""
        return self.wall_from_ts <= ts <= self.wall_to_ts


def _corrected(ts: str, is_in_lag: str) -> str:
    return (
        f"COALESCE((SELECT max(l.trusted_to_ts) FROM {CLOCK_LAGS_TABLE} AS l"  # noqa: S608
        f" WHERE l.trusted_to_ts > {ts} AND {is_in_lag}), {ts})"
    )


EVENT_CAME_TS: Final = _corrected(
    "e.received_ts",
    "(l.stream_from < e.stream_ordering AND e.stream_ordering <= l.stream_to"
    " OR e.stream_ordering < 0 AND l.wall_from_ts <= e.received_ts AND e.received_ts <= l.wall_to_ts)",
)
"""SQL: when the row `e` of `events` was stored here at the latest; null in rows of very old versions of Synapse."""


def file_came_ts(row: str) -> str:
    """SQL: when a file was stored here at the latest.

    Args:
        row: name of a row of `local_media_repository` or `remote_media_cache`.
    """
    ts = f"{row}.created_ts"
    return _corrected(ts, f"l.wall_from_ts <= {ts} AND {ts} <= l.wall_to_ts")


def last_stored_outside(txn: LoggingTransaction, from_ts: int, to_ts: int) -> int:
    """The last position upwards whose event was stored at a time outside a range; 0 when there is none.

    Reads the unique index on `stream_ordering` from its end, and every event until then.

    Args:
        txn: a transaction.
        from_ts: begin of the range, in ms since the epoch.
        to_ts: its end.
    """
    txn.execute(
        "SELECT stream_ordering FROM events WHERE stream_ordering > 0 AND (received_ts < ? OR received_ts > ?)"
        " ORDER BY stream_ordering DESC LIMIT 1",
        (from_ts, to_ts),
    )
    row = txn.fetchone()
    return row[0] if row else 0
