"""Which files are an avatar or belong to an image pack now: read once a day, and followed change by change.

The whole reading goes in short transactions and is resumed after a crash. Nothing is deleted before it was complete
once, nor while a new one is under way. Room state is followed by Synapse's stream of state changes. Profiles have no
stream: they are compared as a whole before each run, and for the candidates of a batch in its transaction. Account data
has a stream without an index: its table is read before each run, and within it as often as that costs a twentieth of
the time.

Whoever changes the tables locks the row of `protection_progress.py` first, before he reads what they are to say.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.database import Database, Lease
from synapse_bum.homeserver import media_references
from synapse_bum.homeserver.media_references import Positions, StoredAccountData, StoredState, stream_positions
from synapse_bum.retention.classes import NotReadyError
from synapse_bum.retention.config import ProtectConfig
from synapse_bum.retention.media import protected_store, protection_progress
from synapse_bum.retention.media.protected_store import Row, source_of_account_data, source_of_state
from synapse_bum.retention.media.protected_tables import PROTECTED
from synapse_bum.retention.media.protection_progress import BuildStep, Progress
from synapse_bum.retention.media.references import (
    MEMBER,
    ROOM_AVATAR,
    ROOM_PACKS,
    USER_PACKS,
    FileName,
    Kind,
    file_of_uri,
    files_of_pack,
    files_of_state,
    parsed,
    sender_and_content,
    uri_of_file,
)

logger = logging.getLogger(__name__)

REBUILD_EVERY_MS: Final = 86_400_000
"""How often everything is read anew: a purged room or a removed account leaves no change in the streams."""

CHANGES_AT_ONCE: Final = 50
"""State changes that one transaction takes in; a change of a member reads all of his memberships."""

PROFILES_AT_ONCE: Final = 200
USERS_AT_ONCE: Final = 200
SWEEP_PAGE: Final = 5_000

ACCOUNT_DATA_SHARE: Final = 0.05
"""Part of the time that reading new account data may take."""

_STATE_TYPES: Final = tuple(sorted({ROOM_AVATAR, *ROOM_PACKS}))
_FOLLOWED_TYPES: Final = (MEMBER, *_STATE_TYPES)
_USER_PACKS: Final = tuple(sorted(USER_PACKS))

Change = tuple[int, str, str, str]
"""Position, room id, type and state key of a change of state."""


class ProtectedMedia:
    """Knows which files must stay, and which files of other servers may be fetched again."""

    def __init__(self, api: ModuleApi, database: Database, rules: ProtectConfig) -> None:
        """Prepares; touches no database yet.

        Args:
            api: of the homeserver.
            database: the tables are added to its components.
            rules: as configured.
        """
        database.add(PROTECTED)
        self._api = api
        self._database = database
        self._rules = rules
        self._rules_text = repr(attr.astuple(rules))
        self._seen: set[Change] = set()
        self._next_account_data = 0.0

    async def prepare(self, lease: Lease, *, thorough: bool) -> None:
        """Bring everything up to date; reads it all anew when a day is over, or nothing is known yet.

        Args:
            lease: of the run.
            thorough: whether to read it all anew in any case.

        Raises:
            NotReadyError: the lease was lost.
        """
        progress = await self._database.run("synapse_bum_retention_begin_protection", self._begin_if_due, thorough)
        began = time.monotonic()
        building = progress.step is not None
        while progress.step is not None:
            _require(lease)
            progress = await self._database.run("synapse_bum_retention_build_protection", self._build_page)
        if building:
            logger.info("Read anew what protects files: %.1f s", time.monotonic() - began)
        await self._refresh_profiles(lease)
        await self._take_in(lease, account_data=True)

    async def catch_up(self, lease: Lease) -> None:
        """Take in what has changed in rooms, and in account data where its turn has come, in short transactions.

        Raises:
            NotReadyError: the lease was lost, or what protects files was not read yet.
        """
        await self._take_in(lease, account_data=False)

    async def _take_in(self, lease: Lease, *, account_data: bool) -> None:
        """`catch_up`; with new account data in any case, or only when its turn has come."""
        # Asked before the tables are: what is committed later stands behind these, and comes again.
        positions = stream_positions(self._api)
        changes = await self._database.run("synapse_bum_retention_protection_changes", self._changes)
        chunks = iter(changes)
        while chunk := list(islice(chunks, CHANGES_AT_ONCE)):
            _require(lease)
            await self._database.run("synapse_bum_retention_follow_state", self._take_changes, chunk)
        self._seen.update(changes)
        await self._database.run("synapse_bum_retention_advance_protection", self._advance, positions, account_data)
        self._seen = {change for change in self._seen if change[0] > positions.state}

    def follow(self, txn: LoggingTransaction) -> None:
        """Take in what has changed since `catch_up`; to be called in the transaction that decides about files.

        First of all in it: others who change what protects files wait for its end, and none of them may hold what it
        waits for.

        Raises:
            NotReadyError: what protects files was not read yet.
        """
        self._take_changes(txn, self._changes(txn))
        if self._is_turn_of_account_data():
            self._read_new_account_data(txn, protection_progress.read(txn))

    def shielded(self, txn: LoggingTransaction, media_ids: Sequence[str]) -> set[str]:
        """Which of some local files must stay, by what stands in Synapse's tables at this moment; after `follow`.

        Args:
            txn: of `Database.run`, in which the others are planned to be deleted.
            media_ids: of files that the table does not protect.
        """
        own_name = self._api.server_name
        self._refresh_profiles_with(txn, [(own_name, media_id) for media_id in media_ids])
        # What is referred to and not protected is above an allowance; it may have become smaller since.
        protected_store.settle(txn, own_name, protected_store.users_referring_to(txn, own_name, media_ids), self._rules)
        return {media_id for media_id, yes in protected_store.protected_of(txn, own_name, media_ids).items() if yes}

    def referenced_remote(self, txn: LoggingTransaction, keys: Sequence[FileName]) -> set[FileName]:
        """Which files of other servers a user of another server shows now; after `follow`.

        Only his avatar, his avatars of rooms and his packs in rooms count, whatever the configuration protects here.
        What users of this server refer to does not: each of them could have a file fetched again for ever.

        Args:
            txn: of `Database.run`, in which the files are planned to be deleted.
            keys: server names and media ids.
        """
        return protected_store.shown_elsewhere(txn, self._api.server_name, keys)

    def require_complete(self, txn: LoggingTransaction) -> None:
        """Make sure that the table has been complete once, as far as a measurement needs it.

        Raises:
            NotReadyError: it has not.
        """
        if protection_progress.read(txn).complete_ts is None:
            raise NotReadyError("it is not known yet which files are avatars and image packs: a run reads that first")

    def _begin_if_due(self, txn: LoggingTransaction, thorough: bool) -> Progress:  # noqa: FBT001 - of `Database.run`
        progress = protection_progress.locked(txn)
        if progress.step is not None or not (thorough or self._is_due(txn, progress)):
            return progress
        progress = progress.begun(stream_positions(self._api))
        protection_progress.write(txn, progress)
        return progress

    def _is_due(self, txn: LoggingTransaction, progress: Progress) -> bool:
        now_ms = self._api.get_current_time_msec()
        if progress.complete_ts is None or not 0 <= now_ms - progress.complete_ts < REBUILD_EVERY_MS:
            return True
        if progress.rules != self._rules_text:
            return True
        first = media_references.first_state_change(txn)
        # Synapse, or an operator, has dropped changes that were not followed yet.
        return first is not None and first > progress.positions.state + 1

    def _build_page(self, txn: LoggingTransaction) -> Progress:
        progress = protection_progress.locked(txn)
        if progress.step is None:
            return progress
        read_page: Callable[[LoggingTransaction, Progress], Sequence[str] | None] = {
            BuildStep.MEMBERS: _read_members,
            BuildStep.ROOMS: _read_rooms,
            BuildStep.ACCOUNT_DATA: _read_account_data,
            BuildStep.SWEEP: _sweep,
            BuildStep.SETTLE: self._settle,
        }[progress.step]
        now_ms = self._api.get_current_time_msec()
        progress = progress.advanced(read_page(txn, progress), now_ms, self._rules_text)
        protection_progress.write(txn, progress)
        return progress

    def _settle(self, txn: LoggingTransaction, progress: Progress) -> Sequence[str] | None:
        (after,) = progress.after_key
        last = protected_store.settle_page(txn, self._api.server_name, after, self._rules, USERS_AT_ONCE)
        return None if last is None else [last]

    def _changes(self, txn: LoggingTransaction) -> list[Change]:
        progress = protection_progress.locked(txn)
        if not progress.is_usable:
            raise NotReadyError("what protects files is not read completely; the next run goes on with it")
        changes = media_references.state_changes_since(txn, progress.positions.state, _FOLLOWED_TYPES)
        return [change for change in changes if change not in self._seen]

    def _take_changes(self, txn: LoggingTransaction, changes: Collection[Change]) -> None:
        progress = protection_progress.locked(txn)
        members = {state_key for _position, _room_id, kind, state_key in changes if kind == MEMBER}
        places = {(room_id, kind, state_key) for _position, room_id, kind, state_key in changes if kind != MEMBER}
        rows = set(_rows_of_members(media_references.member_avatars(txn, members)))
        concerned = protected_store.replace(txn, Kind.MEMBER, members, rows, progress.generation)
        for kind in (Kind.ROOM_AVATAR, Kind.ROOM_PACK):
            of_kind = sorted(place for place in places if Kind.of_state(place[1]) is kind)
            rows = set(_rows_of_state(media_references.state_at(txn, of_kind)))
            sources = set(map(source_of_state, of_kind))
            concerned |= protected_store.replace(txn, kind, sources, rows, progress.generation)
        protected_store.settle(txn, self._api.server_name, concerned, self._rules)

    def _read_new_account_data(self, txn: LoggingTransaction, progress: Progress) -> None:
        began = time.monotonic()
        entries = media_references.account_data_since(txn, progress.positions.account_data, _USER_PACKS)
        took = time.monotonic() - began
        sources = {source_of_account_data(user_id, data_type) for user_id, data_type, _content in entries}
        rows = set(_rows_of_account_data(entries))
        concerned = protected_store.replace(txn, Kind.USER_PACK, sources, rows, progress.generation)
        protected_store.settle(txn, self._api.server_name, concerned, self._rules)
        txn.call_after(self._wait_for_account_data, began + took / ACCOUNT_DATA_SHARE)

    def _wait_for_account_data(self, until: float) -> None:
        self._next_account_data = until

    def _is_turn_of_account_data(self) -> bool:
        return time.monotonic() >= self._next_account_data

    def _advance(self, txn: LoggingTransaction, positions: Positions, account_data: bool) -> None:  # noqa: FBT001 - of `Database.run`
        progress = protection_progress.locked(txn)
        reached_account_data = progress.positions.account_data
        if account_data or self._is_turn_of_account_data():
            self._read_new_account_data(txn, progress)
            reached_account_data = max(positions.account_data, reached_account_data)
        reached = Positions(max(positions.state, progress.positions.state), reached_account_data)
        if reached != progress.positions:
            protection_progress.write(txn, attr.evolve(progress, positions=reached))

    async def _refresh_profiles(self, lease: Lease) -> None:
        after: str | None = ""
        while after is not None:
            _require(lease)
            changed, last = await self._database.run("synapse_bum_retention_profiles", _changed_profiles, after)
            chunks = iter(changed)
            while chunk := list(islice(chunks, PROFILES_AT_ONCE)):
                _require(lease)
                await self._database.run("synapse_bum_retention_new_profiles", self._take_profiles, chunk)
            after = last

    def _refresh_profiles_with(self, txn: LoggingTransaction, files: Sequence[FileName]) -> None:
        self._take_profiles(txn, media_references.users_with_avatar(txn, [uri_of_file(*file) for file in files]))

    def _take_profiles(self, txn: LoggingTransaction, user_ids: Collection[str]) -> None:
        protection_progress.locked(txn)
        named = {user_id: file_of_uri(uri) for user_id, uri in media_references.profile_avatars(txn, user_ids).items()}
        rows = {(user_id, user_id, file) for user_id, file in named.items() if file is not None}
        concerned = protected_store.replace(txn, Kind.PROFILE, user_ids, rows, 0)
        protected_store.settle(txn, self._api.server_name, concerned, self._rules)


def _require(lease: Lease) -> None:
    if not lease.held:
        raise NotReadyError("another process has taken over")


def _changed_profiles(txn: LoggingTransaction, after: str) -> tuple[list[str], str | None]:
    """Those of the next users whose avatar is not the one that stands in the table, and the last of the page."""
    now, last = media_references.profile_avatars_page(txn, after)
    known = protected_store.profiles_between(txn, after, last)
    return sorted(user_id for user_id in now.keys() | known.keys() if now.get(user_id) != known.get(user_id)), last


def _read_members(txn: LoggingTransaction, progress: Progress) -> Sequence[str] | None:
    member, event_id = progress.after_key
    found, last = media_references.member_avatars_page(txn, (member, event_id))
    protected_store.add(txn, Kind.MEMBER, _rows_of_members(found), progress.generation)
    return last


def _read_rooms(txn: LoggingTransaction, progress: Progress) -> Sequence[str] | None:
    (after,) = progress.after_key
    rooms = media_references.rooms_page(txn, after)
    state = media_references.state_of_rooms(txn, rooms, _STATE_TYPES)
    for kind in (Kind.ROOM_AVATAR, Kind.ROOM_PACK):
        of_kind = [event for event in state if Kind.of_state(event[1]) is kind]
        protected_store.add(txn, kind, _rows_of_state(of_kind), progress.generation)
    return rooms[-1:] if len(rooms) == media_references.ROOMS_PAGE else None


def _read_account_data(txn: LoggingTransaction, progress: Progress) -> Sequence[str] | None:
    user_id, data_type = progress.after_key
    entries, last = media_references.account_data_page(txn, (user_id, data_type), _USER_PACKS)
    protected_store.add(txn, Kind.USER_PACK, _rows_of_account_data(entries), progress.generation)
    return last


def _sweep(txn: LoggingTransaction, progress: Progress) -> Sequence[str] | None:
    return protected_store.sweep_page(txn, progress.after_key, progress.generation, SWEEP_PAGE)


def _rows_of_members(avatars: Iterable[media_references.MemberAvatar]) -> Iterable[Row]:
    for member, sender, uri in avatars:
        file = file_of_uri(uri)
        if file is not None:
            yield member, sender, file


def _rows_of_state(events: Iterable[StoredState]) -> Iterable[Row]:
    for room_id, event_type, state_key, stored in events:
        sender, content = sender_and_content(stored)
        for file in files_of_state(event_type, content):
            yield source_of_state((room_id, event_type, state_key)), sender, file


def _rows_of_account_data(entries: Iterable[StoredAccountData]) -> Iterable[Row]:
    for user_id, data_type, content in entries:
        for file in files_of_pack(parsed(content)):
            yield source_of_account_data(user_id, data_type), user_id, file
