"""Finding the rooms that have expired messages, at the cost of what is new since the last time.

Upwards along the stream a mark follows the cut-off: what lies between the two is read in each run. The mark stays a
day behind, because the times along the stream do not quite grow. Downwards, where events from the past are, each room
is noted with the age of its oldest message, and becomes due when the cut-off gets there. Once a week, and when an
operator wants it thorough, both begin again at zero, and upwards everything is read to the end: where a clock once ran
ahead, or rows were restored, the times along the stream do not grow. What is cut off of that the next run does.
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

EMPTIED_PAGE: Final = 1_000
"""Emptied messages that one transaction looks at."""

_TO_READ: Final = 1
"""Value of the mark REDISCOVERING: the stream has to be read to its end."""
_TO_DELETE: Final = 2
"""It was read, but no run has gone through the rooms that were found since."""

# By primary key.
_DROP_EMPTIED: Final = f"DELETE FROM {EMPTIED} WHERE room_id = ? AND event_id = ?"  # noqa: S608

OVERLAP: Final = 1_000
"""Positions of the past that are read again: transactions that began earlier may have ended later."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Reach:
    """Positions of the stream that belong to a cut-off.

    Attributes:
        cutoff_ts: ms since the epoch.
        behind: up to here the mark may go.
        near: up to here something may be expired, where the times grow.
        upto: up to here something may be expired; the end, as long as a run owes something to a discovery from zero.
    """

    cutoff_ts: int
    behind: int
    near: int
    upto: int


def read_reach(txn: LoggingTransaction, cutoff_ts: int) -> Reach:
    """Find the positions; about 80 lookups in the unique index on `stream_ordering`."""
    end = message_listing.stream_end(txn)
    if end <= SHORT:
        return Reach(cutoff_ts, behind=0, near=end, upto=end)
    near = message_listing.position_at(txn, cutoff_ts + HOUR_MS)
    return Reach(
        cutoff_ts,
        behind=message_listing.position_at(txn, cutoff_ts - DAY_MS),
        near=near,
        upto=end if read_mark(txn, Mark.REDISCOVERING) else near,
    )


def read_forward(txn: LoggingTransaction, reach: Reach) -> int:
    """From where on the stream is to be read.

    An earlier run may have had a later cut-off, one that nobody confirmed for example: what it has read is not known.
    """
    return min(read_mark(txn, Mark.FORWARD) or 0, reach.behind)


async def discover(database: Database, cutoff_ts: int, lease: Lease, now_ms: int, *, thorough: bool) -> Reach:
    """Bring the candidates up to date, page by page; what was found is kept when the lease ends.

    Args:
        database: with our tables.
        cutoff_ts: of the run.
        lease: ends the work when it is lost.
        now_ms: the present.
        thorough: whether to begin at zero, and to go to the end.

    Returns:
        The reach of the run: to the end of the stream where everything was read.
    """
    rediscovering = await database.run("synapse_bum_rediscover_messages", _rediscover_if_due, now_ms, thorough=thorough)
    reach = await database.run("synapse_bum_message_reach", read_reach, cutoff_ts)
    at = await database.run("synapse_bum_discover_messages", _begin, reach)
    upto = reach.upto if rediscovering else reach.near
    while lease.held and at < upto:
        at = await database.run("synapse_bum_discover_messages", _page_upwards, at, upto, reach)
    mark = await database.run("synapse_bum_discover_messages", read_mark, Mark.BACKWARD) or 0
    before: int | None = min(0, mark + OVERLAP)
    while lease.held and before is not None:
        before = await database.run("synapse_bum_discover_messages", _page_downwards, before)
    after: tuple[str, str] | None = ("", "") if rediscovering else None
    while lease.held and after is not None:
        after = await database.run("synapse_bum_forget_emptied_messages", _forget_emptied, after)
    if rediscovering and lease.held:
        await database.run("synapse_bum_rediscover_messages", set_mark, Mark.REDISCOVERING, _TO_DELETE)
    return reach


def end_rediscovery(txn: LoggingTransaction) -> None:
    """A run has gone through all rooms that were found; what failed in one is found again when a week is over."""
    if read_mark(txn, Mark.REDISCOVERING) == _TO_DELETE:
        set_mark(txn, Mark.REDISCOVERING, 0)


def _begin(txn: LoggingTransaction, reach: Reach) -> int:
    at = read_forward(txn, reach)
    set_mark(txn, Mark.FORWARD, at)
    return at


def _rediscover_if_due(txn: LoggingTransaction, now_ms: int, *, thorough: bool) -> bool:
    last_ts = read_mark(txn, Mark.REDISCOVERED_TS)
    due = thorough or last_ts is None or not last_ts <= now_ms < last_ts + REDISCOVERY_MS
    if due:
        set_mark(txn, Mark.FORWARD, 0)
        set_mark(txn, Mark.BACKWARD, 0)
        set_mark(txn, Mark.REDISCOVERED_TS, now_ms)
        set_mark(txn, Mark.REDISCOVERING, _TO_READ)
    return due or read_mark(txn, Mark.REDISCOVERING) == _TO_READ


def _page_upwards(txn: LoggingTransaction, at: int, upto: int, reach: Reach) -> int:
    end = message_listing.page_end(txn, at, upto, PAGE)
    if end is None:
        end = upto
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


def _forget_emptied(txn: LoggingTransaction, after: tuple[str, str]) -> tuple[str, str] | None:
    """Drop rows of messages that somebody else has purged since."""
    page = message_listing.emptied_page(txn, after, EMPTIED_PAGE, emptied=EMPTIED)
    txn.execute_batch(_DROP_EMPTIED, [(room_id, event_id) for room_id, event_id, is_there in page if not is_there])
    return page[-1][:2] if page else None
