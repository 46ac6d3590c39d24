"""Deciding that a file has to go: in one transaction holds are asked, the journal is written and the file is hidden.

The transaction is the caller's, and so is the audit row: this room stands below the audit. `Planned` carries what the
row needs; nothing else that `plan` returns is a deletion.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.deletion import journal
from synapse_bum.deletion.holds import Hold, held_files
from synapse_bum.deletion.journal import DELETION_STATES, After, Deletion, DeletionState, Kind
from synapse_bum.homeserver import media_deletion
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.media_deletion import MediaRow

AUDIT_ACTION: Final = "media.delete"
"""The action of the audit row that belongs to each `Planned`."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Planned:
    """The file is hidden from the commit on and will be removed. The caller writes one audit row, `AUDIT_ACTION`.

    Attributes:
        deletion: as it stands in the journal.
    """

    deletion: Deletion

    def audit_detail(self) -> dict[str, Any]:
        """What the audit row says of the deletion: its `new`; target, actor and reason stand in `deletion`."""
        return {
            "deletion_id": self.deletion.id,
            "kind": self.deletion.kind.value,
            "policy": self.deletion.policy,
            "size_bytes": self.deletion.size_bytes,
            "uploader": self.deletion.uploader,
            "quarantined_by": self.deletion.quarantined_by,
        }


@attr.s(auto_attribs=True, frozen=True, slots=True)
class AlreadyPlanned:
    """It was decided before, and that goes on; nothing was written.

    Attributes:
        deletion: as it stands in the journal.
    """

    deletion: Deletion


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Held:
    """The file must stay; nothing was written.

    Attributes:
        hold: the one that lasts longest.
    """

    hold: Hold


@attr.s(auto_attribs=True, frozen=True, slots=True)
class NotStored:
    """There is no such file here (any more), or nothing was uploaded to its reserved id; nothing was written."""


Outcome: TypeAlias = Planned | AlreadyPlanned | Held | NotStored


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Plans:
    """What came of many files; each of them is in one of these, in the order in which they were given.

    Attributes:
        planned: see `Planned`. One audit row may stand for all of them.
        already: see `AlreadyPlanned`.
        held: see `Held`.
        not_stored: see `NotStored`.
    """

    planned: tuple[Deletion, ...]
    already: tuple[Deletion, ...]
    held: tuple[tuple[StoredMedia, Hold], ...]
    not_stored: tuple[StoredMedia, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files that were planned, thumbnails included."""
        return sum(deletion.size_bytes + deletion.thumbnail_bytes for deletion in self.planned)


def plan(
    txn: LoggingTransaction,
    file: StoredMedia,
    *,
    policy: str,
    actor: str,
    reason: str | None,
    now_ms: int,
    rooms: Collection[str] = (),
    after: After = After.DROP,
) -> Outcome:
    """Decide that a file is deleted.

    Args:
        txn: of `Database.run`; the caller's own transaction, with whatever else the deletion does to the feature's
            tables. Call `FileRemover.kick` after its commit when this process has one.
        file: as `homeserver.media.stored_media` or a page of it gives it.
        policy: which rule deletes it: `<feature>:<rule>`, a fixed set of words, because it is a label of metrics.
        actor: who: a user id or the name of a job.
        reason: why, in his words; None for a job that follows the configuration.
        now_ms: ms since the epoch.
        rooms: ids of the rooms in which the file is known to be used: their holds count, beside the uploader's.
        after: what Synapse's table holds afterwards.

    Returns:
        What came of it; only `Planned` has changed anything.

    Raises:
        ValueError: the policy is no pair of words, or a local file was to leave a tombstone.
    """
    plans = plan_many(txn, [file], policy=policy, actor=actor, reason=reason, now_ms=now_ms, rooms=rooms, after=after)
    if plans.planned:
        return Planned(plans.planned[0])
    if plans.already:
        return AlreadyPlanned(plans.already[0])
    return Held(plans.held[0][1]) if plans.held else NotStored()


def plan_many(
    txn: LoggingTransaction,
    files: Sequence[StoredMedia],
    *,
    policy: str,
    actor: str,
    reason: str | None,
    now_ms: int,
    rooms: Collection[str] = (),
    after: After | Mapping[StoredMedia, After] = After.DROP,
) -> Plans:
    """Decide that files are deleted: `plan` for many of them, with a handful of statements.

    Two transactions that plan some of the same files wait for each other, never both; the second one finds them
    already planned. With PostgreSQL 200 files take about 30 ms: plan a few hundred in one transaction, not more.

    Args:
        txn: as for `plan`.
        files: one that is named twice counts once.
        policy: as for `plan`.
        actor: as for `plan`.
        reason: as for `plan`.
        now_ms: ms since the epoch.
        rooms: in which all these files are known to be used.
        after: what Synapse's tables hold afterwards, of all files or of each.

    Returns:
        What came of each.

    Raises:
        ValueError: as `plan`; nothing was written.
    """
    if journal.POLICY.fullmatch(policy) is None:
        raise ValueError(f"a policy is named <feature>:<rule>, not {policy!r}")
    files = list(dict.fromkeys(files))
    ends = after if isinstance(after, Mapping) else dict.fromkeys(files, after)
    if any(file.local and ends[file] is After.TOMBSTONE for file in files):
        raise ValueError("a tombstone keeps a remote file from being fetched again; a local one needs none")
    # Before any row is locked: who sets a hold waits for this transaction, and must not be waited for by it.
    held = held_files(txn, files, now_ms, rooms)
    free = [file for file in files if file not in held]
    # Whoever plans one of these files too goes on after our commit, and then finds what we have written.
    rows = media_deletion.lock_rows(txn, free)
    media_deletion.hide(txn, rows)
    DELETION_STATES.check(DeletionState.PLANNED, DeletionState.HIDDEN)  # one write: this transaction has done both
    stored = [file for file in free if file in rows]
    planned = journal.write(
        txn,
        [
            _deletion(file, rows[file], policy=policy, actor=actor, reason=reason, now_ms=now_ms, after=ends[file])
            for file in stored
        ],
    )
    written = {deletion.media for deletion in planned} if len(planned) < len(stored) else frozenset(stored)
    rest = [file for file in stored if file not in written]
    already = journal.open_deletions(txn, rest)
    return Plans(
        planned=tuple(planned),
        # Each has one: nobody can end a deletion whose row is locked here.
        already=tuple(already[file] for file in rest),
        held=tuple((file, held[file]) for file in files if file in held),
        not_stored=tuple(file for file in free if file not in rows),
    )


def _deletion(
    file: StoredMedia, row: MediaRow, *, policy: str, actor: str, reason: str | None, now_ms: int, after: After
) -> Deletion:
    return Deletion(
        id=0,
        kind=Kind.of(file),
        server_name=file.server_name,
        media_id=file.media_id,
        file_id=file.file_id,
        url_cache=file.url_cache,
        uploader=file.uploader,
        size_bytes=row.size_bytes,
        thumbnail_bytes=row.thumbnail_bytes,
        created_ts=row.created_ts,
        quarantined_by=row.quarantined_by,
        policy=policy,
        actor=actor,
        reason=reason,
        after=after,
        state=DeletionState.HIDDEN,
        planned_ts=now_ms,
        next_try_ts=now_ms,
    )
