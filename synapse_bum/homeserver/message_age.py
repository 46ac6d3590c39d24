"""How old a message is: one rule, as a function and as SQL over a row `e` of `events`.

What this server received as it was sent is as old as its arrival, by our clock. What was fetched from the past
(Synapse gives that a negative stream ordering) is as old as its sender says, but never younger than its arrival. What
arrived while our clock was behind has arrived when that ended (`clock_lags.py`).

Run on Synapse 1.133.0 and 1.163.2: tables `events` and `state_events`.
"""

from collections.abc import Iterable
from typing import Final

from synapse_bum.homeserver.clock_lags import EVENT_CAME_TS, ClockLag

AGE_TS: Final = (
    f"(CASE WHEN e.stream_ordering < 0 AND e.origin_server_ts < {EVENT_CAME_TS} THEN e.origin_server_ts"
    f" ELSE COALESCE({EVENT_CAME_TS}, e.origin_server_ts) END)"
)
"""SQL: the age timestamp of the row `e`, as `age_ts`; `CLOCK_LAGS_TABLE` has to be there."""

IS_MESSAGE: Final = "e.state_key IS NULL AND NOT EXISTS (SELECT 1 FROM state_events AS s WHERE s.event_id = e.event_id)"
"""SQL: whether the row `e` is no state event, rejected ones and outliers included; by the unique index on event_id.

Both are asked, because `events.state_key` of old rows was filled in later, in the background.
"""


def age_ts(stream_ordering: int, received_ts: int | None, origin_server_ts: int, lags: Iterable[ClockLag] = ()) -> int:
    """From when on a message counts.

    Args:
        stream_ordering: negative for events from the past.
        received_ts: when it was stored here, in ms since the epoch; None in rows of very old versions of Synapse.
        origin_server_ts: when its sender says it was sent.
        lags: when our clock was behind.

    Returns:
        ms since the epoch; the message is expired when this is the cut-off or before it.
    """
    if received_ts is None:
        return origin_server_ts
    ends = [lag.trusted_to_ts for lag in lags if lag.has_event(stream_ordering, received_ts)]
    came_ts = max([received_ts, *ends])
    return min(origin_server_ts, came_ts) if stream_ordering < 0 else came_ts
