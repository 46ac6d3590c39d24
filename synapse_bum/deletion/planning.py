"""Deciding that a file has to go: in one transaction holds are asked, the journal is written and the file is hidden.

The transaction is the caller's, and so is the audit row: this room stands below the audit. `Planned` carries what the
row needs; nothing else that `plan` returns is a deletion.
"""

import re
from collections.abc import Collection
from typing import Any, Final, TypeAlias

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.deletion import journal
from synapse_bum.deletion.holds import Hold, holds_on, is_held
from synapse_bum.deletion.journal import After, Deletion, DeletionState, Kind
from synapse_bum.homeserver import media_deletion
from synapse_bum.homeserver.media import StoredMedia

AUDIT_ACTION: Final = "media.delete"
"""The action of the audit row that belongs to each `Planned`."""

_POLICY: Final = re.compile(r"[a-z]+:[a-z_]+", re.ASCII)


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
    if _POLICY.fullmatch(policy) is None:
        raise ValueError(f"a policy is named <feature>:<rule>, not {policy!r}")
    if file.local and after is After.TOMBSTONE:
        raise ValueError("a tombstone keeps a remote file from being fetched again; a local one needs none")
    targets = sorted({*rooms, *([file.uploader] if file.uploader else [])})
    held_by = is_held(holds_on(txn, targets), targets, now_ms)
    if held_by is not None:
        return Held(held_by)
    row = media_deletion.row_of(txn, file)
    if row is None or not media_deletion.hide(txn, file):
        return NotStored()
    written = journal.write(
        txn,
        Deletion(
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
            state=DeletionState.PLANNED,
            planned_ts=now_ms,
            next_try_ts=now_ms,
        ),
    )
    deletion = journal.open_deletion(txn, file)
    if deletion is None:
        raise LookupError(f"the deletion of mxc://{file.server_name}/{file.media_id} is not in the journal")
    if not written:
        return AlreadyPlanned(deletion)
    journal.advance(txn, deletion.id, DeletionState.HIDDEN)
    return Planned(attr.evolve(deletion, state=DeletionState.HIDDEN))
