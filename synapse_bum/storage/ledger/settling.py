"""How the ledger goes from one moment to a later one. Pure.

The ledger has two parts. Files that came until some minutes ago are settled: nobody writes another row with such a
time, so what is stored of them is only ever corrected by differences. The younger ones, the recent, are summed up anew
each time.

A settled file's share changes when somebody deletes it, makes a thumbnail of it, or uploads to an id that was reserved.
Before that happens it is noted (`deletion/tally.py`), so the file is watched from then on: the ledger knows which share
of it it contains, looks what the share is now, and adds the difference. Whether and when it happened does not matter,
nor who did it, nor how often it was noted.

That the oldest note of a file says what the ledger contains rests on this: whoever changes a file has a note before it,
and whoever notes something reads the share before his note gets its number. A note that says another share than the
ledger contains was therefore written after a change, and has a higher number than the note of that change. A file that
the ledger watches already goes before all notes. A file that is gone is watched no longer: whoever still notes
something of it has it kept until his note is there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import attr

from synapse_bum.deletion.tally import Note
from synapse_bum.homeserver.stored_bytes import LOCAL, NO_SHARE, Name, Share, StoredFile, total

SETTLES_AFTER_MS: Final = 600_000
"""How long it takes at most from the time that a row says to the moment when others see the row."""

WATCHED_FOR_MS: Final = 3_600_000
"""How long after a note its change happens at most."""

LATE_UPLOAD_MS: Final = 86_400_000
"""How long an upload may take that was begun before its reserved id expired."""

Owner: TypeAlias = str | None
"""Whose files: a user id, "" for local files that nobody has uploaded, None for copies of files of other servers."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Watched:
    """A file whose share may change.

    Attributes:
        name: of the file.
        created_ts: of it; ms since the epoch. A file that was fetched again is another one.
        uploader: user id, or "".
        share: what the ledger contains of it, if it is settled.
        until_ts: how long to watch it.
    """

    name: Name
    created_ts: int
    uploader: str
    share: Share
    until_ts: int


@attr.s(auto_attribs=True, frozen=True, slots=True, kw_only=True)
class Seen:
    """What one snapshot of the database shows.

    Attributes:
        watched: by the ledger.
        notes: new ones, in their order.
        present: the rows of all files that are watched or noted, as far as there are any.
        fresh: all files that came after the ledger's `settled_ts`.
    """

    watched: Iterable[Watched]
    notes: Iterable[Note]
    present: Mapping[Name, StoredFile]
    fresh: Iterable[StoredFile]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Step:
    """What changes in the ledger.

    Attributes:
        settled: differences to what is settled, by owner; none is zero.
        recent: what is recent now, by owner.
        watched: what is watched from now on.
    """

    settled: Mapping[Owner, Share]
    recent: Mapping[Owner, Share]
    watched: tuple[Watched, ...]


def settled_until(now_ms: int) -> int:
    """Files that came until then are settled now; all in ms since the epoch."""
    return now_ms - SETTLES_AFTER_MS


def settle(seen: Seen, settled_ts: int, until_ts: int, *, now_ms: int, reservation_ms: int) -> Step:
    """Go one step.

    Args:
        seen: by the snapshot.
        settled_ts: what came until then is settled in the ledger; ms since the epoch, as all times.
        until_ts: what came until then is settled after this step.
        now_ms: the present.
        reservation_ms: how long after it was reserved something can be uploaded to an id.
    """
    settled: defaultdict[Owner, Share] = defaultdict(Share)
    recent: defaultdict[Owner, Share] = defaultdict(Share)
    watched: dict[tuple[Name, int], Watched] = {}
    for watch in (*seen.watched, *map(_watch, seen.notes)):
        known = watched.setdefault((watch.name, watch.created_ts), watch)
        if watch.until_ts > known.until_ts:
            watched[watch.name, watch.created_ts] = attr.evolve(known, until_ts=watch.until_ts)
    goes_on: dict[tuple[Name, int], Watched] = {}
    for key, watch in watched.items():
        file = seen.present.get(watch.name)
        is_there = file is not None and file.created_ts == watch.created_ts
        share = file.share if file is not None and is_there else NO_SHARE
        if watch.created_ts <= settled_ts:
            settled[_owner(watch.name[0], watch.uploader)] += share - watch.share
        if is_there and watch.until_ts > now_ms:
            goes_on[key] = attr.evolve(watch, share=share)
    for file in seen.fresh:
        part = settled if file.created_ts <= until_ts else recent
        part[_owner(file.origin, file.uploader)] += file.share
        if part is settled and file.is_reserved:
            watch = watch_reserved(file, reservation_ms)
            goes_on.setdefault((file.name, file.created_ts), watch)
    return Step(_without_zeros(settled), _without_zeros(recent), tuple(goes_on.values()))


def watch_reserved(file: StoredFile, reservation_ms: int) -> Watched:
    """Watch an id to which nothing was uploaded so far, as long as that is possible."""
    until_ts = file.created_ts + reservation_ms + LATE_UPLOAD_MS
    return Watched(file.name, file.created_ts, file.uploader, NO_SHARE, until_ts)


def of_local(shares: Mapping[Owner, Share]) -> Share:
    """What local files contribute."""
    return total(share for owner, share in shares.items() if owner is not None)


def of_uploaders(shares: Mapping[Owner, Share]) -> dict[str, Share]:
    """What each uploader's files contribute; "" are those that nobody has uploaded."""
    return {owner: share for owner, share in shares.items() if owner is not None}


def of_remote(shares: Mapping[Owner, Share]) -> Share:
    """What copies of files of other servers contribute."""
    return shares.get(None, NO_SHARE)


def _watch(note: Note) -> Watched:
    return Watched(note.name, note.created_ts, note.uploader, note.share, note.noted_ts + WATCHED_FOR_MS)


def _owner(origin: str, uploader: str) -> Owner:
    return uploader if origin == LOCAL else None


def _without_zeros(shares: Mapping[Owner, Share]) -> dict[Owner, Share]:
    return {owner: share for owner, share in shares.items() if share != NO_SHARE}
