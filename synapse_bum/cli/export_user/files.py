"""The person's files: copied, or named with the reason why not.

Copies are made after the snapshot is closed, since they may take long. At the end a second look takes back what was
blocked or deleted in between: nobody gets from an export what the server would refuse.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum.antivirus.findings.finding import BLOCKED_STATES, FindingState
from synapse_bum.antivirus.quarantine import arrivals, holding
from synapse_bum.cli.export_user.destination import Destination
from synapse_bum.cli.export_user.file_copies import NotCopiedError, Places
from synapse_bum.cli.export_user.file_names import copy_name
from synapse_bum.cli.export_user.json_array import JsonArray
from synapse_bum.csv_cells import END_OF_ROW, quoted
from synapse_bum.homeserver.database_snapshot import Snapshot
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER
from synapse_bum.homeserver.personal_files import PersonalFile, still_shown

FOLDER: Final = "files"
COPIED: Final = "copied"
OUT_OF_REACH: Final = frozenset({"unreadable", "elsewhere"})
"""Of files that may well be there: an export with one of them is not complete."""

# By the index on the person's files and the primary key of findings. A file whose quarantine failed is one of them, and
# one that was deleted and is back with a restored database.
_INFECTED: Final = (
    "SELECT m.media_id FROM local_media_repository AS m INNER JOIN synapse_bum_antivirus_findings AS f"
    " ON f.server_name = ? AND f.media_id = m.media_id WHERE m.user_id = ? AND f.state IN (?, ?, ?)"
)
_NEVER_GIVEN: Final = tuple(sorted(state.value for state in (*BLOCKED_STATES, FindingState.DELETED)))

_HELD: Final = frozenset({holding.MARKER, arrivals.MARKER})
_COLUMNS: Final = ("mxc", "file", "status", "name", "type", "size_bytes", "created_ts")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class FileEntry:
    """A file of the person and what became of it.

    Attributes:
        mxc: its address in Matrix.
        number: counts from 1.
        source: as Synapse's table has it.
        status: `copied`; else why not: `blocked`, `held`, `being_deleted`, `not_uploaded`, `missing`, `damaged`,
            `unreadable`, `elsewhere`, `withdrawn` (blocked or deleted while the export was made).
        reason: the same in a sentence; None where the word says it all.
    """

    mxc: str
    number: int
    source: PersonalFile
    status: str
    reason: str | None = None

    @property
    def name(self) -> str:
        """Of its copy, whether there is one or not."""
        return copy_name(self.number, self.source.upload_name, self.source.media_type)

    @property
    def file(self) -> str | None:
        """Of its copy, relative to the export; None where there is none."""
        return f"{FOLDER}/{self.name}" if self.status == COPIED else None

    def as_json(self) -> dict[str, Any]:
        """The entry in `files.json`."""
        return {
            "mxc": self.mxc,
            "file": self.file,
            "status": self.status,
            "reason": self.reason,
            "name": self.source.upload_name,
            "type": self.source.media_type,
            "size_bytes": self.source.size_bytes,
            "created_ts": self.source.created_ts,
            "last_access_ts": self.source.last_access_ts,
        }


def infected(snapshot: Snapshot, user_id: str) -> frozenset[str]:
    """The ids of a person's files with a virus in them that nobody has released, quarantined or not."""
    if not snapshot.columns("synapse_bum_antivirus_findings"):
        return frozenset()
    server_name = user_id.partition(":")[2]
    return frozenset(media_id for (media_id,) in snapshot.rows(_INFECTED, (server_name, user_id, *_NEVER_GIVEN)))


def planned(server_name: str, files: Iterator[PersonalFile], never_given: frozenset[str]) -> list[FileEntry]:
    """Decide from Synapse's rows what can be copied. Pure.

    Args:
        server_name: of the homeserver.
        files: of the person.
        never_given: ids of those with a virus in them.
    """
    return [
        FileEntry(f"mxc://{server_name}/{each.media_id}", number, each, _status_of(each, never_given))
        for number, each in enumerate(files, 1)
    ]


def copy_files(destination: Destination, places: Places, entries: Sequence[FileEntry]) -> list[FileEntry]:
    """Copy what can be copied.

    Returns:
        The entries with what became of them.

    Raises:
        OSError: the destination can't be written.
    """
    if entries:
        destination.folder(FOLDER)
    return [_copied(destination, places, entry) if entry.status == COPIED else entry for entry in entries]


def take_back(
    destination: Destination, snapshot: Snapshot, user_id: str, entries: Sequence[FileEntry]
) -> list[FileEntry]:
    """Remove copies of files that Synapse does not serve any more."""
    shown = set(still_shown(snapshot, user_id)) - infected(snapshot, user_id)
    kept: list[FileEntry] = []
    for entry in entries:
        if entry.file is not None and entry.source.media_id not in shown:
            Path(destination.path, entry.file).unlink()
            kept.append(attr.evolve(entry, status="withdrawn"))
        else:
            kept.append(entry)
    return kept


def write_lists(destination: Destination, entries: Sequence[FileEntry]) -> None:
    """Write `data/files.json`, and `files/index.csv` where there are files."""
    with JsonArray(destination.text("data/files.json")) as array:
        for entry in entries:
            array.add(entry.as_json())
    if not entries:
        return
    with destination.text(f"{FOLDER}/index.csv") as file:
        file.write(",".join(_COLUMNS) + END_OF_ROW)
        for entry in entries:
            values = entry.as_json()
            file.write(",".join(_cell(values[name]) for name in _COLUMNS) + END_OF_ROW)


def _cell(value: object) -> str:
    return str(value) if isinstance(value, int) else quoted("" if value is None else str(value))


def _status_of(file: PersonalFile, never_given: frozenset[str]) -> str:
    if file.size_bytes is None:
        return "not_uploaded"
    if file.media_id in never_given and file.quarantined_by != HIDDEN_MARKER:
        return "blocked"
    if file.quarantined_by is None:
        return COPIED
    if file.quarantined_by == HIDDEN_MARKER:
        return "being_deleted"
    return "held" if file.quarantined_by in _HELD else "blocked"


def _copied(destination: Destination, places: Places, entry: FileEntry) -> FileEntry:
    size_bytes = entry.source.size_bytes
    if entry.file is None or size_bytes is None:
        return entry
    try:
        with destination.binary(entry.file) as target:
            places.copy(entry.source.media_id, size_bytes, target)
    except NotCopiedError as error:
        Path(destination.path, entry.file).unlink()
        return attr.evolve(entry, status=error.status, reason=str(error))
    return entry
