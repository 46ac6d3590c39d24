"""Files without rows: every place is walked folder by folder, and some hundred files at a time are looked up.

A thumbnail is judged by the row of its file: it is made anew, and goes with it. The file of a tombstone should be gone.
"""

from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

from twisted.internet.defer import CancelledError

from synapse_bum.deletion.folders import NotTheMediaStoreError
from synapse_bum.deletion.listings import HangsError, Looker, Walk
from synapse_bum.deletion.survey import Survey
from synapse_bum.deletion.walk import Found, Unlike, only_files
from synapse_bum.homeserver import file_rows, stored_ids
from synapse_bum.homeserver.media_layout import Shelf
from synapse_bum.storage.orphans.look import SETTLED_MS, Look
from synapse_bum.storage.orphans.remote_ids import RemoteIds

R = TypeVar("R")

CHUNK: Final = 500
"""Files that are looked at in one step."""

MIN_AGE_MS: Final = 7 * 86_400_000
"""No younger file is removed."""


class PlaceError(Exception):
    """A place did not answer a question; the text is what it raised."""


async def _asked(answer: Awaitable[R]) -> R:
    """What a place answers: it raises what it likes, while an error of the database ends the whole look.

    Raises:
        HangsError: it does not answer.
        NotTheMediaStoreError: its volume seems not to be mounted.
        PlaceError: anything else.
    """
    try:
        return await answer
    except (HangsError, NotTheMediaStoreError, CancelledError):
        raise
    except Exception as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PlaceError(f"{type(error).__name__}: {what}") from error


class FileSide:
    """Looks for files without rows, at one place after the other."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._report = look.report

    async def look_at(self, place: Looker) -> Survey:
        """Walk through all folders of a place.

        Returns:
            What can be removed of it, and whether that is to be believed.
        """
        survey = Survey()
        for shelf in Shelf:
            try:
                await self._look_at_shelf(place, shelf, survey)
            except NotTheMediaStoreError as error:
                if await self._look.database.run("synapse_bum_storage_orphans_any", file_rows.any_rows):
                    self._report.add_unseen(place.name, ".", str(error))
                break
            except HangsError as error:
                self._report.add_unseen(place.name, shelf.value, str(error))
                break
            except PlaceError as error:
                self._report.add_unseen(place.name, shelf.value, str(error))
        if not survey.is_believable:
            self._report.disbelieved.append(place.name)
        return survey

    async def _look_at_shelf(self, place: Looker, shelf: Shelf, survey: Survey) -> None:
        walk = place.walk(shelf)
        remote = RemoteIds(self._look.database, self._look.now_ms)
        while (found := await self._next(place, walk)) is not None:
            files = only_files(found)
            self._report.unlike += len(found) - len(files)
            self._report.files += len(files)
            if shelf.is_remote:
                await self._judge_remote(place, remote, files, survey)
            else:
                await self._judge_local(place, files, survey)
            await self._look.pause()

    async def _next(self, place: Looker, walk: Walk) -> list[Found | Unlike] | None:
        found = await _asked(place.take(walk, CHUNK))
        for path, reason in walk.unreadable:
            self._report.add_unseen(place.name, path, reason.strerror or str(reason))
        walk.unreadable.clear()
        return found or None

    async def _judge_local(self, place: Looker, files: Sequence[Found], survey: Survey) -> None:
        now_ms = self._look.now_ms()
        old = self._settled(files, now_ms)
        ids = {file_id for file in old for file_id in file.owner.file_ids}
        stored = await self._look.database.run("synapse_bum_storage_orphans_local", stored_ids.stored_local, ids)
        without_row = [file for file in old if stored.isdisjoint(file.owner.file_ids)]
        survey.looked_at += len(old) - len(without_row)
        if without_row:
            # A file that has been deleted since it was seen has lost its row with it.
            left = await _asked(place.present([file.path for file in without_row]))
            for file in without_row:
                if file.path in left.there:
                    self._count(place, file, survey, now_ms)

    async def _judge_remote(self, place: Looker, remote: RemoteIds, files: Sequence[Found], survey: Survey) -> None:
        now_ms = self._look.now_ms()
        for file in files:
            server_name, file_id = file.owner.server_name or "", file.owner.file_ids[0]
            window = await remote.window_for(server_name, file_id)
            if not self._settled([file], window.read_ms):
                continue
            if file_id in window.files:
                survey.looked_at += 1
            elif file_id in window.tombstones:
                survey.looked_at += 1
                self._note(place, file)
                if _is_old(file, now_ms):
                    survey.collect(file)
            else:
                self._count(place, file, survey, now_ms)

    def _settled(self, files: Sequence[Found], known_ms: int) -> list[Found]:
        """Those whose row must have been there when rows were read."""
        settled = [file for file in files if file.mtime_ns <= (known_ms - SETTLED_MS) * 1_000_000]
        self._report.young += len(files) - len(settled)
        return settled

    def _count(self, place: Looker, file: Found, survey: Survey, now_ms: int) -> None:
        survey.count(file, has_row=False, is_old=_is_old(file, now_ms))
        self._note(place, file)

    def _note(self, place: Looker, file: Found) -> None:
        self._report.add_file_without_row(place.name, file.owner.shelf, file.path, file.size_bytes)


def _is_old(file: Found, now_ms: int) -> bool:
    return file.mtime_ns <= (now_ms - MIN_AGE_MS) * 1_000_000
