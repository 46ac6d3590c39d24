"""Holds: what nobody may delete until a day that is always named.

A hold on a user holds what he uploaded and sent; of a user of another server every file of that server, since nobody
here knows who uploaded it. A hold on a room holds its events, and because the server can't see which files encrypted
events carry, every file of everybody who is or was joined to the room.

A hold counts when a deletion is planned. One that was planned before goes on: its file is hidden from everybody already
and may be gone. Setting one and planning exclude each other: who plans has either read the hold or planned before it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.homeserver import room_members, transaction_locks
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.identifiers import is_room_id, is_user_id

_COLUMNS: Final = "target, reason, until_ts, created_by, created_ts"
# By primary key: one row for each target.
_PUT: Final = (
    f"INSERT INTO synapse_bum_holds ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
    " ON CONFLICT (target) DO UPDATE SET reason = excluded.reason, until_ts = excluded.until_ts,"
    " created_by = excluded.created_by, created_ts = excluded.created_ts"
)
_GET: Final = f"SELECT {_COLUMNS} FROM synapse_bum_holds WHERE target = ?"  # noqa: S608
_DELETE: Final = "DELETE FROM synapse_bum_holds WHERE target = ?"
# Along the primary key; there are as many rows as people have set holds.
_LIST: Final = f"SELECT {_COLUMNS} FROM synapse_bum_holds ORDER BY target LIMIT ? OFFSET ?"  # noqa: S608
_COUNT: Final = "SELECT count(*) FROM synapse_bum_holds"

# All rows: there are as many as people have set holds.
_IN_FORCE: Final = f"SELECT {_COLUMNS} FROM synapse_bum_holds WHERE until_ts > ?"  # noqa: S608

_COUNT_ENDING: Final = (
    "SELECT count(*), count(CASE WHEN until_ts <= ? THEN 1 END) FROM synapse_bum_holds WHERE until_ts > ?"
)

LOCK: Final = 0x73796E62756D0002
"""Key of the lock that who asks for holds shares, and who sets one has alone ("synbum" and a number)."""


def _room_or_user(_hold: object, _attribute: object, target: str) -> None:
    if not is_user_id(target) and not is_room_id(target):
        raise ValueError(f"a hold is on a room id or a user id, not on {target!r}")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Hold:
    """One hold.

    Attributes:
        target: room id or user id.
        reason: why, in the words of whoever set it.
        until_ts: when it ends, in ms since the epoch; at this very moment it holds no more.
        created_by: user id of who set it.
        created_ts: when, in ms since the epoch.
    """

    target: str = attr.ib(validator=_room_or_user)
    reason: str
    until_ts: int
    created_by: str
    created_ts: int

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return attr.asdict(self)

    def is_in_force(self, now_ms: int) -> bool:
        """Whether it holds now; ms since the epoch."""
        return self.until_ts > now_ms


@attr.s(auto_attribs=True, frozen=True, slots=True)
class HeldUploaders:
    """Whose files must stay.

    Attributes:
        users: user ids; their local files are held.
        servers: names of servers; every remote file of theirs is held. Our own name may be among them.
    """

    users: frozenset[str]
    servers: frozenset[str]


def holds_in_force(txn: Cursor, now_ms: int) -> list[Hold]:
    """Reads all holds that have not ended, and keeps others from being set until the transaction ends.

    Args:
        txn: of `Database.run`; to be called before anything is read that a hold may be about.
        now_ms: ms since the epoch.
    """
    transaction_locks.share(txn, LOCK)
    txn.execute(_IN_FORCE, (now_ms,))
    return [Hold(*row) for row in txn.fetchall()]


def held_files(
    txn: Cursor, files: Sequence[StoredMedia], now_ms: int, rooms: Collection[str] = ()
) -> dict[StoredMedia, Hold]:
    """Finds out which files must stay. One query when there are no holds, a fixed number for each 400 uploaders else.

    Where a room on hold and remote files come together, all membership events of the room are read.

    Args:
        txn: of the transaction that plans their deletion.
        files: which are to go.
        now_ms: ms since the epoch.
        rooms: where these files are known to be used, beside the rooms of their uploaders.

    Returns:
        For each file that is held, the hold that lasts longest.
    """
    holds = {hold.target: hold for hold in holds_in_force(txn, now_ms)}
    if not holds:
        return {}
    named = [holds[room_id] for room_id in set(rooms) if room_id in holds]
    on_users = _on_uploaders(txn, holds, {file.uploader for file in files if file.local and file.uploader})
    on_servers = _on_servers(txn, holds) if any(not file.local for file in files) else {}
    found = {}
    for file in files:
        hold = on_users.get(file.uploader or "") if file.local else on_servers.get(file.server_name)
        longest = max([*named, *([hold] if hold else [])], key=_lasting, default=None)
        if longest is not None:
            found[file] = longest
    return found


def holds_over(txn: Cursor, target: str, now_ms: int) -> list[Hold]:
    """Finds out by which holds something of a user or a room must stay; locks as `holds_in_force`.

    Of a user, those on himself and on rooms that he is or was joined to, which hold his files. Of a room, those on
    itself and on users who are or were joined to it, which hold what they have sent there. Ranges of the indexes of
    Synapse's `room_memberships`; none where nothing is on hold.

    Args:
        txn: in a transaction.
        target: room id or user id.
        now_ms: ms since the epoch.

    Returns:
        The holds, the one that lasts longest first.
    """
    holds = {hold.target: hold for hold in holds_in_force(txn, now_ms)}
    found = {target} & set(holds)
    if is_room_id(target):
        users = [held for held in holds if is_user_id(held)]
        found |= {user_id for _room_id, user_id in room_members.joins_of(txn, [target], users)}
    else:
        found |= {room_id for room_id, _user_id in room_members.joins_of(txn, _rooms(holds), [target])}
    return sorted((holds[held] for held in found), key=_lasting, reverse=True)


def held_rooms(txn: Cursor, now_ms: int) -> set[str]:
    """The rooms whose events must stay; locks as `holds_in_force`."""
    return {hold.target for hold in holds_in_force(txn, now_ms) if is_room_id(hold.target)}


def held_users(txn: Cursor, now_ms: int) -> set[str]:
    """The users whose events must stay, wherever they were sent; locks as `holds_in_force`."""
    return {hold.target for hold in holds_in_force(txn, now_ms) if is_user_id(hold.target)}


def held_uploaders(txn: Cursor, now_ms: int) -> HeldUploaders:
    """Whose files must stay, for a selection that leaves them out; `held_files` has the last word.

    Reads all membership events of every room on hold: once for a batch, not for each file.
    """
    holds = {hold.target: hold for hold in holds_in_force(txn, now_ms)}
    members = {user_id for room_id in _rooms(holds) for user_id in room_members.ever_joined(txn, room_id)}
    users = frozenset(members | {target for target in holds if is_user_id(target)})
    return HeldUploaders(users, frozenset(_server_of(user_id) for user_id in users))


def take_turn(txn: Cursor) -> None:
    """Wait until no other transaction has asked for holds, or changes them, up to this one's commit.

    To be called first by who reads a hold in order to change it.
    """
    transaction_locks.take_alone(txn, LOCK)


def put_hold(txn: Cursor, hold: Hold) -> None:
    """Sets a hold, in the place of the one that this target may have; takes its turn."""
    take_turn(txn)
    txn.execute(_PUT, attr.astuple(hold))


def get_hold(txn: Cursor, target: str) -> Hold | None:
    """Reads one hold, also when it has ended; None when nobody set one."""
    txn.execute(_GET, (target,))
    row = txn.fetchone()
    return None if row is None else Hold(*row)


def list_holds(txn: Cursor, offset: int, limit: int) -> tuple[list[Hold], int]:
    """Reads a page of holds, ordered by target, those that have ended included.

    Returns:
        The page, and how many holds there are in all.
    """
    txn.execute(_COUNT)
    counted = txn.fetchone()
    txn.execute(_LIST, (limit, offset))
    return [Hold(*row) for row in txn.fetchall()], counted[0] if counted else 0


def count_in_force(txn: Cursor, now_ms: int, until_ts: int) -> tuple[int, int]:
    """Counts the holds that have not ended.

    Args:
        txn: in a transaction.
        now_ms: ms since the epoch.
        until_ts: ms since the epoch.

    Returns:
        How many there are, and how many of them end until then.
    """
    txn.execute(_COUNT_ENDING, (until_ts, now_ms))
    ((in_force, ending),) = txn.fetchall()
    return in_force, ending


def delete_hold(txn: Cursor, target: str) -> bool:
    """Lifts a hold; takes its turn.

    Returns:
        Whether there was one.
    """
    take_turn(txn)
    txn.execute(_DELETE, (target,))
    return txn.rowcount == 1


def _on_uploaders(txn: Cursor, holds: Mapping[str, Hold], uploaders: Collection[str]) -> dict[str, Hold]:
    """For each uploader whose local files are held, the hold that lasts longest."""
    found = {user_id: holds[user_id] for user_id in uploaders if user_id in holds}
    for room_id, user_id in room_members.joins_of(txn, _rooms(holds), uploaders):
        _note(found, user_id, holds[room_id])
    return found


def _on_servers(txn: Cursor, holds: Mapping[str, Hold]) -> dict[str, Hold]:
    """For each server whose files are held, the hold that lasts longest."""
    found: dict[str, Hold] = {}
    for target, hold in holds.items():
        users = [target] if is_user_id(target) else room_members.ever_joined(txn, target)
        for server_name in {_server_of(user_id) for user_id in users}:
            _note(found, server_name, hold)
    return found


def _note(found: dict[str, Hold], name: str, hold: Hold) -> None:
    found[name] = max(hold, found.get(name, hold), key=_lasting)


def _lasting(hold: Hold) -> tuple[int, str]:
    """Order of holds: which one lasts longer."""
    return hold.until_ts, hold.target


def _rooms(holds: Iterable[str]) -> list[str]:
    return [target for target in holds if is_room_id(target)]


def _server_of(user_id: str) -> str:
    return user_id.partition(":")[2]
