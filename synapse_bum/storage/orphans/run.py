"""Runs: one look for orphans each, by schedule or because an operator asked for it.

There is one run at a time; others wait. A run that is cut off is begun anew by whoever holds the lease next: a look
keeps nothing but its report. What it has removed is counted in the transaction that audits it.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum import audit
from synapse_bum.database import Cursor
from synapse_bum.states import StateMachine

ACTOR: Final = "synapse_bum.storage"
"""Who does what nobody has asked for."""

MAX_QUEUED: Final = 5
"""Runs that operators may have waiting: each goes through everything."""

MAX_ATTEMPTS: Final = 5
"""So often a run is begun before it is given up: one of its files may end the process each time."""


class RunState(Enum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """Something could not be looked at, or removed; `error` says what. The report holds the rest."""
    CANCELLED = "cancelled"


RUN_STATES: Final = StateMachine(
    "look for orphans",
    {
        RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
        RunState.RUNNING: frozenset({RunState.DONE, RunState.FAILED, RunState.CANCELLED}),
        RunState.DONE: frozenset(),
        RunState.FAILED: frozenset(),
        RunState.CANCELLED: frozenset(),
    },
)


@attr.s(auto_attribs=True, frozen=True, slots=True, kw_only=True)
class Run:
    """One run.

    Attributes:
        run_id: random.
        state: where it stands.
        dry_run: whether it only looks.
        started_by: user id; None for the schedule.
        created_ts: ms since the epoch, as the others.
        started_ts: when it was last begun; None while queued.
        finished_ts: None until it is over.
        attempts: how often it was begun.
        removed_files: without rows, from the media store.
        removed_bytes: of them.
        report: as `Report.as_json` writes it, while it runs so far; None before.
        error: what went wrong.
    """

    run_id: str
    state: RunState
    dry_run: bool
    started_by: str | None
    created_ts: int
    started_ts: int | None = None
    finished_ts: int | None = None
    attempts: int = 0
    removed_files: int = 0
    removed_bytes: int = 0
    report: Mapping[str, Any] | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return {
            "run_id": self.run_id,
            "state": self.state.value,
            "dry_run": self.dry_run,
            "started_by": self.started_by,
            "created_ts": self.created_ts,
            "started_ts": self.started_ts,
            "finished_ts": self.finished_ts,
            "removed": {"files": self.removed_files, "bytes": self.removed_bytes},
            "report": self.report,
            "error": self.error,
        }


_COLUMNS: Final = (
    "run_id, state, dry_run, started_by, created_ts, started_ts, finished_ts, attempts, removed_files, removed_bytes,"
    " report, error"
)
_TABLE: Final = "synapse_bum_storage_orphan_runs"
_BY_ID: Final = f"SELECT {_COLUMNS} FROM {_TABLE} WHERE run_id = ?"  # noqa: S608
# Along the partial index of open runs.
_FIRST_IN: Final = f"SELECT {_COLUMNS} FROM {_TABLE} WHERE state = ? ORDER BY created_ts, run_id LIMIT 1"  # noqa: S608
# Along the index on created_ts, backwards; the count reads the whole index: a run a week.
_NEWEST: Final = f"SELECT {_COLUMNS} FROM {_TABLE} ORDER BY created_ts DESC, run_id DESC LIMIT ? OFFSET ?"  # noqa: S608
_LAST_LOOKED: Final = (
    f"SELECT {_COLUMNS} FROM {_TABLE} WHERE state IN ('done', 'failed') AND report IS NOT NULL"  # noqa: S608
    " ORDER BY created_ts DESC, run_id DESC LIMIT 1"
)


def new_run_id() -> str:
    """An id that nobody can guess or mistake for another."""
    return secrets.token_hex(8)


def add_run(txn: LoggingTransaction, *, dry_run: bool, started_by: str | None, now_ms: int) -> Run:
    """Queue a run; one that somebody has asked for is audited."""
    run = Run(run_id=new_run_id(), state=RunState.QUEUED, dry_run=dry_run, started_by=started_by, created_ts=now_ms)
    txn.execute(
        f"INSERT INTO {_TABLE} (run_id, state, dry_run, started_by, created_ts) VALUES (?, ?, ?, ?, ?)",  # noqa: S608
        (run.run_id, run.state.value, int(dry_run), started_by, now_ms),
    )
    if started_by is not None:
        _audit(txn, run, None, started_by, now_ms)
    return run


def get_run(txn: Cursor, run_id: str) -> Run | None:
    """Read a run, by primary key."""
    txn.execute(_BY_ID, (run_id,))
    row = txn.fetchone()
    return None if row is None else _run(row)


def list_runs(txn: Cursor, offset: int, limit: int) -> tuple[list[Run], int]:
    """A page of runs, newest first, and how many there are."""
    txn.execute(f"SELECT count(*) FROM {_TABLE}")  # noqa: S608
    counted = txn.fetchone()
    txn.execute(_NEWEST, (limit, offset))
    return [_run(row) for row in txn.fetchall()], int(counted[0]) if counted else 0


def count_queued(txn: Cursor) -> int:
    """How many runs wait; along the partial index."""
    txn.execute(f"SELECT count(*) FROM {_TABLE} WHERE state = 'queued'")  # noqa: S608
    row = txn.fetchone()
    return int(row[0]) if row else 0


def queue_if_due(txn: LoggingTransaction, now_ms: int, interval_ms: int) -> None:
    """Queue the dry run of the schedule, unless one is younger than the interval or any is still open.

    Along the indexes on created_ts and of open runs. One in the future was written by a clock that was wrong.
    """
    txn.execute(
        f"SELECT 1 FROM {_TABLE} WHERE state IN ('queued', 'running')"  # noqa: S608
        " UNION ALL SELECT 1 FROM ("
        f"SELECT 1 FROM {_TABLE} WHERE started_by IS NULL AND created_ts > ? AND created_ts <= ? LIMIT 1) AS recent",
        (now_ms - interval_ms, now_ms),
    )
    if txn.fetchone() is None:
        add_run(txn, dry_run=True, started_by=None, now_ms=now_ms)


def begin(txn: LoggingTransaction, now_ms: int) -> Run | None:
    """The run to work on: the one that was cut off, else the next in the queue; begun, and counted as begun.

    Returns:
        None when there is none. A run that was begun too often has failed, and the next one is taken.
    """
    for state in (RunState.RUNNING, RunState.QUEUED):
        txn.execute(_FIRST_IN, (state.value,))
        row = txn.fetchone()
        if row is None:
            continue
        run = _run(row)
        if run.attempts >= MAX_ATTEMPTS:
            error = f"it was begun {run.attempts} times and never came to its end; see the log"
            finish(txn, run.run_id, report=None, error=error, now_ms=now_ms)
            return begin(txn, now_ms)
        txn.execute(
            f"UPDATE {_TABLE} SET started_ts = ?, attempts = attempts + 1 WHERE run_id = ?",  # noqa: S608
            (now_ms, run.run_id),
        )
        if state is RunState.QUEUED:
            change_run(txn, run.run_id, RunState.RUNNING, ACTOR, now_ms)
        return get_run(txn, run.run_id)
    return None


def note_report(txn: Cursor, run_id: str, report: Mapping[str, Any]) -> bool:
    """Write down how far a run has come, by primary key.

    Returns:
        Whether it goes on; False when it was cancelled meanwhile.
    """
    txn.execute(
        f"UPDATE {_TABLE} SET report = ? WHERE run_id = ? AND state = 'running'",  # noqa: S608
        (json.dumps(report), run_id),
    )
    return txn.rowcount == 1


def count_removed(txn: Cursor, run_id: str, files: int, size_bytes: int) -> None:
    """Add to what a run has removed, by primary key."""
    txn.execute(
        f"UPDATE {_TABLE} SET removed_files = removed_files + ?, removed_bytes = removed_bytes + ? WHERE run_id = ?",  # noqa: S608
        (files, size_bytes, run_id),
    )


def finish(
    txn: LoggingTransaction, run_id: str, *, report: Mapping[str, Any] | None, error: str | None, now_ms: int
) -> Run | None:
    """End a run that came to its end.

    Args:
        txn: in a transaction.
        run_id: of the run.
        report: the last one; None leaves the one before.
        error: what could not be looked at or removed; None when nothing.
        now_ms: ms since the epoch.

    Returns:
        The run; None when it was cancelled meanwhile.
    """
    if report is not None:
        note_report(txn, run_id, report)
    txn.execute(f"UPDATE {_TABLE} SET error = ? WHERE run_id = ? AND state = 'running'", (error, run_id))  # noqa: S608
    return change_run(txn, run_id, RunState.DONE if error is None else RunState.FAILED, ACTOR, now_ms)


def change_run(txn: LoggingTransaction, run_id: str, new: RunState, actor: str, now_ms: int) -> Run | None:
    """Move a run to another state, by compare-and-set on its primary key.

    Returns:
        The run as it is now; None when there is none, or its state does not allow this.
    """
    before = sorted(state.value for state in RUN_STATES.before(new))
    old = get_run(txn, run_id)
    marks = ", ".join("?" * len(before))
    finished_ts = now_ms if RUN_STATES.is_final(new) else None
    txn.execute(
        f"UPDATE {_TABLE} SET state = ?, finished_ts = ? WHERE run_id = ? AND state IN ({marks})",  # noqa: S608
        (new.value, finished_ts, run_id, *before),
    )
    if old is None or txn.rowcount != 1:
        return None
    run = get_run(txn, run_id)
    # A look of the schedule changes nothing; one that somebody has asked for or ended is somebody's doing.
    if run is not None and (run.started_by is not None or actor != ACTOR):
        _audit(txn, run, old.state, actor, now_ms)
    return run


def last_looked(txn: Cursor) -> Run | None:
    """The newest run that came to its end; along the index on created_ts, backwards."""
    txn.execute(_LAST_LOOKED)
    row = txn.fetchone()
    return None if row is None else _run(row)


def drop_older(txn: Cursor, before_ts: int) -> None:
    """Drop the records of runs that were over before a time; along the index on created_ts."""
    txn.execute(
        f"DELETE FROM {_TABLE} WHERE created_ts < ? AND state NOT IN ('queued', 'running')",  # noqa: S608
        (before_ts,),
    )


def _run(row: Sequence[Any]) -> Run:
    return Run(
        run_id=row[0],
        state=RunState(row[1]),
        dry_run=bool(row[2]),
        started_by=row[3],
        created_ts=row[4],
        started_ts=row[5],
        finished_ts=row[6],
        attempts=row[7],
        removed_files=row[8],
        removed_bytes=row[9],
        report=None if row[10] is None else json.loads(row[10]),
        error=row[11],
    )


def _audit(txn: LoggingTransaction, run: Run, old: RunState | None, actor: str, now_ms: int) -> None:
    audit.append(
        txn,
        audit.Entry(
            ts=now_ms,
            actor=actor,
            action=f"storage.orphans.{run.state.value}",
            target=run.run_id,
            old=None if old is None else old.value,
            new={name: value for name, value in run.as_json().items() if name != "report"},
            reason=None,
        ),
    )
