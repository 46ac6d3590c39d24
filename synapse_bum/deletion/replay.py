"""Bringing a restored database up to date: what the deletion log says was deleted is deleted again.

Only files that came here before their deletion was decided are meant: a remote file that was fetched again afterwards
stays. What has gone, or is on its way, is left alone, so it does no harm to do it twice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.deletion.journal import After, Deletion
from synapse_bum.deletion.log_lines import LoggedFile, UnreadableLineError, read_line
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
        unreadable: lines that are damaged.
    """

    planned: int = 0
    held: int = 0
    unreadable: int = 0

    def __add__(self, other: "Replayed") -> "Replayed":
        return Replayed(self.planned + other.planned, self.held + other.held, self.unreadable + other.unreadable)


def read_lines(lines: Iterable[bytes], own_name: str) -> tuple[list[LoggedFile], int]:
    """Read lines of the log. Pure.

    Args:
        lines: as they stand there.
        own_name: our server's name.

    Returns:
        For each file its last deletion, and how many lines can't be read.
    """
    files: dict[tuple[str, str], LoggedFile] = {}
    unreadable = 0
    for line in lines:
        try:
            file = read_line(line, own_name)
        except UnreadableLineError:
            unreadable += 1
            continue
        if file is not None:
            key = file.server_name, file.media_id
            files[key] = max(files.get(key, file), file, key=lambda logged: logged.planned_ts)
    return list(files.values()), unreadable


def delete_again(
    txn: LoggingTransaction, files: Sequence[LoggedFile], *, own_name: str, now_ms: int, on_replayed: OnReplayed
) -> Replayed:
    """Plan the deletion of every file that is stored here although the log says that it was deleted.

    Args:
        txn: of `Database.run`.
        files: as `read_lines` gives them.
        own_name: our server's name.
        now_ms: ms since the epoch.
        on_replayed: see `OnReplayed`; not called when there is nothing.

    Returns:
        What came of it. The journal names the original policy, actor and reason.
    """
    logged = {(file.server_name, file.media_id): file for file in files}
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
            if plans.planned:
                on_replayed(txn, plans.planned)
    return replayed
