"""Rows without files: rows are walked in the order of their keys, and their files looked for.

A file that is not in the media store may be at a storage provider. Only what is nowhere is reported, and only where
everybody has answered; other rows are undecided. Rows and files are never changed.
"""

from collections.abc import Sequence
from typing import Final

import attr
from synapse.module_api import LoggingTransaction
from twisted.internet.defer import CancelledError

from synapse_bum.deletion import journal
from synapse_bum.deletion.folders import Presence
from synapse_bum.deletion.listings import Looker
from synapse_bum.homeserver import file_rows, media_deletion
from synapse_bum.homeserver.file_rows import ExpectedFile, FileRow
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.storage.orphans.look import SETTLED_MS, Look

PAGE: Final = 500
"""Rows that are looked at in one step, each with its thumbnails."""

MAX_MISSING: Final = 20_000
"""Files that are not in the media store and wait to be looked for elsewhere, together: some 20 MB."""

RECHECK_AFTER_S: Final = 1.0
"""A file that is being deleted goes before its row: so long is waited before the row is read again."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Missing:
    """A file that was not found yet.

    Attributes:
        file: which.
        may_be_there: whether some place that may have it could not say.
    """

    file: ExpectedFile
    may_be_there: bool


class RowSide:
    """Looks for rows without files."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._report = look.report
        self._missing: list[Missing] = []
        self._silent: set[str] = set()

    async def look(self) -> None:
        """Walk through all rows."""
        if self._look.places.unlisted:
            for name in self._look.places.unlisted:
                reason = "nobody can say which files it has: it is no folder and no S3 bucket"
                self._report.add_unseen(name, ".", reason, is_failure=False)
        own_name = self._look.api.server_name
        after: str | None = ""
        while after is not None:
            rows, after = await self._look.database.run(
                "synapse_bum_storage_orphans_local_rows", file_rows.local_rows, own_name, after, PAGE
            )
            await self._look_at(rows)
        behind: tuple[str, str] | None = ("", "")
        while behind is not None:
            rows, behind = await self._look.database.run(
                "synapse_bum_storage_orphans_remote_rows", file_rows.remote_rows, behind, PAGE
            )
            await self._look_at(rows)
        await self._settle()

    async def _look_at(self, rows: Sequence[FileRow]) -> None:
        settled_ms = self._look.now_ms() - SETTLED_MS
        self._report.rows += len(rows)
        settled = [row for row in rows if row.created_ts <= settled_ms]
        store = self._look.places.store
        expected = await self._look.api.defer_to_thread(file_rows.expected_files, self._look.api, settled)
        if store is None:
            # URL previews are never kept at providers.
            self._missing += [Missing(file, may_be_there=False) for file in expected if not file.media.url_cache]
        else:
            nowhere_yet = [Missing(file, may_be_there=False) for file in expected]
            self._missing += await self._still_missing(store, nowhere_yet)
        if len(self._missing) >= MAX_MISSING:
            await self._settle()
        await self._look.pause()

    async def _still_missing(self, place: Looker, missing: Sequence[Missing]) -> list[Missing]:
        """Those that a place has not."""
        paths = [name for each in missing for name in each.file.names]
        presence = await self._presence(place, paths)
        if presence is None:
            return [attr.evolve(each, may_be_there=True) for each in missing]
        return [
            attr.evolve(each, may_be_there=each.may_be_there or not presence.unknown.isdisjoint(each.file.names))
            for each in missing
            if presence.there.isdisjoint(each.file.names)
        ]

    async def _presence(self, place: Looker, paths: Sequence[str]) -> Presence | None:
        """What a place says; None when it says nothing, and it is not asked again then."""
        if not paths:
            return Presence(frozenset())
        if place.name in self._silent:
            return None
        try:
            presence = await place.present(paths)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - places raise what they like
            self._silent.add(place.name)
            self._report.add_unseen(place.name, "files of rows", f"{type(error).__name__}: {error}")
            return None
        for path in sorted(presence.unknown):
            self._report.add_unseen(place.name, path, presence.reason or "it can't be read")
        return presence

    async def _settle(self) -> None:
        """Look for all that is missing at the providers, and count what is nowhere."""
        missing, self._missing = self._missing, []
        kept_elsewhere = [each for each in missing if not each.file.media.url_cache]
        nowhere = [each for each in missing if each.file.media.url_cache]
        for place in self._look.places.providers:
            kept_elsewhere = await self._still_missing(place, kept_elsewhere)
            await self._look.pause()
        if self._look.places.unlisted:
            kept_elsewhere = [attr.evolve(each, may_be_there=True) for each in kept_elsewhere]
        nowhere += kept_elsewhere
        if not nowhere:
            return
        await self._look.api.sleep(RECHECK_AFTER_S)
        for start in range(0, len(nowhere), PAGE):
            part = nowhere[start : start + PAGE]
            files = list({each.file.media for each in part})
            left = await self._look.database.run("synapse_bum_storage_orphans_again", _rows_left, files)
            for each in part:
                self._count(each, left)
            await self._look.pause()

    def _count(self, missing: Missing, left: "dict[StoredMedia, set[media_deletion.Thumbnail]]") -> None:
        file = missing.file
        thumbnails = left.get(file.media)
        if thumbnails is None or (file.thumbnail is not None and file.thumbnail not in thumbnails):
            return
        if missing.may_be_there:
            self._report.undecided += 1
            return
        path = file.names[0] if file.names else f"{file.shelf.value}/{file.media.media_id!r}"
        self._report.add_row_without_file(file.shelf, path, file.size_bytes)


def _rows_left(
    txn: LoggingTransaction, files: Sequence[StoredMedia]
) -> dict[StoredMedia, set[media_deletion.Thumbnail]]:
    """Those of some files that still have a row and are not just being deleted, with their thumbnails.

    By the unique indexes on files and on open deletions.
    """
    rows = media_deletion.rows_of(txn, files)
    going = journal.open_deletions(txn, list(rows))
    staying = [media for media in rows if media not in going]
    return {media: set(found) for media, found in file_rows.thumbnails_with_bytes(txn, staying).items()}
