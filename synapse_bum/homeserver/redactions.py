"""Redactions that Synapse has accepted for storing, as its table knows them.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/storage/databases/main/events.py` (`_store_redaction`),
`synapse/storage/databases/main/censor_events.py`.
"""

import attr
from synapse.storage.database import LoggingTransaction


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Redaction:
    """One row of the table.

    Attributes:
        event_id: of the redaction.
        redacts: of the event that it means, in the same room or not, known here or not.
        received_ts: when it was stored, in ms since the epoch, by the clock of the process that did.
    """

    event_id: str
    redacts: str
    received_ts: int


def local_redactions(
    txn: LoggingTransaction, own_name: str, since_ts: int, after: tuple[int, str], limit: int
) -> list[Redaction]:
    """Redactions by users of this server whose events still have their content, oldest first.

    A range of the partial index on `received_ts` of redactions that are not carried out on disk yet, which are those of
    the last week; one row of `events` by its unique index for each.

    Args:
        txn: a transaction.
        own_name: our server's name.
        since_ts: stored at this time or later.
        after: time and event id behind which to go on.
        limit: at most so many.
    """
    txn.execute(
        "SELECT r.event_id, r.redacts, r.received_ts FROM redactions AS r JOIN events AS e ON e.event_id = r.event_id"
        " WHERE NOT r.have_censored AND r.received_ts >= ? AND (r.received_ts, r.event_id) > (?, ?)"
        " AND e.sender LIKE ? AND e.rejection_reason IS NULL ORDER BY r.received_ts, r.event_id LIMIT ?",
        (max(since_ts, after[0]), *after, f"@%:{own_name}", limit),
    )
    return [Redaction(*row) for row in txn.fetchall()]
