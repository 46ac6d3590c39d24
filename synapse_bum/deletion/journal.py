"""The journal of deletions: one row for each file that has to go, with how far it has come.

The table of states is the only place that says what may follow what. Rows stay as the record of what was deleted.
"""

from enum import Enum
from typing import Any, Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.states import StateMachine


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


_WRITTEN: Final = (
    "kind, server_name, media_id, file_id, url_cache, uploader, size_bytes, thumbnail_bytes, created_ts,"
    " quarantined_by, policy, actor, reason, leaves, state, planned_ts, next_try_ts"
)
_READ: Final = f"id, {_WRITTEN}, done_ts, attempts, error"

# Along the unique index of open deletions: one row. A second open deletion of the file is not written.
_INSERT: Final = (
    f"INSERT INTO synapse_bum_deletions ({_WRITTEN})"  # noqa: S608
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_SELECT_OPEN: Final = (
    f"SELECT {_READ} FROM synapse_bum_deletions"  # noqa: S608
    " WHERE kind = ? AND server_name = ? AND media_id = ? AND file_id = ? AND state <> 'dropped'"
)
# Along the index of due rows.
_SELECT_DUE: Final = (
    f"SELECT {_READ} FROM synapse_bum_deletions WHERE state <> 'dropped' AND next_try_ts <= ?"  # noqa: S608
    " ORDER BY next_try_ts, id LIMIT ?"
)
_ANY_DUE: Final = "SELECT 1 FROM synapse_bum_deletions WHERE state <> 'dropped' AND next_try_ts <= ? LIMIT 1"
# The index of due rows from end to end: only open deletions are in it.
_COUNT_OPEN: Final = "SELECT count(*), count(error) FROM synapse_bum_deletions WHERE state <> 'dropped'"
# By primary key: one row.
_PUT_OFF: Final = (
    "UPDATE synapse_bum_deletions SET next_try_ts = ?, error = ?, attempts = attempts + ?"
    " WHERE id = ? AND state <> 'dropped'"
)
_SET_DONE: Final = "UPDATE synapse_bum_deletions SET done_ts = ?, error = NULL WHERE id = ?"
# Along the index on planned_ts, backwards. The count reads the whole index: about a second at ten million rows.
_SELECT_NEWEST: Final = f"SELECT {_READ} FROM synapse_bum_deletions ORDER BY planned_ts DESC, id DESC LIMIT ? OFFSET ?"  # noqa: S608
_COUNT: Final = "SELECT count(*) FROM synapse_bum_deletions"


def write(txn: Cursor, deletion: Deletion) -> bool:
    """Writes a new deletion, unless the file has an open one.

    Args:
        txn: in a transaction.
        deletion: its `id` is not looked at: the database gives one.

    Returns:
        Whether it was written.
    """
    txn.execute(
        _INSERT,
        (
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
        ),
    )
    return txn.rowcount == 1


def open_deletion(txn: Cursor, media: StoredMedia) -> Deletion | None:
    """Reads the deletion of a file that is not finished; None when there is none."""
    kind = Kind.of(media)
    txn.execute(_SELECT_OPEN, (kind.value, media.server_name, media.media_id, media.file_id))
    row = txn.fetchone()
    return None if row is None else _read(row)


def any_due(txn: Cursor, now_ms: int) -> bool:
    """Whether the remover has something to do."""
    txn.execute(_ANY_DUE, (now_ms,))
    return txn.fetchone() is not None


def due(txn: Cursor, now_ms: int, limit: int) -> list[Deletion]:
    """Reads open deletions whose time has come, the longest waiting first."""
    txn.execute(_SELECT_DUE, (now_ms, limit))
    return [_read(row) for row in txn.fetchall()]


def advance(txn: Cursor, deletion_id: int, new: DeletionState) -> bool:
    """Takes a deletion one step further, by compare-and-set: of two processes that try, one does it.

    Returns:
        Whether the step was made here; False when the table does not allow it from the state that the row has by now.
    """
    before = sorted(state.value for state in DELETION_STATES.before(new))
    places = ", ".join("?" * len(before))
    txn.execute(
        f"UPDATE synapse_bum_deletions SET state = ? WHERE id = ? AND state IN ({places})",  # noqa: S608
        (new.value, deletion_id, *before),
    )
    return txn.rowcount == 1


def finish(txn: Cursor, deletion_id: int, now_ms: int) -> bool:
    """Takes a deletion to its end. Returns as `advance`."""
    if not advance(txn, deletion_id, DeletionState.DROPPED):
        return False
    txn.execute(_SET_DONE, (now_ms, deletion_id))
    return True


def put_off(txn: Cursor, deletion_id: int, until_ms: int, error: str | None) -> None:
    """Has the remover look at a deletion later.

    Args:
        txn: in a transaction.
        deletion_id: which.
        until_ms: when, in ms since the epoch.
        error: why it failed; None when it only has to wait.
    """
    txn.execute(_PUT_OFF, (until_ms, error, int(error is not None), deletion_id))


def count_open(txn: Cursor) -> tuple[int, int]:
    """How many deletions are not finished, and how many of these have failed at their last attempt."""
    txn.execute(_COUNT_OPEN)
    row = txn.fetchone()
    return (row[0], row[1]) if row else (0, 0)


def list_deletions(txn: Cursor, offset: int, limit: int) -> tuple[list[Deletion], int]:
    """Reads a page of the journal, newest first.

    Returns:
        The page, and how many rows there are in all.
    """
    txn.execute(_COUNT)
    counted = txn.fetchone()
    txn.execute(_SELECT_NEWEST, (limit, offset))
    return [_read(row) for row in txn.fetchall()], counted[0] if counted else 0


def _read(row: tuple[Any, ...]) -> Deletion:
    values = dict(zip((name.strip() for name in _READ.split(",")), row, strict=True))
    values["kind"] = Kind(values["kind"])
    values["url_cache"] = bool(values["url_cache"])
    values["after"] = After(values.pop("leaves"))
    values["state"] = DeletionState(values["state"])
    return Deletion(**values)
