"""Looking at the places where files lie, without changing anything: the media store, and each storage provider.

What a place does not answer is an error that is said, never "not there". A provider that nobody here knows can't be
looked at: nobody can say which files it has. A place that hangs is asked nothing more until its thread is back.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol, TypeVar

import attr
from synapse.module_api import ModuleApi

from synapse_bum.deletion.folders import Folder, Presence
from synapse_bum.deletion.s3 import bucket_of
from synapse_bum.deletion.walk import Found, Unlike, Unreadable, take
from synapse_bum.homeserver import media_deletion
from synapse_bum.homeserver.media_layout import Shelf
from synapse_bum.homeserver.threads import Threads
from synapse_bum.homeserver.time_limit import OutOfTimeError, within

R = TypeVar("R")

LIMIT_S: Final = 120.0
"""So long a place may take for one step: a thousand objects of a listing, or some thousand files of a folder."""


class Listing(Protocol):
    """A place that can be looked at. Blocking; for threads."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def walk(self, shelf: Shelf, unreadable: Unreadable) -> Iterator[Found | Unlike]:
        """All files of one of Synapse's folders, mostly in the order of their ids.

        Args:
            shelf: which folder.
            unreadable: is told what can't be read; the walk goes on behind it.

        Raises:
            Exception: what it likes; the rest of the folder was not looked at.
        """

    def present(self, paths: Sequence[str]) -> Presence:
        """Look for files by their paths, relative to the media store.

        Raises:
            Exception: what it likes; nothing is known of any of them.
        """


class HangsError(Exception):
    """The place has not answered for a long time."""

    def __init__(self) -> None:
        super().__init__("it has not answered for a long time")


class Walk:
    """A walk through one folder of a place.

    Attributes:
        unreadable: what could not be read since this was last emptied: path, and why.
    """

    def __init__(self, listing: Listing, shelf: Shelf) -> None:
        self.unreadable: list[tuple[str, OSError]] = []
        self._listing = listing
        self._shelf = shelf
        self._files: Iterator[Found | Unlike] | None = None

    def take(self, count: int) -> list[Found | Unlike]:
        """The next files; none at the end. Blocking."""
        if self._files is None:
            self._files = self._listing.walk(self._shelf, lambda path, error: self.unreadable.append((path, error)))
        return take(self._files, count)


class Looker:
    """One place, looked at in a thread of its own, one step at a time and each for a limited time.

    Attributes:
        name: what reports call the place.
    """

    def __init__(self, api: ModuleApi, threads: Threads, listing: Listing) -> None:
        self._api = api
        self._threads = threads
        self._listing = listing
        self._working = False
        self.name = listing.name

    def walk(self, shelf: Shelf) -> Walk:
        """Begin a walk; touches nothing yet."""
        return Walk(self._listing, shelf)

    async def take(self, walk: Walk, count: int) -> list[Found | Unlike]:
        """The next files of a walk; none at its end.

        Raises:
            HangsError: no answer in time, or not since an earlier step.
            Exception: what the place likes.
        """
        return await self._in_thread(lambda: walk.take(count))

    async def present(self, paths: Sequence[str]) -> Presence:
        """Look for files by their paths.

        Raises:
            HangsError: no answer in time, or not since an earlier step.
            Exception: what the place likes.
        """
        return await self._in_thread(lambda: self._listing.present(paths))

    async def _in_thread(self, work: "Work[R]") -> R:
        if self._working:
            raise HangsError

        def run() -> R:
            try:
                return work()
            finally:
                self._working = False

        self._working = True
        try:
            return await within(self._api, LIMIT_S, self._threads.run, run)
        except OutOfTimeError:
            raise HangsError from None


class Work(Protocol[R]):  # type: ignore[misc] # its result is all that it has
    """What is done in a thread."""

    def __call__(self) -> R:
        """Do it."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Places:
    """All places of a homeserver.

    Attributes:
        store: the media store; None where files are kept at storage providers only.
        providers: storage providers that can be looked at.
        unlisted: names of those that can't.
    """

    store: Looker | None
    providers: tuple[Looker, ...]
    unlisted: tuple[str, ...]


def places_to_look_at(api: ModuleApi) -> Places:
    """Every place of this homeserver. A homeserver has one such list: each place knows whether it hangs.

    Args:
        api: of a process with a media repository, after all modules are loaded.
    """
    backends = media_deletion.storage_backends(api)
    threads = Threads(api, "synapse_bum_looking", len(backends) + 1)
    providers, unlisted = list[Looker](), list[str]()
    for backend in backends:
        name = f"the storage provider {type(backend).__name__}"
        folder = media_deletion.copy_folder(backend)
        listing: Listing | None = bucket_of(backend) if folder is None else Folder(f"{name} ({folder})", folder)
        if listing is None:
            unlisted.append(name)
        else:
            providers.append(Looker(api, threads, listing))
    store = media_deletion.media_store(api)
    looker = None if store is None else Looker(api, threads, Folder("the media store", store))
    return Places(looker, tuple(providers), tuple(unlisted))
