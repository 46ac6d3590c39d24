"""Results of probes and their table: what was tried once a minute, and how it went."""

from enum import Enum
from typing import Any, Final

import attr

from synapse_bum.availability.calculation import MINUTE_MS, Span
from synapse_bum.availability.measuring import Slices
from synapse_bum.database import Cursor

MAX_CLOCK_OFFSET_MS: Final = 30_000
"""A clock that is further off says nothing about the minute in which something was tried."""

_END_OF_TIME_MS: Final = 2**53

_COLUMNS: Final = "probe_id, ts, state, step, error, direct_ms, group_ms, clock_offset_ms, received_ts"

# By primary key. A result that was delivered before stays as it is.
_ADD: Final = (
    f"INSERT INTO synapse_bum_availability_probes ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
    " ON CONFLICT (probe_id) DO NOTHING"
)
# By the index on `state` and `ts`: the entry beside the place.
_GOOD_BEFORE: Final = "SELECT MAX(ts) FROM synapse_bum_availability_probes WHERE state = 'ok' AND ts < ?"
_GOOD_AFTER: Final = "SELECT MIN(ts) FROM synapse_bum_availability_probes WHERE state = 'ok' AND ts >= ?"
# By the index on `ts`: its first entry.
_OLDEST: Final = "SELECT MIN(ts) FROM synapse_bum_availability_probes"
# By the index on `state` and `ts`: the results between two good ones, which are those of an outage: 1,440 a day.
_BETWEEN: Final = (
    "SELECT ts, state FROM synapse_bum_availability_probes WHERE state IN ('ok', 'failed') AND ts >= ? AND ts < ?"
)
# By the index on `ts`: 44,640 rows a month, 0.1 s.
_MINUTES: Final = (
    "SELECT DISTINCT ts / ? FROM synapse_bum_availability_probes WHERE ts >= ? AND ts < ? AND state IN ('ok', 'failed')"
)
# By the index on `ts`, from its end; the offset is walked.
_PAGE: Final = f"SELECT {_COLUMNS} FROM synapse_bum_availability_probes ORDER BY ts DESC, probe_id LIMIT ? OFFSET ?"  # noqa: S608
# The whole table: half a million rows at most, 0.1 s; asked by administrators only.
_COUNT: Final = "SELECT COUNT(*) FROM synapse_bum_availability_probes"
# By the index on `state` and `ts`: one entry for each state.
_LAST: Final = "SELECT MAX(ts) FROM synapse_bum_availability_probes WHERE state = ?"
# By the index on `ts`: what has become too old since the last turn.
_FORGET: Final = "DELETE FROM synapse_bum_availability_probes WHERE ts < ?"


class ProbeState(Enum):
    """How a result counts."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The probe could not tell, because of something of its own: its account, its network. It counts nowhere."""
    CLOCK_WRONG = "clock_wrong"
    """The clock of the probe was wrong. It counts nowhere."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ProbeResult:
    """One try.

    Attributes:
        probe_id: made by the probe; a result is delivered twice where an answer got lost.
        ts: when it began, by the probe's clock, ms since the epoch.
        state: how it went.
        step: what failed; None when nothing did.
        error: how, in a few words; None when nothing did.
        direct_ms: from sending to receiving in the room of two, None when it did not come so far.
        group_ms: the same in the group.
        clock_offset_ms: how far the probe's clock was ahead of the server's; None when nobody knows.
        received_ts: when it was delivered, ms since the epoch.
    """

    probe_id: str
    ts: int
    state: ProbeState
    step: str | None
    error: str | None
    direct_ms: int | None
    group_ms: int | None
    clock_offset_ms: int | None
    received_ts: int

    def as_json(self) -> dict[str, Any]:
        """Returns it as the API shows it."""
        return attr.asdict(self) | {"state": self.state.value}


def add(txn: Cursor, result: ProbeResult) -> bool:
    """Writes a result; False when it is known already."""
    txn.execute(_ADD, tuple(result.as_json().values()))
    return txn.rowcount == 1


def results_around(txn: Cursor, begin_ms: int, end_ms: int, slices: Slices) -> tuple[Span, list[tuple[int, bool]]]:
    """Reads all results that decide about outages with a moment in a span.

    Args:
        txn: in a transaction.
        begin_ms: first moment, ms since the epoch.
        end_ms: the first one behind it.
        slices: how time is cut. No outage reaches over a good slice.

    Returns:
        the span from the last good slice before to the first good one behind, and its results: when, and whether all
        was well.
    """
    before = _number(txn, _GOOD_BEFORE, slices.begin_of(begin_ms))
    if before is None:
        before = _number(txn, _OLDEST)
    after = _number(txn, _GOOD_AFTER, end_ms)
    span = Span(
        slices.begin_of(begin_ms if before is None else before),
        _END_OF_TIME_MS if after is None else slices.begin_of(after) + slices.length_ms,
    )
    txn.execute(_BETWEEN, (span.begin_ms, span.end_ms))
    return span, [(ts, state == ProbeState.OK.value) for ts, state in txn.fetchall()]


def measured_minutes(txn: Cursor, span: Span) -> list[int]:
    """Reads in which minutes of a span there was a result that counts, as minutes since the epoch."""
    txn.execute(_MINUTES, (MINUTE_MS, span.begin_ms, span.end_ms))
    return [int(minute) for (minute,) in txn.fetchall()]


def read_page(txn: Cursor, offset: int, limit: int) -> tuple[list[ProbeResult], int]:
    """Reads a page, newest first, and how many there are."""
    txn.execute(_PAGE, (limit, offset))
    found = [_result(row) for row in txn.fetchall()]
    txn.execute(_COUNT)
    row = txn.fetchone()
    return found, row[0] if row else 0


def last_counted_ts(txn: Cursor) -> int | None:
    """When the last result was tried that counts, ms since the epoch."""
    found = [_number(txn, _LAST, state.value) for state in (ProbeState.OK, ProbeState.FAILED)]
    return max((ts for ts in found if ts is not None), default=None)


def forget_before(txn: Cursor, ts_ms: int) -> int:
    """Forgets old results; returns how many."""
    txn.execute(_FORGET, (ts_ms,))
    return txn.rowcount


def _number(txn: Cursor, sql: str, *values: object) -> int | None:
    txn.execute(sql, values)
    row = txn.fetchone()
    return None if row is None else row[0]


def _result(row: tuple[Any, ...]) -> ProbeResult:
    probe_id, ts, state, *rest = row
    return ProbeResult(probe_id, ts, ProbeState(state), *rest)
