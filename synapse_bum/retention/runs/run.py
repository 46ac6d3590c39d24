"""Runs: one goes through the configured classes once, by schedule or because an operator asked for it.

There is one run at a time; others wait in the queue. What a crash cuts off is resumed: whichever process holds the
lease next goes on with a run that is `running`.
"""

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum import audit
from synapse_bum.database import Cursor
from synapse_bum.retention.classes import ACTOR, Backlog, Item, RetentionClass
from synapse_bum.states import StateMachine

MAX_QUEUED: Final = 20
"""Runs that operators may have waiting; a script in a loop must not fill the table."""


class RunState(Enum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    NEEDS_CONFIRMATION = "needs_confirmation"
    """It has done what needs no confirmation; the rest waits for a run that confirms it."""
    DONE = "done"
    FAILED = "failed"
    """Some class could not be purged; `error` says which and why. What it has deleted stays deleted."""
    CANCELLED = "cancelled"


RUN_STATES: Final = StateMachine(
    "retention run",
    {
        RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
        RunState.RUNNING: frozenset({RunState.NEEDS_CONFIRMATION, RunState.DONE, RunState.FAILED, RunState.CANCELLED}),
        RunState.NEEDS_CONFIRMATION: frozenset({RunState.CANCELLED}),
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
        dry_run: whether it only counts.
        classes: which it goes through, in this order.
        confirm: whether an operator confirms with it what needs to be confirmed.
        started_by: user id; None for the schedule.
        created_ts: ms since the epoch, as the others.
        started_ts: None while queued.
        finished_ts: None until it is over.
        total: items that it found to delete so far.
        messages: events deleted; with `dry_run` those that would be.
        local_media: files, likewise.
        remote_media: files, likewise.
        size_bytes: of all of them.
        sample: the oldest items, of a dry run.
        counted: classes that a dry run is done with.
        unconfirmed: classes that wait for a confirmation.
        error: what went wrong, by class.
    """

    run_id: str
    state: RunState
    dry_run: bool
    classes: tuple[RetentionClass, ...]
    confirm: bool
    started_by: str | None
    created_ts: int
    started_ts: int | None = None
    finished_ts: int | None = None
    total: int = 0
    messages: int = 0
    local_media: int = 0
    remote_media: int = 0
    size_bytes: int = 0
    sample: tuple[Mapping[str, Any], ...] = ()
    counted: tuple[RetentionClass, ...] = ()
    unconfirmed: tuple[RetentionClass, ...] = ()
    error: str | None = None

    @property
    def done(self) -> int:
        """Items deleted so far, or counted by a dry run."""
        return self.messages + self.local_media + self.remote_media

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return {
            "run_id": self.run_id,
            "state": self.state.value,
            "dry_run": self.dry_run,
            "classes": [kind.value for kind in self.classes],
            "confirm": self.confirm,
            "started_by": self.started_by,
            "created_ts": self.created_ts,
            "started_ts": self.started_ts,
            "finished_ts": self.finished_ts,
            "progress": {"done": self.done, "total": max(self.total, self.done)},
            "deleted": {
                "messages": self.messages,
                "local_media": self.local_media,
                "remote_media": self.remote_media,
                "bytes": self.size_bytes,
            },
            "sample": list(self.sample),
            "needs_confirmation": [kind.value for kind in self.unconfirmed],
            "error": self.error,
        }


_COLUMNS: Final = (
    "run_id, state, dry_run, classes, confirm, started_by, created_ts, started_ts, finished_ts, total, messages,"
    " local_media, remote_media, bytes, sample, counted, unconfirmed, error"
)
# Along the partial index of open runs.
_FIRST_IN: Final = f"SELECT {_COLUMNS} FROM synapse_bum_retention_runs WHERE state = ?"  # noqa: S608
# Along the index on created_ts, backwards; the count reads the whole index, some thousand rows.
_NEWEST: Final = (
    f"SELECT {_COLUMNS} FROM synapse_bum_retention_runs ORDER BY created_ts DESC, run_id DESC LIMIT ? OFFSET ?"  # noqa: S608
)


def _written(classes: Sequence[RetentionClass]) -> str:
    return ",".join(kind.value for kind in classes)


def _classes(written: str) -> tuple[RetentionClass, ...]:
    return tuple(RetentionClass(name) for name in written.split(",") if name)


def _run(row: Sequence[Any]) -> Run:
    return Run(
        run_id=row[0],
        state=RunState(row[1]),
        dry_run=bool(row[2]),
        classes=_classes(row[3]),
        confirm=bool(row[4]),
        started_by=row[5],
        created_ts=row[6],
        started_ts=row[7],
        finished_ts=row[8],
        total=row[9],
        messages=row[10],
        local_media=row[11],
        remote_media=row[12],
        size_bytes=row[13],
        sample=tuple(json.loads(row[14])),
        counted=_classes(row[15]),
        unconfirmed=_classes(row[16]),
        error=row[17],
    )


def add_run(txn: LoggingTransaction, run: Run) -> None:
    """Add a queued run; one that somebody has asked for is audited."""
    txn.execute(
        "INSERT INTO synapse_bum_retention_runs (run_id, state, dry_run, classes, confirm, started_by, created_ts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            run.run_id,
            run.state.value,
            int(run.dry_run),
            _written(run.classes),
            int(run.confirm),
            run.started_by,
            run.created_ts,
        ),
    )
    if run.started_by is not None:
        _audit(txn, run, None, run.started_by, run.created_ts)


def count_queued(txn: Cursor) -> int:
    """How many runs wait."""
    txn.execute("SELECT count(*) FROM synapse_bum_retention_runs WHERE state = 'queued'")
    row = txn.fetchone()
    return int(row[0]) if row else 0


def get_run(txn: Cursor, run_id: str) -> Run | None:
    """Read a run, by primary key."""
    txn.execute(f"SELECT {_COLUMNS} FROM synapse_bum_retention_runs WHERE run_id = ?", (run_id,))  # noqa: S608
    row = txn.fetchone()
    return None if row is None else _run(row)


def list_runs(txn: Cursor, offset: int, limit: int) -> tuple[list[Run], int]:
    """A page of runs, newest first, and how many there are."""
    txn.execute("SELECT count(*) FROM synapse_bum_retention_runs")
    counted = txn.fetchone()
    txn.execute(_NEWEST, (limit, offset))
    return [_run(row) for row in txn.fetchall()], int(counted[0]) if counted else 0


def last_scheduled_ts(txn: Cursor, now_ms: int) -> int | None:
    """When the newest run of the schedule up to now was queued; along the index on created_ts, backwards."""
    txn.execute(
        "SELECT created_ts FROM synapse_bum_retention_runs WHERE started_by IS NULL AND created_ts <= ?"
        " ORDER BY created_ts DESC LIMIT 1",
        (now_ms,),
    )
    row = txn.fetchone()
    return None if row is None else int(row[0])


def is_any_open(txn: Cursor) -> bool:
    """Whether a run is queued or running."""
    txn.execute("SELECT 1 FROM synapse_bum_retention_runs WHERE state IN ('queued', 'running') LIMIT 1")
    return txn.fetchone() is not None


def current_run(txn: LoggingTransaction, now_ms: int) -> Run | None:
    """The run to work on: the one that is running, else the next in the queue, which is started."""
    txn.execute(f"{_FIRST_IN} ORDER BY created_ts, run_id LIMIT 1", (RunState.RUNNING.value,))
    row = txn.fetchone()
    if row is not None:
        return _run(row)
    txn.execute(f"{_FIRST_IN} ORDER BY created_ts, run_id LIMIT 1", (RunState.QUEUED.value,))
    row = txn.fetchone()
    if row is None:
        return None
    run = _run(row)
    txn.execute("UPDATE synapse_bum_retention_runs SET started_ts = ? WHERE run_id = ?", (now_ms, run.run_id))
    return change_run(txn, run.run_id, RunState.RUNNING, ACTOR, now_ms)


def is_running(txn: Cursor, run_id: str) -> bool:
    """Whether a run was not cancelled meanwhile; by primary key."""
    txn.execute("SELECT 1 FROM synapse_bum_retention_runs WHERE run_id = ? AND state = 'running'", (run_id,))
    return txn.fetchone() is not None


def count_deleted(txn: Cursor, run_id: str, kind: RetentionClass, items: int, size_bytes: int) -> None:
    """Add to the counters of a run; by primary key."""
    txn.execute(
        f"UPDATE synapse_bum_retention_runs SET {kind.value} = {kind.value} + ?, bytes = bytes + ? WHERE run_id = ?",  # noqa: S608 - a column
        (items, size_bytes, run_id),
    )


def add_total(txn: Cursor, run_id: str, items: int) -> None:
    """Add to what a run has to do: what it has done already and what it found."""
    txn.execute(
        "UPDATE synapse_bum_retention_runs SET total = messages + local_media + remote_media + ? WHERE run_id = ?",
        (items, run_id),
    )


def add_counted(txn: Cursor, run_id: str, kind: RetentionClass, backlog: Backlog, sample: Sequence[Item]) -> None:
    """Write down what a dry run has counted in a class, and that it has: a run that is cut off counts nothing twice."""
    run = get_run(txn, run_id)
    if run is None or kind in run.counted:
        return
    add_total(txn, run_id, backlog.items)
    count_deleted(txn, run_id, kind, backlog.items, backlog.size_bytes)
    named = [*run.sample, *(item.as_json(kind) for item in sample)]
    txn.execute(
        "UPDATE synapse_bum_retention_runs SET sample = ?, counted = ? WHERE run_id = ?",
        (json.dumps(named), _written([*run.counted, kind]), run_id),
    )


def finish_run(
    txn: LoggingTransaction,
    run_id: str,
    *,
    unconfirmed: Sequence[RetentionClass],
    error: str | None,
    now_ms: int,
) -> Run | None:
    """End a run that went through all its classes.

    Args:
        txn: in a transaction.
        run_id: of the run.
        unconfirmed: classes of which something waits for a confirmation.
        error: what went wrong; None when nothing did.
        now_ms: ms since the epoch.

    Returns:
        The run; None when it was cancelled meanwhile.
    """
    txn.execute(
        "UPDATE synapse_bum_retention_runs SET unconfirmed = ?, error = ? WHERE run_id = ? AND state = 'running'",
        (_written(unconfirmed), error, run_id),
    )
    if error is not None:
        state = RunState.FAILED
    elif unconfirmed:
        state = RunState.NEEDS_CONFIRMATION
    else:
        state = RunState.DONE
    return change_run(txn, run_id, state, ACTOR, now_ms)


def change_run(txn: LoggingTransaction, run_id: str, new: RunState, actor: str, now_ms: int) -> Run | None:
    """Move a run to another state, by compare-and-set on its primary key.

    Returns:
        The run as it is now; None when there is none, or its state does not allow this.
    """
    before = sorted(state.value for state in RUN_STATES.before(new))
    old = get_run(txn, run_id)
    marks = ", ".join("?" * len(before))
    finished_ts = None if new is RunState.RUNNING else now_ms
    txn.execute(
        f"UPDATE synapse_bum_retention_runs SET state = ?, finished_ts = ? WHERE run_id = ? AND state IN ({marks})",  # noqa: S608
        (new.value, finished_ts, run_id, *before),
    )
    if old is None or txn.rowcount != 1:
        return None
    run = get_run(txn, run_id)
    # A scheduled run that found nothing is no change of anything: once an hour it would bury the rest of the audit.
    if run is not None and (run.started_by is not None or actor != ACTOR or run.done or run.error or run.unconfirmed):
        _audit(txn, run, old.state, actor, now_ms)
    return run


def drop_older(txn: Cursor, before_ts: int) -> None:
    """Drop the records of runs that were over before a time; the audit keeps what they changed as long as its rows."""
    txn.execute(
        "DELETE FROM synapse_bum_retention_runs WHERE created_ts < ? AND state NOT IN ('queued', 'running')",
        (before_ts,),
    )


def _audit(txn: LoggingTransaction, run: Run, old: RunState | None, actor: str, now_ms: int) -> None:
    audit.append(
        txn,
        audit.Entry(
            ts=now_ms,
            actor=actor,
            action=f"retention.run.{run.state.value}",
            target=run.run_id,
            old=None if old is None else old.value,
            new={name: value for name, value in run.as_json().items() if name != "sample"},
            reason=None,
        ),
    )
