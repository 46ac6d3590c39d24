"""Runs of the rescan: their states, their progress, and what each signature hit in them.

A run that new signatures caused looks at the files whose last clean verdict is of other signatures; one that an
operator started looks at all. There is one run for each version of the base, and one run at a time: new signatures that
come meanwhile have their run afterwards, so that the end of a long walk is reached too. A run never fails: without a
scanner or a database it waits.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum import audit
from synapse_bum.antivirus.stored.rescan_limits import is_mishap
from synapse_bum.database import Cursor
from synapse_bum.states import StateMachine

ACTOR = "antivirus.rescan"


class RunState(Enum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    NEEDS_CONFIRMATION = "needs_confirmation"
    """One signature hit suspiciously many files; nothing more is scanned until somebody decides."""
    DONE = "done"
    CANCELLED = "cancelled"


RUN_STATES = StateMachine(
    "rescan",
    {
        RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
        RunState.RUNNING: frozenset({RunState.NEEDS_CONFIRMATION, RunState.DONE, RunState.CANCELLED}),
        RunState.NEEDS_CONFIRMATION: frozenset({RunState.RUNNING, RunState.CANCELLED}),
        RunState.DONE: frozenset(),
        RunState.CANCELLED: frozenset(),
    },
)


class Standing(Enum):
    """What is done with a signature's hits in a run."""

    COUNTED = "counted"
    """They are blocked, up to the limit."""
    CONFIRMED = "confirmed"
    """They are blocked without a limit: an operator said that they are infected."""
    EXCUSED = "excused"
    """They are left alone: an operator released the signature."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Run:
    """One walk over stored files.

    Attributes:
        run_id: random.
        state: where it stands.
        signature_version: of the base that caused it; None when an operator did.
        started_by: user id; None when new signatures were the cause.
        created_ts: ms since the epoch; so are the others.
        started_ts: None while queued.
        finished_ts: None until it is done or cancelled.
        scanned: files that were looked at.
        total: files that there were to look at when it started.
        infected: files that were found infected, and not left alone.
        at_server: with `at_media` the last file that was looked at.
        at_media: media id of it.
        paused_by: signature that has to be decided about.
    """

    run_id: str
    state: RunState = attr.ib(converter=RunState)
    signature_version: str | None
    started_by: str | None
    created_ts: int
    started_ts: int | None
    finished_ts: int | None
    scanned: int
    total: int
    infected: int
    at_server: str
    at_media: str
    paused_by: str | None

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return {
            "run_id": self.run_id,
            "state": self.state.value,
            "scanned": self.scanned,
            "total": self.total,
            "infected": self.infected,
            "signature_version": self.signature_version,
            "started_by": self.started_by,
            "created_ts": self.created_ts,
            "started_ts": self.started_ts,
            "finished_ts": self.finished_ts,
            "paused_by": self.paused_by,
        }


_COLUMNS = ", ".join(attribute.name for attribute in attr.fields(Run))

# The table holds one row for each version of the base and each wish of an operator, a few a day: it is read as a whole.
_BY_STATE = f"SELECT {_COLUMNS} FROM synapse_bum_antivirus_rescans WHERE state = ? ORDER BY created_ts, run_id LIMIT 1"  # noqa: S608

_OTHER_VERSION = "(signature_version IS NULL OR signature_version <> ?)"
_ANY_OLDER = f"SELECT 1 FROM synapse_bum_antivirus_verdicts WHERE state = 'clean' AND {_OTHER_VERSION} LIMIT 1"  # noqa: S608
# Along the primary key, a page at a time; the count reads the whole table, once a run.
_WANTED = " FROM synapse_bum_antivirus_verdicts WHERE state = 'clean' AND scanned_ts <= ?"


def is_anything_older(txn: Cursor, signature_version: str) -> bool:
    """Whether any clean verdict is of other signatures; reads the whole table when there is none."""
    txn.execute(_ANY_OLDER, (signature_version,))
    return txn.fetchone() is not None


def add_run(txn: Cursor, run_id: str, *, signature_version: str | None, started_by: str | None, now_ms: int) -> bool:
    """Add a queued run.

    Returns:
        False when new signatures are the cause and their version has a run already.
    """
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_rescans (run_id, state, signature_version, started_by, created_ts)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (run_id, RunState.QUEUED.value, signature_version, started_by, now_ms),
    )
    return txn.rowcount == 1


def start_by_operator(txn: LoggingTransaction, run_id: str, user_id: str, now_ms: int) -> Run:
    """Queue a run over all files, unless one that an operator started is queued already.

    Returns:
        The queued run, or the one that waits for a decision: no other can begin before that.
    """
    paused = first_in(txn, RunState.NEEDS_CONFIRMATION)
    if paused is not None:
        return paused
    txn.execute(
        f"SELECT {_COLUMNS} FROM synapse_bum_antivirus_rescans"  # noqa: S608
        " WHERE state = ? AND started_by IS NOT NULL LIMIT 1",
        (RunState.QUEUED.value,),
    )
    row = txn.fetchone()
    if row is not None:
        return Run(*row)
    add_run(txn, run_id, signature_version=None, started_by=user_id, now_ms=now_ms)
    # Files that only their readers can decrypt are scanned again when the next one asks.
    txn.execute("DELETE FROM synapse_bum_antivirus_key_verdicts WHERE verdict = 'clean'")
    run = get_run(txn, run_id)
    if run is None:
        raise LookupError(f"the run {run_id} is not there right after it was written")
    _audit(txn, run, None, user_id, now_ms)
    return run


def get_run(txn: Cursor, run_id: str) -> Run | None:
    """Read a run, by primary key."""
    txn.execute(f"SELECT {_COLUMNS} FROM synapse_bum_antivirus_rescans WHERE run_id = ?", (run_id,))  # noqa: S608
    row = txn.fetchone()
    return None if row is None else Run(*row)


def first_in(txn: Cursor, state: RunState) -> Run | None:
    """The oldest run in a state."""
    txn.execute(_BY_STATE, (state.value,))
    row = txn.fetchone()
    return None if row is None else Run(*row)


def current_run(txn: LoggingTransaction, now_ms: int) -> Run | None:
    """The run that is to be worked on; the next in the queue is started when there is none.

    Returns:
        None when nothing is to be done. A run that waits for a decision holds up the queue and is returned.
    """
    for state in (RunState.NEEDS_CONFIRMATION, RunState.RUNNING):
        run = first_in(txn, state)
        if run is not None:
            return run
    run = first_in(txn, RunState.QUEUED)
    if run is None:
        return None
    started = attr.evolve(run, started_ts=now_ms)
    sql, values = _wanted(started)
    txn.execute(f"SELECT COUNT(*){sql}", values)
    row = txn.fetchone()
    txn.execute(
        "UPDATE synapse_bum_antivirus_rescans SET started_ts = ?, total = ? WHERE run_id = ?",
        (now_ms, row[0] if row else 0, run.run_id),
    )
    return change_run(txn, run.run_id, RunState.RUNNING, ACTOR, now_ms)


def next_files(txn: Cursor, run: Run, limit: int) -> list[tuple[str, str]]:
    """The next files of a run: server name and media id, behind the last one that was looked at."""
    sql, values = _wanted(run)
    txn.execute(
        f"SELECT server_name, media_id{sql} AND (server_name, media_id) > (?, ?)"
        " ORDER BY server_name, media_id LIMIT ?",
        (*values, run.at_server, run.at_media, limit),
    )
    return [(server_name, media_id) for server_name, media_id in txn.fetchall()]


def advance(txn: Cursor, run_id: str, file: tuple[str, str], scanned: int) -> Run | None:
    """Write down how far a run has come; a run that was cancelled meanwhile is only read."""
    txn.execute(
        "UPDATE synapse_bum_antivirus_rescans SET at_server = ?, at_media = ?, scanned = scanned + ?"
        " WHERE run_id = ? AND state IN ('running', 'needs_confirmation')",
        (*file, scanned, run_id),
    )
    return get_run(txn, run_id)


def change_run(
    txn: LoggingTransaction, run_id: str, new: RunState, actor: str, now_ms: int, reason: str | None = None
) -> Run | None:
    """Move a run to another state.

    Args:
        txn: in a transaction; by primary key.
        run_id: of the run.
        new: the state that follows.
        actor: user id or `ACTOR`.
        now_ms: ms since the epoch.
        reason: for the audit.

    Returns:
        The run as it is now; None when there is none, or its state does not allow this.
    """
    before = [state.value for state in sorted(RUN_STATES.before(new), key=lambda state: state.value)]
    old = get_run(txn, run_id)
    finished_ts = now_ms if RUN_STATES.is_final(new) else None
    marks = ", ".join("?" * len(before))
    txn.execute(
        f"UPDATE synapse_bum_antivirus_rescans SET state = ?, finished_ts = ? WHERE run_id = ? AND state IN ({marks})",  # noqa: S608
        (new.value, finished_ts, run_id, *before),
    )
    if old is None or txn.rowcount != 1:
        return None
    run = get_run(txn, run_id)
    if run is not None:
        _audit(txn, run, old.state, actor, now_ms, reason)
    return run


def may_block(txn: LoggingTransaction, run_id: str, signature: str, now_ms: int) -> bool:
    """Count a file that a signature hit, in the transaction that would block it, and say whether it may be blocked.

    The file that is one too many is not counted; the run pauses instead.
    """
    run = get_run(txn, run_id)
    if run is None or run.state is not RunState.RUNNING:
        return False
    txn.execute(
        "SELECT files, standing FROM synapse_bum_antivirus_rescan_hits WHERE run_id = ? AND signature = ?",
        (run_id, signature),
    )
    files, standing = txn.fetchone() or (0, Standing.COUNTED.value)
    if standing == Standing.EXCUSED.value:
        return False
    if standing == Standing.COUNTED.value and is_mishap(files + 1, run.total):
        txn.execute("UPDATE synapse_bum_antivirus_rescans SET paused_by = ? WHERE run_id = ?", (signature, run_id))
        change_run(txn, run_id, RunState.NEEDS_CONFIRMATION, ACTOR, now_ms, f"{files} files were hit by {signature}")
        return False
    _set_hits(txn, run_id, signature, files + 1, Standing(standing))
    txn.execute("UPDATE synapse_bum_antivirus_rescans SET infected = infected + 1 WHERE run_id = ?", (run_id,))
    return True


def hits_of(txn: Cursor, run: Run) -> int:
    """How many files the signature that has paused a run had hit before, by primary key."""
    txn.execute(
        "SELECT files FROM synapse_bum_antivirus_rescan_hits WHERE run_id = ? AND signature = ?",
        (run.run_id, run.paused_by),
    )
    row = txn.fetchone()
    return int(row[0]) if row else 0


def confirm(txn: LoggingTransaction, run_id: str, user_id: str, now_ms: int) -> Run | None:
    """Let a paused run go on and block what the signature hits.

    Returns:
        As `change_run`.
    """
    return _go_on(txn, get_run(txn, run_id), Standing.CONFIRMED, user_id, now_ms, None)


def excuse_signature(txn: LoggingTransaction, signature: str, user_id: str, reason: str, now_ms: int) -> None:
    """Let the run that a signature has paused go on and leave alone what it hits."""
    paused = first_in(txn, RunState.NEEDS_CONFIRMATION)
    if paused is not None and paused.paused_by == signature:
        _go_on(txn, paused, Standing.EXCUSED, user_id, now_ms, reason)


def _go_on(
    txn: LoggingTransaction, run: Run | None, standing: Standing, user_id: str, now_ms: int, reason: str | None
) -> Run | None:
    if run is None or run.paused_by is None or run.state is not RunState.NEEDS_CONFIRMATION:
        return None
    _set_hits(txn, run.run_id, run.paused_by, hits_of(txn, run), standing)
    txn.execute("UPDATE synapse_bum_antivirus_rescans SET paused_by = NULL WHERE run_id = ?", (run.run_id,))
    reason = f"{run.paused_by}: {standing.value}" + (f", {reason}" if reason else "")
    return change_run(txn, run.run_id, RunState.RUNNING, user_id, now_ms, reason)


def _set_hits(txn: Cursor, run_id: str, signature: str, files: int, standing: Standing) -> None:
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_rescan_hits (run_id, signature, files, standing) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (run_id, signature) DO UPDATE SET files = excluded.files, standing = excluded.standing",
        (run_id, signature, files, standing.value),
    )


def _wanted(run: Run) -> tuple[str, Sequence[object]]:
    if run.started_by is not None:
        return _WANTED, (run.started_ts,)
    return f"{_WANTED} AND {_OTHER_VERSION}", (run.started_ts, run.signature_version)


def _audit(
    txn: LoggingTransaction, run: Run, old: RunState | None, actor: str, now_ms: int, reason: str | None = None
) -> None:
    audit.append(
        txn,
        audit.Entry(
            ts=now_ms,
            actor=actor,
            action=f"antivirus.rescan.{run.state.value}",
            target=run.run_id,
            old=None if old is None else old.value,
            new=run.as_json(),
            reason=reason,
        ),
    )
