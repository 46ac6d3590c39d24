"""Whether the files are there that the database of a backup says are stored: a media store may not be mounted.

A row of the dump has its file in the backup, or somebody has deleted that file while the backup was made, or it is
lost. Which of these it is tells the database, asked once more after the files were read.
"""

import functools
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import attr

from synapse_bum.deletion.journal import Kind
from synapse_bum.homeserver.database_copying import has_table
from synapse_bum.homeserver.offline_database import OfflineTransaction
from synapse_bum.homeserver.sql_lists import in_chunks, marks
from synapse_bum.homeserver.stored_local_files import LocalFiles, local_file_ids, with_a_row

_JOURNAL: Final = "synapse_bum_deletions"
# Along the unique index of open deletions, by the three columns that it begins with.
_BEING_DELETED: Final = (
    "SELECT media_id FROM synapse_bum_deletions"
    " WHERE kind = ? AND server_name = ? AND media_id IN ({}) AND state <> 'dropped'"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Missing:
    """What is not in a backup although the dump has a row for it.

    Attributes:
        rows: how many files the dump has rows for.
        lost: media ids of files that should be there.
        gone: of those that were deleted while the backup was made.
        elsewhere: how many are only where no backup of ours reaches: in a storage provider that is no folder.
    """

    rows: int
    lost: tuple[str, ...]
    gone: tuple[str, ...]
    elsewhere: int


def note_rows(txn: OfflineTransaction, target: Path) -> None:
    """Write down which files the dump has rows for, a line each.

    Args:
        txn: in the transaction of the dump.
        target: a new file.
    """
    with target.open("w", encoding="ascii") as file:
        file.writelines(f"{media_id}\n" for media_id in local_file_ids(txn))


def look_for_files(rows: Path, folders: Sequence[Path], saved: Sequence[Path]) -> tuple[int, list[str]]:
    """Look for the files after they were read, one look for each.

    Args:
        rows: as `note_rows` has written it.
        folders: where Synapse looks for them.
        saved: folders that were read, without links in their paths; what only links lead to was not.

    Returns:
        How many there should be, and which are not there.
    """
    files, count, missing = LocalFiles(folders), 0, []

    # The rows come in the order of media ids, and so of folders.
    @functools.lru_cache(maxsize=1_000)
    def was_read(folder: Path) -> bool:
        real = folder.resolve()
        return any(real.is_relative_to(one) for one in saved)

    with rows.open(encoding="ascii") as lines:
        for line in lines:
            count += 1
            media_id = line.rstrip("\n")
            path = files.path_of(media_id)
            if path is None or path.is_symlink() or not was_read(path.parent):
                missing.append(media_id)
    return count, missing


def really_lost(
    txn: OfflineTransaction, server_name: str, missing: Collection[str], *, is_postgres: bool
) -> Sequence[str]:
    """Leave out what was deleted meanwhile.

    Args:
        txn: of the living database.
        server_name: of the homeserver.
        missing: as `look_for_files` has found them.
        is_postgres: what kind of database it is.
    """
    lost = with_a_row(txn, sorted(missing))
    return sorted(lost - being_deleted(txn, server_name, sorted(lost), is_postgres=is_postgres))


def being_deleted(
    txn: OfflineTransaction, server_name: str, media_ids: Sequence[str], *, is_postgres: bool
) -> set[str]:
    """Those of some media ids whose deletion was decided and has not ended: their files may have gone before them.

    Args:
        txn: in a transaction.
        server_name: of the homeserver.
        media_ids: any number.
        is_postgres: what kind of database it is.
    """
    if not media_ids or not has_table(txn, _JOURNAL, is_postgres=is_postgres):
        return set()
    found = set()
    for chunk in in_chunks(media_ids, 1):
        txn.execute(_BEING_DELETED.format(marks(len(chunk))), (Kind.LOCAL_MEDIA.value, server_name, *chunk))
        found |= {str(media_id) for (media_id,) in txn.fetchall()}
    return found


def are_given_up(missing: Missing, accepted: int) -> bool:
    """Whether somebody knows of all files that are lost. Pure.

    Args:
        missing: what is not there.
        accepted: how many lost files the operator knows; where all are lost, the disk may just not be mounted: then
            only the very number counts.
    """
    lost = len(missing.lost)
    return lost == accepted or lost < min(accepted, missing.rows) or not lost
