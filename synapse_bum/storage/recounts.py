"""Full recounts that somebody has asked for: a row each, from `queued` to `done` or `failed`."""

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum import audit
from synapse_bum.database import Component, Cursor, Migration
from synapse_bum.states import StateMachine

RECOUNTS: Final = Component(
    "storage_recounts",
    (
        Migration.both(
            1,
            "CREATE TABLE synapse_bum_storage_recounts (run_id TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL,"
            " started_by TEXT NOT NULL, created_ts BIGINT NOT NULL, started_ts BIGINT, finished_ts BIGINT,"
            " drift_bytes TEXT, error TEXT)",
            (
                "CREATE INDEX synapse_bum_storage_recounts_open ON synapse_bum_storage_recounts (created_ts, run_id)"
                " WHERE finished_ts IS NULL"
            ),
            "CREATE INDEX synapse_bum_storage_recounts_finished ON synapse_bum_storage_recounts (finished_ts)",
        ),
    ),
)

MAX_QUEUED: Final = 10
"""Recounts that may wait: each of them counts the same."""


class RecountState(Enum):
    """How far a recount has come; the values are those of the API."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


RECOUNT_STATES: Final = StateMachine(
    "recount",
    {
        RecountState.QUEUED: frozenset({RecountState.RUNNING}),
        RecountState.RUNNING: frozenset({RecountState.DONE, RecountState.FAILED}),
        RecountState.DONE: frozenset(),
        RecountState.FAILED: frozenset(),
    },
)


@attr.s(auto_attribs=True, frozen=True, slots=True, kw_only=True)
class Recount:
    """One recount.

    Attributes:
        run_id: names it.
        state: how far it has come.
        started_by: who asked for it.
        created_ts: when; ms since the epoch, as all times.
        started_ts: when counting began; None before.
        finished_ts: when it ended; None before.
        drift_bytes: what it corrected, by kind; None before the end, and where there was nothing to compare with.
        error: why it failed.
    """

    run_id: str
    state: RecountState
    started_by: str
    created_ts: int
    started_ts: int | None = None
    finished_ts: int | None = None
    drift_bytes: Mapping[str, int] | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return {
            "run_id": self.run_id,
            "state": self.state.value,
            "started_by": self.started_by,
            "created_ts": self.created_ts,
            "started_ts": self.started_ts,
            "finished_ts": self.finished_ts,
            "drift_bytes": self.drift_bytes,
            "error": self.error,
        }


_COLUMNS: Final = "run_id, state, started_by, created_ts, started_ts, finished_ts, drift_bytes, error"


def add_recount(txn: LoggingTransaction, run_id: str, started_by: str, now_ms: int) -> bool:
    """Add a recount to the queue, and to the audit.

    Returns:
        Whether it was added: not when too many wait already.
    """
    # Along the index of those that have not ended.
    txn.execute("SELECT count(*) FROM synapse_bum_storage_recounts WHERE finished_ts IS NULL")
    waiting = txn.fetchone()
    if waiting is not None and waiting[0] >= MAX_QUEUED:
        return False
    txn.execute(
        "INSERT INTO synapse_bum_storage_recounts (run_id, state, started_by, created_ts) VALUES (?, ?, ?, ?)",
        (run_id, RecountState.QUEUED.value, started_by, now_ms),
    )
    audit.append(txn, audit.Entry(now_ms, started_by, "storage.recount", run_id, new={"state": "queued"}))
    return True


def get_recount(txn: Cursor, run_id: str) -> Recount | None:
    """Read a recount, by primary key."""
    txn.execute(f"SELECT {_COLUMNS} FROM synapse_bum_storage_recounts WHERE run_id = ?", (run_id,))  # noqa: S608
    row = txn.fetchone()
    return None if row is None else _read(row)


def next_recount(txn: Cursor, now_ms: int) -> Recount | None:
    """The recount to carry out: one that was cut off, else the longest waiting, which is marked as running."""
    # Along the index of those that have not ended.
    txn.execute(
        f"SELECT {_COLUMNS} FROM synapse_bum_storage_recounts WHERE finished_ts IS NULL"  # noqa: S608
        " ORDER BY state = 'running' DESC, created_ts, run_id LIMIT 1"
    )
    row = txn.fetchone()
    if row is None:
        return None
    recount = _read(row)
    if recount.state is RecountState.RUNNING:
        return recount
    RECOUNT_STATES.check(recount.state, RecountState.RUNNING)
    txn.execute(
        "UPDATE synapse_bum_storage_recounts SET state = ?, started_ts = ? WHERE run_id = ?",
        (RecountState.RUNNING.value, now_ms, recount.run_id),
    )
    return attr.evolve(recount, state=RecountState.RUNNING, started_ts=now_ms)


def finish_recount(
    txn: LoggingTransaction, recount: Recount, now_ms: int, *, drift_bytes: Mapping[str, int] | None, error: str | None
) -> None:
    """End a recount, in the transaction that counted where it succeeded."""
    new = RecountState.DONE if error is None else RecountState.FAILED
    txn.execute(
        "UPDATE synapse_bum_storage_recounts SET state = ?, finished_ts = ?, drift_bytes = ?, error = ?"
        " WHERE run_id = ? AND state = 'running'",
        (new.value, now_ms, None if drift_bytes is None else json.dumps(dict(drift_bytes)), error, recount.run_id),
    )


def drop_older(txn: Cursor, before_ms: int) -> None:
    """Forget recounts that ended before a time, in ms since the epoch; along their index."""
    txn.execute("DELETE FROM synapse_bum_storage_recounts WHERE finished_ts < ?", (before_ms,))


def _read(row: tuple[Any, ...]) -> Recount:
    return Recount(
        run_id=row[0],
        state=RecountState(row[1]),
        started_by=row[2],
        created_ts=row[3],
        started_ts=row[4],
        finished_ts=row[5],
        drift_bytes=None if row[6] is None else json.loads(row[6]),
        error=row[7],
    )
