"""The journal of deletions: one row for each file that has to go, with how far it has come.

The table of states is the only place that says what may follow what. Rows stay as the record of what was deleted.
"""

import re
from collections.abc import Collection, Sequence
from enum import Enum
from typing import Any, Final, TypeAlias

import attr

from synapse_bum.database import Cursor
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.sql_lists import in_chunks, marks, rows_of_marks
from synapse_bum.states import StateMachine

POLICY: Final = re.compile(r"[a-z]+:[a-z_]+", re.ASCII)
"""What a policy is named: `<feature>:<rule>`."""


class DeletionState(Enum):
    """How far a deletion has come."""

    PLANNED = "planned"
    """It is decided. The same transaction hides the file, so nobody else sees this state."""
    HIDDEN = "hidden"
    """Every door answers 404; the bytes are still there, or it is not known that they are all gone."""
    UNLINKED = "unlinked"
    """The file, its thumbnails and all copies are gone; the rows are still there."""
    DROPPED = "dropped"
    """Nothing is left."""


DELETION_STATES: Final = StateMachine(
    "deletion",
    {
        DeletionState.PLANNED: frozenset({DeletionState.HIDDEN}),
        DeletionState.HIDDEN: frozenset({DeletionState.UNLINKED}),
        # Back when Synapse has finished another thumbnail meanwhile.
        DeletionState.UNLINKED: frozenset({DeletionState.DROPPED, DeletionState.HIDDEN}),
        DeletionState.DROPPED: frozenset(),
    },
)


class Kind(Enum):
    """What is deleted; also the label of metrics."""

    LOCAL_MEDIA = "local_media"
    REMOTE_MEDIA = "remote_media"

    @classmethod
    def of(cls, media: StoredMedia) -> "Kind":
        """Which kind a file is."""
        return cls.LOCAL_MEDIA if media.local else cls.REMOTE_MEDIA


class After(Enum):
    """What Synapse's table holds afterwards."""

    DROP = "drop"
    """Nothing. A remote file is fetched again when somebody asks for it."""
    TOMBSTONE = "tombstone"
    """A remote file's row that answers 404 for ever, without asking its server again."""


@attr.s(auto_attribs=True, frozen=True, slots=True, kw_only=True)
class Deletion:
    """One row of the journal.

    Attributes:
        id: counts up.
        kind: of the file.
        server_name: where it was uploaded.
        media_id: as in the mxc URI.
        file_id: its name on disk.
        url_cache: whether it belongs to a URL preview.
        uploader: user id; None for remote media.
        size_bytes: of the file.
        thumbnail_bytes: of its thumbnails, when it was planned.
        created_ts: when the file came here; ms since the epoch, as all times.
        quarantined_by: who had quarantined it before.
        policy: which rule deletes it, for example `antivirus:sender`.
        actor: who: a user id or the name of a job.
        reason: why, in his words.
        after: what Synapse's table holds afterwards.
        state: how far it has come.
        planned_ts: when it was decided and hidden.
        done_ts: when nothing was left; None until then.
        attempts: how often removing the bytes has failed.
        next_try_ts: when the remover looks at it next.
        error: why the last attempt failed; None when none has.
    """

    id: int
    kind: Kind
    server_name: str
    media_id: str
    file_id: str
    url_cache: bool
    uploader: str | None
    size_bytes: int
    thumbnail_bytes: int
    created_ts: int
    quarantined_by: str | None
    policy: str
    actor: str
    reason: str | None
    after: After
    state: DeletionState
    planned_ts: int
    done_ts: int | None = None
    attempts: int = 0
    next_try_ts: int = 0
    error: str | None = None

    @property
    def mxc(self) -> str:
        """The mxc URI of the file."""
        return f"mxc://{self.server_name}/{self.media_id}"

    @property
    def media(self) -> StoredMedia:
        """The file, as the door to Synapse wants it."""
        return StoredMedia(
            self.server_name,
            self.media_id,
            self.file_id,
            local=self.kind is Kind.LOCAL_MEDIA,
            url_cache=self.url_cache,
            uploader=self.uploader,
        )

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return {
            "kind": self.kind.value,
            "target": self.mxc,
            "size_bytes": self.size_bytes,
            "policy": self.policy,
            "planned_ts": self.planned_ts,
            "done_ts": self.done_ts,
        }


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Overdue:
    """Deletions that should have ended.

    Attributes:
        items: how many.
        size_bytes: of their files, thumbnails included.
        oldest_ts: when the oldest of these files came here, in ms since the epoch; None when there is none.
    """

    items: int
    size_bytes: int
    oldest_ts: int | None


_WRITTEN: Final = (
    "kind, server_name, media_id, file_id, url_cache, uploader, size_bytes, thumbnail_bytes, created_ts,"
    " quarantined_by, policy, actor, reason, leaves, state, planned_ts, next_try_ts"
)
_READ: Final = f"id, {_WRITTEN}, done_ts, attempts, error"
_FileKey: TypeAlias = tuple[str, str, str, str]
"""Kind, server name, media id and file id."""
_READ_NAMES: Final = tuple(name.strip() for name in _READ.split(","))
_WIDTH: Final = len(_WRITTEN.split(","))

