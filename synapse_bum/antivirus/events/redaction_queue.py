"""The queue of redactions whose files may have to go: written first, worked off afterwards, so that none gets lost.

It follows Synapse's table of redactions by the time of storing, with an overlap: clocks of processes differ, and what
was stored earlier may be committed later. What was worked off is remembered as long as the overlap may find it again.
"""

from typing import Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.database import Cursor
from synapse_bum.homeserver.redactions import Redaction, local_redactions

OVERLAP_MS: Final = 300_000
"""How far behind the last look redactions are looked for once more."""

NOTED_EVERY_MS: Final = 60_000
"""How often it is written down how far we came."""

PAGE: Final = 500
"""Redactions that are read in one query."""

FIRST_RETRY_MS: Final = 10_000
LAST_RETRY_MS: Final = 3_600_000


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Queued:
    """A redaction that is not worked off.

    Attributes:
        redaction: as Synapse stored it.
        attempts: that failed.
    """

    redaction: Redaction
    attempts: int


def retry_after_ms(attempts: int) -> int:
    """How long to wait after a failure: ten seconds at first, an hour in the end.

    Args:
        attempts: that have failed before this one.
    """
    return min(FIRST_RETRY_MS << min(attempts, 20), LAST_RETRY_MS)


def follow(txn: LoggingTransaction, own_name: str, now_ms: int) -> None:
    """Queue the redactions by local users that came since the last time; the very first time, none.

    Args:
        txn: in a transaction, under the duty's lease; the last minutes' range of an index, and the whole queue, which
            holds as much.
        own_name: our server's name.
        now_ms: ms since the epoch.
    """
    txn.execute("SELECT looked_ts FROM synapse_bum_antivirus_redactions_seen")
    row = txn.fetchone()
    if row is None:
        txn.execute(
            "INSERT INTO synapse_bum_antivirus_redactions_seen (only_row, looked_ts) VALUES (1, ?)",
            (now_ms + OVERLAP_MS,),
        )
        return
    since_ts = row[0] - OVERLAP_MS
    txn.execute("SELECT event_id FROM synapse_bum_antivirus_redactions")
    known = {event_id for (event_id,) in txn.fetchall()}
    after = (since_ts, "")
    while True:
        page = local_redactions(txn, own_name, since_ts, after, PAGE)
        for redaction in page:
            if redaction.event_id not in known:
                txn.execute(
                    "INSERT INTO synapse_bum_antivirus_redactions (event_id, redacts, received_ts) VALUES (?, ?, ?)",
                    attr.astuple(redaction),
                )
        if len(page) < PAGE:
            break
        after = (page[-1].received_ts, page[-1].event_id)
    if now_ms - row[0] >= NOTED_EVERY_MS:
        txn.execute("UPDATE synapse_bum_antivirus_redactions_seen SET looked_ts = ?", (now_ms,))
        txn.execute(
            "DELETE FROM synapse_bum_antivirus_redactions WHERE next_try_ts IS NULL AND received_ts < ?", (since_ts,)
        )


def stop_following(txn: Cursor) -> None:
    """Forget how far we came: redactions count again from the next `follow` on."""
    txn.execute("DELETE FROM synapse_bum_antivirus_redactions_seen")
    txn.execute("DELETE FROM synapse_bum_antivirus_redactions")


def due(txn: Cursor, now_ms: int, limit: int) -> list[Queued]:
    """What waits and may be tried, a range of the partial index of open redactions."""
    txn.execute(
        "SELECT event_id, redacts, received_ts, attempts FROM synapse_bum_antivirus_redactions"
        " WHERE next_try_ts <= ? ORDER BY next_try_ts LIMIT ?",
        (now_ms, limit),
    )
    return [Queued(Redaction(*row[:3]), row[3]) for row in txn.fetchall()]


def finish(txn: Cursor, event_id: str) -> None:
    """A redaction is worked off, by primary key."""
    txn.execute("UPDATE synapse_bum_antivirus_redactions SET next_try_ts = NULL WHERE event_id = ?", (event_id,))


def put_off(txn: Cursor, queued: Queued, now_ms: int) -> None:
    """Try a redaction again later, by primary key."""
    txn.execute(
        "UPDATE synapse_bum_antivirus_redactions SET next_try_ts = ?, attempts = attempts + 1 WHERE event_id = ?"
        " AND next_try_ts IS NOT NULL",
        (now_ms + retry_after_ms(queued.attempts), queued.redaction.event_id),
    )
