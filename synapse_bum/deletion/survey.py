"""What a look through the media store has found, and whether it is to be believed. Pure."""

import heapq
import zlib
from collections.abc import Collection
from typing import Final

import attr

from synapse_bum.deletion.walk import Found

MAX_STRAYS: Final = 100_000
"""So many are removed after one look; the rest after the next."""

ENOUGH_TO_JUDGE: Final = 100
"""Files from which on a share says something."""

MAX_SHARE: Final = 0.2
"""When more files than this share have no row, it is the database that is wrong, not the files."""

SAMPLE: Final = 1_000
"""Of so many young files of each other server it is asked whether they have rows."""


class Survey:
    """Counts what was looked at, and collects what is to go.

    Attributes:
        looked_at: files.
        without_row: how many of them have no row; of young files of other servers an estimate.
        unlike: what is no file of Synapse's.
        strays: what is to go, at most `MAX_STRAYS`.
        overflowed: whether there were more.
    """

    def __init__(self) -> None:
        self.looked_at = 0
        self.without_row = 0.0
        self.unlike = 0
        self.strays: list[Found] = []
        self.overflowed = False

    @property
    def is_believable(self) -> bool:
        """Whether the database belongs to this media store, as far as one can see."""
        return self.looked_at < ENOUGH_TO_JUDGE or self.without_row <= MAX_SHARE * self.looked_at

    def count(self, file: Found, *, has_row: bool, is_old: bool) -> None:
        """Take note of a file, and collect it when it is old and has no row."""
        self.looked_at += 1
        if not has_row:
            self.without_row += 1
            if is_old:
                self.collect(file)

    def count_share(self, files: int, sample: int, without_row: int) -> None:
        """Take note of files of which only some were asked about.

        Args:
            files: how many there are.
            sample: how many of them were asked about.
            without_row: how many of these have no row.
        """
        self.looked_at += files
        if sample:
            self.without_row += files * without_row / sample

    def collect(self, file: Found) -> None:
        """Have a file removed."""
        if len(self.strays) < MAX_STRAYS:
            self.strays.append(file)
        else:
            self.overflowed = True


class YoungSample:
    """A fair sample of the young files of one server, whatever their number: those with the smallest checksums.

    Attributes:
        files: how many were seen.
    """

    def __init__(self) -> None:
        self.files = 0
        self._chosen: list[tuple[int, str]] = []

    def add(self, file: Found) -> None:
        """Take note of a file."""
        self.files += 1
        item = (-zlib.crc32(file.path.encode(errors="surrogateescape")), file.owner.file_ids[0])
        if len(self._chosen) < SAMPLE:
            heapq.heappush(self._chosen, item)
        else:
            heapq.heappushpop(self._chosen, item)

    @property
    def file_ids(self) -> list[str]:
        """Ids of the chosen files; an id counts as often as it has files."""
        return [file_id for _checksum, file_id in self._chosen]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Rows:
    """What the database says of some ids of one server.

    Attributes:
        files: those that have a row with a file.
        tombstones: those whose row is a tombstone: their file should be gone.
    """

    files: Collection[str]
    tombstones: Collection[str]

    def has(self, file_id: str) -> bool:
        """Whether there is any row."""
        return file_id in self.files or file_id in self.tombstones
