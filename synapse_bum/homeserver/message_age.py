"""How old a message is: one rule, as a function and as SQL over a row `e` of `events`.

What this server received as it was sent is as old as its arrival, by our clock. What was fetched from the past
(Synapse gives that a negative stream ordering) is as old as its sender says, but never younger than its arrival.

Run on Synapse 1.133.0 and 1.163.2: tables `events` and `state_events`.
"""

from typing import Final

AGE_TS: Final = (
    "(CASE WHEN e.stream_ordering < 0 AND e.origin_server_ts < e.received_ts THEN e.origin_server_ts"
    " ELSE COALESCE(e.received_ts, e.origin_server_ts) END)"
)
"""SQL: the age timestamp of the row `e`, as `age_ts`."""

IS_MESSAGE: Final = "e.state_key IS NULL AND NOT EXISTS (SELECT 1 FROM state_events AS s WHERE s.event_id = e.event_id)"
"""SQL: whether the row `e` is no state event, rejected ones and outliers included; by the unique index on event_id.

Both are asked, because `events.state_key` of old rows was filled in later, in the background.
"""


def age_ts(stream_ordering: int, received_ts: int | None, origin_server_ts: int) -> int:
    """From when on a message counts.

    Args:
        stream_ordering: negative for events from the past.
        received_ts: when it was stored here, in ms since the epoch; None in rows of very old versions of Synapse.
        origin_server_ts: when its sender says it was sent.

    Returns:
        ms since the epoch; the message is expired when this is the cut-off or before it.
    """
    if received_ts is None:
        return origin_server_ts
    return min(origin_server_ts, received_ts) if stream_ordering < 0 else received_ts
