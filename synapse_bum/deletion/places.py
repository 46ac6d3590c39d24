"""The places where a file may lie: the media store, and each storage provider. Each removes a batch of files.

A provider that nobody here knows is an error that is said, never a success: its copies can't be removed. It becomes
deletable by having a method `delete_file(path)`, plain or `async`. It gets the path that the provider's `store_file`
got, takes a path that is not there as success, and is called on the reactor's thread, as `store_file` is.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attr
from synapse.module_api import ModuleApi

from synapse_bum.deletion.folders import Folder
from synapse_bum.deletion.s3 import bucket_of
from synapse_bum.homeserver import media_deletion
from synapse_bum.homeserver.media_deletion import MediaPaths

MAX_DETAIL_CHARS = 300


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Fault:
    """Why a file may still be at a place.

    Attributes:
        place: where.
        kind: of the fault, one word: equal faults of many files have the same.
        detail: for the operator; may name the file.
    """

    place: str
    kind: str
    detail: str

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

    def remove(self, paths: MediaPaths) -> None:
        """Remove one file; raises what it likes."""


def _not_reached(place: str) -> Fault:
    return Fault(place, "NotReached", "the lease was lost before this file's turn")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class InThread:
    """A blocking place, worked on in one thread, one file after the other."""

    api: ModuleApi
    place: BlockingPlace

    async def remove(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool]) -> Faults:
        """See `Place.remove`."""
        return await self.api.defer_to_thread(self._remove_each, batch, go_on)

    def _remove_each(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool]) -> Faults:
        return [self._remove_one(paths) if go_on() else _not_reached(self.place.name) for paths in batch]

    def _remove_one(self, paths: MediaPaths) -> Fault | None:
        try:
            self.place.remove(paths)
        except Exception as error:  # noqa: BLE001 - boto3 and file systems raise what they like
            return Fault.of(self.place.name, error)
        return None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class DeletableProvider:
    """A storage provider with a `delete_file`."""

    name: str
    delete_file: Callable[[str], Any]

    async def remove(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool]) -> Faults:
        """See `Place.remove`."""
        return [await self._remove_one(paths) if go_on() else _not_reached(self.name) for paths in batch]

    async def _remove_one(self, paths: MediaPaths) -> Fault | None:
        try:
            for path in (paths.file, *paths.thumbnails):
                result = self.delete_file(path)
                if inspect.isawaitable(result):
                    await result
        except Exception as error:  # noqa: BLE001 - providers raise what they like
            return Fault.of(self.name, error)
        return None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class UnknownProvider:
    """A storage provider from which nobody can delete."""

    name: str

    async def remove(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool]) -> Faults:
        """See `Place.remove`."""
        del go_on
        remedy = "give it a method `delete_file(path)`, or remove it from `media_storage_providers`"
        return [Fault(self.name, "CanNotDelete", remedy)] * len(batch)


def place_of(api: ModuleApi, backend: object) -> Place:
    """The place behind a storage provider."""
    name = f"the storage provider {type(backend).__name__}"
    folder = media_deletion.copy_folder(backend)
    if folder is not None:
        return InThread(api, Folder(f"{name} ({folder})", folder))
    delete_file = getattr(backend, "delete_file", None)
    if callable(delete_file):
        return DeletableProvider(name, delete_file)
    bucket = bucket_of(backend)
    return UnknownProvider(name) if bucket is None else InThread(api, bucket)


def all_places(api: ModuleApi) -> list[Place]:
    """Every place of this homeserver, the media store last: a provider's copy would be fetched into it again."""
    places = [place_of(api, backend) for backend in media_deletion.storage_backends(api)]
    store = media_deletion.media_store(api)
    return places if store is None else [*places, InThread(api, Folder("the media store", store))]
