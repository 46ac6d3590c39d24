"""Bringing a restored database up to date: what the deletion log says was deleted is deleted again.

Only files that came here before their deletion was decided are meant: a remote file that was fetched again afterwards
stays. What has gone, or is on its way, is left alone, so it does no harm to do it twice. What is on hold stays until
the hold ends (`held_again.py`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.deletion import held_again
from synapse_bum.deletion.journal import After, Deletion
from synapse_bum.deletion.log_lines import LoggedFile
from synapse_bum.deletion.planning import plan_many
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.stored_since import stored_since

PLANNED_AT_ONCE: Final = 200
"""Files of one `plan_many`: transactions stay short."""

OnReplayed: TypeAlias = Callable[[LoggingTransaction, Sequence[Deletion]], None]
"""Gets the deletions of one transaction, in it: for the audit, which stands above this room."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Replayed:
    """What came of some lines.

    Attributes:
        planned: files that were still stored and are deleted again.
        held: files that were still stored and stay, because they are on hold.
        torn: lines that were never finished.
    """

    planned: int = 0
    held: int = 0
    torn: int = 0

    def __add__(self, other: "Replayed") -> "Replayed":
        return Replayed(self.planned + other.planned, self.held + other.held, self.torn + other.torn)


def last_deletions(files: Iterable[LoggedFile]) -> Mapping[tuple[str, str], LoggedFile]:
    """Find the last deletion of each file. Pure.

    Args:
        files: as the lines of the log name them.

    Returns:
        By server name and media id.
    """
    last: dict[tuple[str, str], LoggedFile] = {}
    for file in files:
        key = file.server_name, file.media_id
        last[key] = max(last.get(key, file), file, key=lambda logged: logged.planned_ts)
    return last


def delete_again(
    txn: LoggingTransaction, files: Iterable[LoggedFile], *, own_name: str, now_ms: int, on_replayed: OnReplayed
) -> Replayed:
    """Plan the deletion of every file that is stored here although the log says that it was deleted.

    Args:
        txn: of `Database.run`.
        files: as the lines of the log name them.
        own_name: our server's name.
        now_ms: ms since the epoch.
        on_replayed: see `OnReplayed`; not called when there is nothing.

    Returns:
        What came of it. The journal names the original policy, actor and reason.
    """
    logged = last_deletions(files)
    groups = defaultdict[tuple[str, str, str | None, After], list[StoredMedia]](list)
    for media, created_ts in stored_since(txn, logged, own_name).items():
        file = logged[media.server_name, media.media_id]
        if created_ts <= file.planned_ts:
            groups[file.policy, file.actor, file.reason, file.after].append(media)
    replayed = Replayed()
    for (policy, actor, reason, after), stored in groups.items():
        for start in range(0, len(stored), PLANNED_AT_ONCE):
            plans = plan_many(
                txn,
                stored[start : start + PLANNED_AT_ONCE],
                policy=policy,
                actor=actor,
                reason=reason,
                now_ms=now_ms,
                after=after,
            )
            replayed += Replayed(planned=len(plans.planned), held=len(plans.held))
            held_again.keep(txn, [logged[media.server_name, media.media_id] for media, _ in plans.held])
            if plans.planned:
                on_replayed(txn, plans.planned)
    return replayed


def delete_held_again(txn: LoggingTransaction, *, own_name: str, now_ms: int, on_replayed: OnReplayed) -> Replayed:
    """Plan the deletion of those files that stayed because of a hold which has ended since; see `delete_again`."""
    files = held_again.take(txn)
    if not files:
        return Replayed()
    return delete_again(txn, files, own_name=own_name, now_ms=now_ms, on_replayed=on_replayed)
