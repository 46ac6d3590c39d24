"""Which files of another server have rows, without ever holding all of its rows in memory.

No index has the names of files on disk, so all rows of a server are read to know any. Files are met in the order of
their names: so only the names of the next rows in that order are kept, and the rows are read again behind them.
"""

from collections.abc import Callable, Sequence
from typing import Final

import attr

from synapse_bum.database import Database
from synapse_bum.homeserver import stored_ids

MAX_IDS: Final = 200_000
"""Names that are kept: some 30 MB while they are gathered. For so many files of a server its rows are read once."""


class SmallestIds:
    """Keeps the smallest of many names, whatever their order. Pure.

    Attributes:
        more: whether there were others.
    """

    def __init__(self, behind: str, limit: int) -> None:
        self._behind = behind
        self._limit = limit
        self._found: list[tuple[str, bool]] = []
        self.more = False

    def add(self, file_ids: Sequence[str], *, is_tombstone: bool) -> None:
        """Take note of names; those that are not behind the beginning are left out."""
        self._found += [(file_id, is_tombstone) for file_id in file_ids if file_id > self._behind]
        if len(self._found) > 2 * self._limit:
            self._cut()

    def ids(self) -> list[tuple[str, bool]]:
        """The smallest names in order, each with whether its row is a tombstone."""
        self._cut()
        return self._found

    def _cut(self) -> None:
        self._found.sort()
        if len(self._found) > self._limit:
            del self._found[self._limit :]
            self.more = True


@attr.s(auto_attribs=True, frozen=True, slots=True)
class IdWindow:
    """What is known of a range of names. Pure.

    Attributes:
        server_name: whose files.
        behind: every name behind this one is known ...
        up_to: ... up to this one; None for all.
        files: names that have a row with a file.
        tombstones: names whose row is a tombstone: their file should be gone.
        read_ms: when reading began, ms since the epoch; rows that came later may be missing.
    """

    server_name: str
    behind: str
    up_to: str | None
    files: frozenset[str]
    tombstones: frozenset[str]
    read_ms: int

    def covers(self, server_name: str, file_id: str) -> bool:
        """Whether it says anything of a file."""
        return (
            server_name == self.server_name and file_id > self.behind and (self.up_to is None or file_id <= self.up_to)
        )


class RemoteIds:
    """Says of files of other servers whether they have rows."""

    def __init__(self, database: Database, now_ms: Callable[[], int], max_ids: int = MAX_IDS) -> None:
        self._database = database
        self._now_ms = now_ms
        self._max_ids = max_ids
        self._window: IdWindow | None = None

    async def window_for(self, server_name: str, file_id: str) -> IdWindow:
        """What is known of a file and of those behind it; read anew where the last reading says nothing of it.

        Args:
            server_name: of the other server.
            file_id: name of the file on disk.
        """
        known = self._window
        if known is None or not known.covers(server_name, file_id):
            follows = known is not None and known.server_name == server_name and file_id > known.behind
            behind = known.up_to or "" if known is not None and follows else ""
            known = await self._read(server_name, behind)
            if not known.covers(server_name, file_id):
                # Far behind the last one: begin just there.
                known = await self._read(server_name, file_id[:-1])
            self._window = known
        return known

    async def _read(self, server_name: str, behind: str) -> IdWindow:
        read_ms = self._now_ms()
        smallest = SmallestIds(behind, self._max_ids)
        after: str | None = ""
        while after is not None:
            files, tombstones, after = await self._database.run(
                "synapse_bum_storage_orphans_remote_ids", stored_ids.remote_ids, server_name, after
            )
            smallest.add(files, is_tombstone=False)
            smallest.add(tombstones, is_tombstone=True)
        ids = smallest.ids()
        return IdWindow(
            server_name,
            behind,
            ids[-1][0] if smallest.more else None,
            frozenset(file_id for file_id, is_tombstone in ids if not is_tombstone),
            frozenset(file_id for file_id, is_tombstone in ids if is_tombstone),
            read_ms,
        )
