"""However results come, the outages in the table are those that all results together say."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.audit import AUDIT, verify
from synapse_bum.availability import outages
from synapse_bum.availability.calculation import Span
from synapse_bum.availability.measuring import Slices
from synapse_bum.availability.probes import ProbeResult, ProbeState
from synapse_bum.availability.recording import deliver
from synapse_bum.availability.tables import AVAILABILITY
from synapse_bum.database.schema import Dialect, migrate
from synapse_bum.testing.berlin import berlin_ms

MINUTE = 60_000
SLICES = Slices(MINUTE)
BEGIN = berlin_ms("2026-06-15 12:00")
NOW = BEGIN + 60 * MINUTE
STATES = {"+": ProbeState.OK, "-": ProbeState.FAILED, "?": ProbeState.UNKNOWN}


class Transaction:
    """A cursor of SQLite; nothing is done after a commit that never comes."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> object:
        return self._cursor.execute(sql, tuple(parameters))

    def fetchone(self) -> Any:  # noqa: ANN401 - a row
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    def call_after(self, callback: Callable[..., object], *args: object, **kwargs: object) -> None:
        pass


@contextmanager
def a_database() -> Iterator[Transaction]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        txn = Transaction(connection.cursor())
        migrate(txn, Dialect.SQLITE, (AUDIT, AVAILABILITY))
        yield txn
    finally:
        connection.close()


def results(pattern: str) -> list[ProbeResult]:
    """One result in each minute: `+` good, `-` failed, `?` unknown, `.` none."""
    return [
        ProbeResult(f"p{place}", BEGIN + place * MINUTE + 7_000, STATES[sign], None, None, None, None, None, NOW)
        for place, sign in enumerate(pattern)
        if sign in STATES
    ]


def spans(txn: Transaction) -> list[tuple[int, int | None]]:
    return [(one.from_ts, one.to_ts) for one in outages.read_within(txn, Span(0, 2**53))]


@given(st.text("+-?.", max_size=60), st.randoms(use_true_random=False), st.integers(1, 7), st.booleans())
def test_the_order_of_deliveries_does_not_matter(pattern: str, random: Any, size: int, shuffle: bool) -> None:  # noqa: ANN401, FBT001 - from hypothesis
    all_results = results(pattern)
    expected = [
        (one.begin_ms, one.end_ms)
        for one in SLICES.outages(
            [(one.ts, one.state is ProbeState.OK) for one in all_results if one.state is not ProbeState.UNKNOWN], NOW
        )
    ]
    if shuffle:
        random.shuffle(all_results)
    with a_database() as txn:
        for first in range(0, len(all_results), size):
            # Each delivery has some results of the one before again, as after an answer that got lost.
            deliver(txn, all_results[max(0, first - 2) : first + size], 0, SLICES, NOW)
        assert spans(txn) == expected
        assert verify(txn) is None
