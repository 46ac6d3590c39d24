"""What a look for orphans has found, and what it could not look at. Pure.

What was not looked at is never "no orphans": it is named, and the report is not complete then.
"""

from collections.abc import Mapping
from typing import Any, Final

import attr

from synapse_bum.homeserver.media_layout import Shelf

MAX_SAMPLE: Final = 10
"""Paths that are named of each kind of orphan."""

MAX_UNSEEN: Final = 50
"""Things that are named which could not be looked at; more are counted."""

MAX_REASON_CHARS: Final = 300


class Tally:
    """Orphans of one kind.

    Attributes:
        items: how many.
        size_bytes: of them.
        sample: paths of the first.
    """

    def __init__(self) -> None:
        self.items = 0
        self.size_bytes = 0
        self.sample: list[str] = []

    def add(self, path: str, size_bytes: int) -> None:
        """Count one."""
        self.items += 1
        self.size_bytes += size_bytes
        if len(self.sample) < MAX_SAMPLE:
            # A name on a disk need not be text.
            self.sample.append(path.encode(errors="backslashreplace").decode())


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Unseen:
    """Something that could not be looked at.

    Attributes:
        place: where.
        what: a folder or a path there.
        reason: why not.
    """

    place: str
    what: str
    reason: str


class Report:
    """Counts while the look goes on.

    Attributes:
        files: that were looked at, at all places.
        rows: likewise; each with its thumbnails.
        unlike: what lies at these places and is no file of Synapse's.
        young: files that were left out because their row may be on its way.
        undecided: rows whose file may be where nobody could look.
        disbelieved: places of which so many files have no row that the database seems not to belong to them.
        has_failed: whether something could not be looked at that should have been.
    """

    def __init__(self) -> None:
        self.files = 0
        self.rows = 0
        self.unlike = 0
        self.young = 0
        self.undecided = 0
        self.disbelieved: list[str] = []
        self.has_failed = False
        self._without_row: dict[tuple[str, Shelf], Tally] = {}
        self._without_file: dict[Shelf, Tally] = {}
        self._unseen: dict[tuple[str, str], Unseen] = {}
        self._more_unseen = 0

    def add_file_without_row(self, place: str, shelf: Shelf, path: str, size_bytes: int) -> None:
        """Count a file that no row knows."""
        self._without_row.setdefault((place, shelf), Tally()).add(path, size_bytes)

    def add_row_without_file(self, shelf: Shelf, path: str, size_bytes: int) -> None:
        """Count a row whose file is nowhere."""
        self._without_file.setdefault(shelf, Tally()).add(path, size_bytes)

    def add_unseen(self, place: str, what: str, reason: str, *, is_failure: bool = True) -> None:
        """Note what could not be looked at.

        Args:
            place: where.
            what: a folder or a path there.
            reason: why not.
            is_failure: False where nobody can ever look at it.
        """
        self.has_failed = self.has_failed or is_failure
        if (place, what) in self._unseen:
            return
        if len(self._unseen) < MAX_UNSEEN:
            self._unseen[place, what] = Unseen(place, what, reason[:MAX_REASON_CHARS])
        else:
            self._more_unseen += 1

    @property
    def is_complete(self) -> bool:
        """Whether everything was looked at, so that what is not named here is no orphan."""
        return not self._unseen

    @property
    def first_unseen(self) -> Unseen | None:
        """The first thing that could not be looked at."""
        return next(iter(self._unseen.values()), None)

    def is_unseen(self, place: str) -> bool:
        """Whether anything at a place could not be looked at."""
        return self._more_unseen > 0 or any(unseen.place == place for unseen in self._unseen.values())

    def totals(self) -> "Totals":
        """The sums."""
        files, rows = self._without_row.values(), self._without_file.values()
        return Totals(
            sum(tally.items for tally in files),
            sum(tally.size_bytes for tally in files),
            sum(tally.items for tally in rows),
            sum(tally.size_bytes for tally in rows),
        )

    def as_json(self) -> dict[str, Any]:
        """What the API shows, and the table holds."""
        totals = self.totals()
        return {
            "complete": self.is_complete,
            "looked_at": {"files": self.files, "rows": self.rows},
            "files_without_rows": {
                "files": totals.files,
                "bytes": totals.file_bytes,
                "kinds": [
                    {"place": place, "folder": shelf.value, **_shown(tally, "files")}
                    for (place, shelf), tally in self._without_row.items()
                ],
            },
            "rows_without_files": {
                "rows": totals.rows,
                "bytes": totals.row_bytes,
                "kinds": [
                    {"folder": shelf.value, **_shown(tally, "rows")} for shelf, tally in self._without_file.items()
                ],
            },
            "undecided_rows": self.undecided,
            "young_files": self.young,
            "foreign_files": self.unlike,
            "not_looked_at": [attr.asdict(unseen) for unseen in self._unseen.values()],
            "not_looked_at_more": self._more_unseen,
            "disbelieved": list(self.disbelieved),
        }


def _shown(tally: Tally, items: str) -> dict[str, Any]:
    return {items: tally.items, "bytes": tally.size_bytes, "sample": tally.sample}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Totals:
    """The sums of a report.

    Attributes:
        files: without rows.
        file_bytes: of them.
        rows: without files.
        row_bytes: that they should have.
    """

    files: int
    file_bytes: int
    rows: int
    row_bytes: int

    @classmethod
    def read(cls, report: Mapping[str, Any]) -> "Totals":
        """Of what `Report.as_json` has written."""
        files, rows = report["files_without_rows"], report["rows_without_files"]
        return cls(files["files"], files["bytes"], rows["rows"], rows["bytes"])