# Along the unique index of open deletions: one row for each file. A second open deletion of a file is not written.
# RETURNING needs SQLite 3.35.
_INSERT: Final = (
    f"INSERT INTO synapse_bum_deletions ({_WRITTEN}) VALUES {{}} ON CONFLICT DO NOTHING"  # noqa: S608
    " RETURNING id, kind, server_name, media_id, file_id"
)
# Along the unique index of open deletions, one search for each file: SQLite keeps the order of a CROSS JOIN.
_SELECT_OPEN: Final = (
    f"WITH wanted (k, s, m, f) AS (VALUES {{}}) SELECT {_READ} FROM wanted CROSS JOIN synapse_bum_deletions"  # noqa: S608
    " WHERE kind = k AND server_name = s AND media_id = m AND file_id = f AND state <> 'dropped'"
)
# Along the index of due rows.
_SELECT_DUE: Final = (
    f"SELECT {_READ} FROM synapse_bum_deletions WHERE state <> 'dropped' AND next_try_ts <= ?"  # noqa: S608
    " ORDER BY next_try_ts, id LIMIT ?"
)
_ANY_DUE: Final = "SELECT 1 FROM synapse_bum_deletions WHERE state <> 'dropped' AND next_try_ts <= ? LIMIT 1"
# The index of due rows from end to end, and the rows behind it: only open deletions are in it.
_OVERDUE: Final = (
    "SELECT count(*), SUM(size_bytes + thumbnail_bytes), MIN(created_ts) FROM synapse_bum_deletions"
    " WHERE state <> 'dropped' AND policy = ? AND (attempts > 0 OR error IS NOT NULL OR planned_ts <= ?)"
)
_COUNT_OPEN: Final = "SELECT count(*), count(error) FROM synapse_bum_deletions WHERE state <> 'dropped'"
# By primary key.
_ADVANCE: Final = "UPDATE synapse_bum_deletions SET state = ? WHERE id IN ({}) AND state IN ({}) RETURNING id"
_FINISH: Final = (
    "UPDATE synapse_bum_deletions SET state = ?, done_ts = ?, error = NULL WHERE id IN ({}) AND state IN ({})"
    " RETURNING id"
)
_PUT_OFF: Final = (
    "UPDATE synapse_bum_deletions SET next_try_ts = ?, error = ?, attempts = attempts + ?"
    " WHERE id IN ({}) AND state <> 'dropped'"
)
# Along the index on planned_ts from its beginning, where the oldest are: `limit` rows, and the few that are old and
# still open. The table of the log has one row while a log of deletions is kept, else none.
_DROP_OLDER: Final = (
    "DELETE FROM synapse_bum_deletions WHERE id IN (SELECT id FROM synapse_bum_deletions WHERE planned_ts < ?"
    " AND state = 'dropped' AND done_ts < ? AND (logged = 2 OR NOT EXISTS (SELECT 1 FROM synapse_bum_deletion_log))"
    " ORDER BY planned_ts, id LIMIT ?)"
)
# Along the index on planned_ts, backwards. The count reads the whole index: about a second at ten million rows.
_SELECT_NEWEST: Final = f"SELECT {_READ} FROM synapse_bum_deletions ORDER BY planned_ts DESC, id DESC LIMIT ? OFFSET ?"  # noqa: S608
_COUNT: Final = "SELECT count(*) FROM synapse_bum_deletions"


def write(txn: Cursor, deletions: Sequence[Deletion]) -> list[Deletion]:
    """Writes new deletions, except those of files that have an open one.

    Args:
        txn: in a transaction.
        deletions: of different files; their `id` is not looked at: the database gives one.

    Returns:
        Those that were written, with their ids.
    """
    ids: dict[_FileKey, int] = {}
    for chunk in in_chunks(deletions, _WIDTH):
        values = [value for deletion in chunk for value in _values(deletion)]
        txn.execute(_INSERT.format(rows_of_marks(len(chunk), _WIDTH)), values)
        ids.update(((row[1], row[2], row[3], row[4]), row[0]) for row in txn.fetchall())
    keys = [(deletion.kind.value, deletion.server_name, deletion.media_id, deletion.file_id) for deletion in deletions]
    return [attr.evolve(deletion, id=ids[key]) for deletion, key in zip(deletions, keys, strict=True) if key in ids]


def open_deletions(txn: Cursor, files: Sequence[StoredMedia]) -> dict[StoredMedia, Deletion]:
    """Reads the deletions of files that are not finished; files without one are not in the answer."""
    found: dict[StoredMedia, Deletion] = {}
    for chunk in in_chunks(files, 4):
        by_key = {(Kind.of(file).value, file.server_name, file.media_id, file.file_id): file for file in chunk}
        txn.execute(_SELECT_OPEN.format(rows_of_marks(len(by_key), 4)), [part for key in by_key for part in key])
        for deletion in map(_read, txn.fetchall()):
            key = (deletion.kind.value, deletion.server_name, deletion.media_id, deletion.file_id)
            found[by_key[key]] = deletion
    return found


