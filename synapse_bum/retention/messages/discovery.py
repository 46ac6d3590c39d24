"""Finding the rooms that have expired messages, at the cost of what is new since the last time.

Upwards along the stream a mark follows the cut-off: what lies between the two is read in each run. The mark stays a
day behind, because the times along the stream do not quite grow. Downwards, where events from the past are, each room
is noted with the age of its oldest message, and becomes due when the cut-off gets there. Once a week, and when an
operator wants it thorough, both begin again at zero, and upwards everything is read to the end: where a clock once ran
ahead, or rows were restored, the times along the stream do not grow.
"""

from typing import Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.database import Database, Lease
from synapse_bum.homeserver import message_listing
from synapse_bum.retention.messages.candidates import Mark, note_rooms, read_mark, set_mark
from synapse_bum.retention.messages.tables import EMPTIED

PAGE: Final = 5_000
"""Events that one transaction reads."""

HOUR_MS: Final = 60 * 60 * 1000
DAY_MS: Final = 24 * HOUR_MS
REDISCOVERY_MS: Final = 7 * DAY_MS

SHORT: Final = 50_000
"""Positions; a stream that has no more is read as a whole, and needs no order of times: 0.1 s."""

OVERLAP: Final = 1_000
"""Positions of the past that are read again: transactions that began earlier may have ended later."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Reach:
    """Positions of the stream that belong to a cut-off.

    Attributes:
        cutoff_ts: ms since the epoch.
        behind: up to here the mark may go.
        upto: up to here something may be expired.
    """

    cutoff_ts: int
    behind: int
    upto: int


def read_reach(txn: LoggingTransaction, cutoff_ts: int) -> Reach:
    """Find the positions; about 80 lookups in the unique index on `stream_ordering`."""
    end = message_listing.stream_end(txn)
    if end <= SHORT:
        return Reach(cutoff_ts, behind=0, upto=end)
    return Reach(
        cutoff_ts,
        behind=message_listing.position_at(txn, cutoff_ts - DAY_MS),
        upto=message_listing.position_at(txn, cutoff_ts + HOUR_MS),
    )


async def discover(database: Database, reach: Reach, lease: Lease, now_ms: int, *, thorough: bool) -> Reach:
    """Bring the candidates up to date, page by page; what was found is kept when the lease ends.

    Args:
        database: with our tables.
        reach: of the run.
        lease: ends the work when it is lost.
        now_ms: the present.
        thorough: whether to begin at zero, and to go to the end.

    Returns:
        The reach of the run: to the end of the stream where everything was read.
    """
    if await database.run("synapse_bum_rediscover_messages", _rediscover_if_due, now_ms, thorough=thorough):
        end = await database.run("synapse_bum_discover_messages", message_listing.stream_end)
        reach = attr.evolve(reach, upto=end)
    at = await database.run("synapse_bum_discover_messages", read_mark, Mark.FORWARD) or 0
    while lease.held and at < reach.upto:
        at = await database.run("synapse_bum_discover_messages", _page_upwards, at, reach)
    mark = await database.run("synapse_bum_discover_messages", read_mark, Mark.BACKWARD) or 0
    before: int | None = min(0, mark + OVERLAP)
    while lease.held and before is not None:
        before = await database.run("synapse_bum_discover_messages", _page_downwards, before)
    return reach


def _rediscover_if_due(txn: LoggingTransaction, now_ms: int, *, thorough: bool) -> bool:
    last_ts = read_mark(txn, Mark.REDISCOVERED_TS)
    due = thorough or last_ts is None or not last_ts <= now_ms < last_ts + REDISCOVERY_MS
    if due:
        set_mark(txn, Mark.FORWARD, 0)
        set_mark(txn, Mark.BACKWARD, 0)
        set_mark(txn, Mark.REDISCOVERED_TS, now_ms)
    return due


def _page_upwards(txn: LoggingTransaction, at: int, reach: Reach) -> int:
    end = message_listing.page_end(txn, at, reach.upto, PAGE)
    if end is None:
        end = reach.upto
    else:
        rooms = message_listing.rooms_in_range(txn, at + 1, end, emptied=EMPTIED, cutoff_ts=reach.cutoff_ts)
        note_rooms(txn, rooms)
    set_mark(txn, Mark.FORWARD, max(read_mark(txn, Mark.FORWARD) or 0, min(end, reach.behind)))
    return end


def _page_downwards(txn: LoggingTransaction, before: int) -> int | None:
    low = message_listing.page_end_downwards(txn, before, PAGE)
    if low is None:
        return None
    note_rooms(txn, message_listing.rooms_in_range(txn, low, before - 1, emptied=EMPTIED, cutoff_ts=None))
    set_mark(txn, Mark.BACKWARD, min(read_mark(txn, Mark.BACKWARD) or 0, low))
    return low
