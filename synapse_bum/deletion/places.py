"""The places where a file may lie: the media store, and each storage provider. Each removes a batch of files.

A provider that nobody here knows is an error that is said, never a success: its copies can't be removed. It becomes
deletable by having a method `delete_file(path)`, plain or `async`. It gets the path that the provider's `store_file`
got, takes a path that is not there as success, and is called on the reactor's thread, as `store_file` is.

A place that hangs costs its own files time and nobody else's: they are put off, and tried again. A blocking one keeps
its thread until the system call or the request ends (also when Synapse shuts down, which waits for it), and gets no
second one meanwhile.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import attr
from synapse.module_api import ModuleApi

from synapse_bum.deletion.folders import Folder
from synapse_bum.deletion.s3 import bucket_of
from synapse_bum.homeserver import media_deletion
from synapse_bum.homeserver.media_deletion import MediaPaths
from synapse_bum.homeserver.threads import Threads
from synapse_bum.homeserver.time_limit import OutOfTimeError, within

MAX_DETAIL_CHARS: Final = 300

BUDGET_S: Final = 20.0
"""So long a batch may begin with another of its files at one place; the rest is put off."""

LAST_STEP_S: Final = 30.0
"""So long a provider may take for one file, and a blocking place for what it has begun when its budget ends."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Fault:
    """Why a file may still be at a place.

    Attributes:
        place: where.
        kind: of the fault, one word: equal faults of many files have the same.
        detail: for the operator; may name the file.
        tried: whether the place was asked to remove the file at all.
    """

    place: str
    kind: str
    detail: str
    tried: bool = True

    @classmethod
    def of(cls, place: str, error: Exception) -> "Fault":
        """What an exception says."""
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return cls(place, type(error).__name__, what[:MAX_DETAIL_CHARS])

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}: {self.detail}"


Faults = list[Fault | None]
"""One for each file of a batch, in its order: None when the file is not at this place any more, else why not."""


class Place(Protocol):
    """One place."""

    async def remove(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool]) -> Faults:
        """Remove the files of a batch from this place; never raises for what the place does.

        Args:
            batch: the files; those that are not there are fine.
            go_on: asked before each file, in any thread.
        """


class BlockingPlace(Protocol):
    """A place whose work has to be done in a thread."""

    @property
    def name(self) -> str:
        """What errors call it."""

    def remove(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool]) -> Iterator[tuple[int, Exception | None]]:
        """Remove the files of a batch.

        Args:
            batch: the files; those that are not there are fine.
            go_on: asked before each file; no other file is begun after it has said no.

        Yields:
            Number of a file in the batch, and why it may still be there; None when it is not. As soon as it is known.

        Raises:
            Exception: what it likes; it is the fault of all files that were not yielded.
        """


def _not_reached(place: str) -> Fault:
    return Fault(place, "NotReached", "the place is too slow: others took all the time of this turn", tried=False)


class InThread:
    """A blocking place, worked on in one thread."""

    def __init__(self, api: ModuleApi, threads: Threads, place: BlockingPlace) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            threads: has one for this place whatever the others do.
            place: what is worked on.
        """
        self._api = api
        self._threads = threads
        self._place = place
        self._working = False

    async def remove(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool]) -> Faults:
        """See `Place.remove`."""
        hangs = Fault(self._place.name, "Hangs", "it has not answered for a long time")
        if self._working:
            return [hangs] * len(batch)
        faults: Faults = [hangs] * len(batch)
        self._working = True
        try:
            await within(self._api, BUDGET_S + LAST_STEP_S, self._threads.run, self._work, batch, go_on, faults)
        except OutOfTimeError:
            # The thread goes on, and its list with it.
            return list(faults)
        return faults

    def _work(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool], faults: Faults) -> None:
        try:
            self._remove_each(batch, go_on, faults)
        finally:
            self._working = False

    def _remove_each(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool], faults: Faults) -> None:
        open_numbers = set(range(len(batch)))
        rest = _not_reached(self._place.name)
        try:
            for number, error in self._place.remove(batch, go_on):
                faults[number] = None if error is None else Fault.of(self._place.name, error)
                open_numbers.discard(number)
        except Exception as error:  # noqa: BLE001 - boto3 and file systems raise what they like
            rest = Fault.of(self._place.name, error)
        for number in open_numbers:
            faults[number] = rest


@attr.s(auto_attribs=True, frozen=True, slots=True)
class DeletableProvider:
    """A storage provider with a `delete_file`."""

    api: ModuleApi
    name: str
    delete_file: Callable[[str], Any]

    async def remove(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool]) -> Faults:
        """See `Place.remove`."""
        return [await self._remove_one(paths) if go_on() else _not_reached(self.name) for paths in batch]

    async def _remove_one(self, paths: MediaPaths) -> Fault | None:
        try:
            await within(self.api, LAST_STEP_S, self._delete, paths)
        except Exception as error:  # noqa: BLE001 - providers raise what they like
            return Fault.of(self.name, error)
        return None

    async def _delete(self, paths: MediaPaths) -> None:
        for path in (paths.file, *paths.thumbnails):
            result = self.delete_file(path)
            if inspect.isawaitable(result):
                await result


@attr.s(auto_attribs=True, frozen=True, slots=True)
class UnknownProvider:
    """A storage provider from which nobody can delete."""

    name: str

    async def remove(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool]) -> Faults:
        """See `Place.remove`."""
        del go_on
        remedy = "give it a method `delete_file(path)`, or remove it from `media_storage_providers`"
        return [Fault(self.name, "CanNotDelete", remedy)] * len(batch)


def place_of(api: ModuleApi, threads: Threads, backend: object) -> Place:
    """The place behind a storage provider."""
    name = f"the storage provider {type(backend).__name__}"
    folder = media_deletion.copy_folder(backend)
    if folder is not None:
        return InThread(api, threads, Folder(f"{name} ({folder})", folder))
    delete_file = getattr(backend, "delete_file", None)
    if callable(delete_file):
        return DeletableProvider(api, name, delete_file)
    bucket = bucket_of(backend)
    return UnknownProvider(name) if bucket is None else InThread(api, threads, bucket)


def all_places(api: ModuleApi) -> list[Place]:
    """Every place of this homeserver, the media store last: a provider's copy would be fetched into it again.

    They know what they are doing: a homeserver has one list, as long as it runs.
    """
    backends = media_deletion.storage_backends(api)
    threads = Threads(api, "synapse_bum_deletion", len(backends) + 1)
    places = [place_of(api, threads, backend) for backend in backends]
    store = media_deletion.media_store(api)
    return places if store is None else [*places, InThread(api, threads, Folder("the media store", store))]