def any_due(txn: Cursor, now_ms: int) -> bool:
    """Whether the remover has something to do."""
    txn.execute(_ANY_DUE, (now_ms,))
    return txn.fetchone() is not None


def due(txn: Cursor, now_ms: int, limit: int) -> list[Deletion]:
    """Reads open deletions whose time has come, the longest waiting first."""
    txn.execute(_SELECT_DUE, (now_ms, limit))
    return [_read(row) for row in txn.fetchall()]


def advance(txn: Cursor, deletion_ids: Collection[int], new: DeletionState) -> set[int]:
    """Takes deletions one step further, by compare-and-set: of two processes that try, one does it.

    Returns:
        Those that made the step here, without those that the table does not allow it from the state they have by now.
    """
    return _step(txn, _ADVANCE, deletion_ids, new, (new.value,))


def finish(txn: Cursor, deletion_ids: Collection[int], now_ms: int) -> set[int]:
    """Takes deletions to their end. Returns as `advance`."""
    new = DeletionState.DROPPED
    return _step(txn, _FINISH, deletion_ids, new, (new.value, now_ms))


def _step(
    txn: Cursor, update: str, deletion_ids: Collection[int], new: DeletionState, values: tuple[object, ...]
) -> set[int]:
    before = sorted(state.value for state in DELETION_STATES.before(new))
    stepped: set[int] = set()
    for chunk in in_chunks(sorted(deletion_ids), 1):
        txn.execute(update.format(marks(len(chunk)), marks(len(before))), (*values, *chunk, *before))
        stepped.update(row[0] for row in txn.fetchall())
    return stepped


def put_off(
    txn: Cursor, deletion_ids: Collection[int], until_ms: int, error: str | None, *, failed: bool = True
) -> None:
    """Has the remover look at deletions later.

    Args:
        txn: in a transaction.
        deletion_ids: which.
        until_ms: when, in ms since the epoch.
        error: why it failed; None when they only have to wait.
        failed: whether that was an attempt, after which the next one comes later than this one did.
    """
    attempts = int(failed and error is not None)
    for chunk in in_chunks(sorted(deletion_ids), 1):
        txn.execute(_PUT_OFF.format(marks(len(chunk))), (until_ms, error, attempts, *chunk))


def drop_older(txn: Cursor, before_ms: int, limit: int) -> int:
    """Forgets finished deletions, the oldest first; never an open one, nor one that a log of deletions still wants.

    Args:
        txn: in a transaction.
        before_ms: those that were finished before this, in ms since the epoch.
        limit: at most so many.

    Returns:
        How many were forgotten; fewer than `limit` when no more are left.
    """
    txn.execute(_DROP_OLDER, (before_ms, before_ms, limit))
    return txn.rowcount


def count_open(txn: Cursor) -> tuple[int, int]:
    """How many deletions are not finished, and how many of these have failed at their last attempt."""
    txn.execute(_COUNT_OPEN)
    row = txn.fetchone()
    return (row[0], row[1]) if row else (0, 0)


def overdue(txn: Cursor, policy: str, planned_until_ms: int) -> Overdue:
    """Measures what a rule has decided to delete and what should be gone by now.

    Args:
        txn: in a transaction.
        policy: the rule.
        planned_until_ms: what was decided up to this time should be gone, and what has failed since; ms since the
            epoch.
    """
    txn.execute(_OVERDUE, (policy, planned_until_ms))
    items, size_bytes, oldest_ts = txn.fetchone() or (0, None, None)
    # PostgreSQL sums to numeric.
    return Overdue(items, int(size_bytes or 0), oldest_ts)


def list_deletions(txn: Cursor, offset: int, limit: int) -> tuple[list[Deletion], int]:
    """Reads a page of the journal, newest first.

    Returns:
        The page, and how many rows there are in all.
    """
    txn.execute(_COUNT)
    counted = txn.fetchone()
    txn.execute(_SELECT_NEWEST, (limit, offset))
    return [_read(row) for row in txn.fetchall()], counted[0] if counted else 0


def _values(deletion: Deletion) -> tuple[object, ...]:
    return (
        deletion.kind.value,
        deletion.server_name,
        deletion.media_id,
        deletion.file_id,
        int(deletion.url_cache),
        deletion.uploader,
        deletion.size_bytes,
        deletion.thumbnail_bytes,
        deletion.created_ts,
        deletion.quarantined_by,
        deletion.policy,
        deletion.actor,
        deletion.reason,
        deletion.after.value,
        deletion.state.value,
        deletion.planned_ts,
        deletion.next_try_ts,
    )


def _read(row: tuple[Any, ...]) -> Deletion:
    values = dict(zip(_READ_NAMES, row, strict=True))
    values["kind"] = Kind(values["kind"])
    values["url_cache"] = bool(values["url_cache"])
    values["after"] = After(values.pop("leaves"))
    values["state"] = DeletionState(values["state"])
    return Deletion(**values)
