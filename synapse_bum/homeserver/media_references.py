"""Where Synapse's tables refer to files: profiles, memberships, room state, account data, and what changes in them.

Run on Synapse 1.133.0 and 1.163.2: `synapse/storage/databases/main/state_deltas.py`, `account_data.py`, `profile.py`,
`roommember.py`, `synapse/storage/schema/main`. Plain SQL, for both databases; each page says what it costs.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeAlias

import attr
from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.sql_lists import in_chunks, marks, rows_of_marks

PAGE: Final = 2_500
"""Rows of Synapse's tables that one page looks at."""

ROOMS_PAGE: Final = 200
"""Rooms whose state one page looks at."""

StateKey: TypeAlias = tuple[str, str, str]
"""Room id, type and state key of a state event."""

MemberAvatar: TypeAlias = tuple[str, str, str]
"""A member, who sent the membership event, and the avatar in it."""

StoredState: TypeAlias = tuple[str, str, str, str]
"""Room id, type and state key of a state event, and its JSON as it is stored."""

StoredAccountData: TypeAlias = tuple[str, str, str]
"""User id, type, and the content as it is stored."""

_SHOWN: Final = "('join', 'invite', 'knock')"
"""Memberships whose avatar rooms show."""

_MEMBER_AVATARS: Final = (
    " FROM current_state_events AS c JOIN room_memberships AS r ON r.event_id = c.event_id"
    " WHERE c.type = 'm.room.member'"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Positions:
    """Up to which change each stream is complete: everything at or below was committed before this was asked.

    Attributes:
        state: of the stream of events.
        account_data: of the stream of account data.
    """

    state: int
    account_data: int


def stream_positions(api: ModuleApi) -> Positions:
    """Where the streams are now, as this process knows; with several writers it may lag behind the tables."""
    store = api._store
    return Positions(store.get_room_max_stream_ordering(), store.get_max_account_data_stream_id())


def profile_avatars_page(txn: LoggingTransaction, after: str, limit: int = PAGE) -> tuple[dict[str, str], str | None]:
    """The avatars of the next users of this server who have one: a range of the unique index on `full_user_id`.

    Returns:
        mxc URIs by user id; the last user that was looked at, None at the end.
    """
    txn.execute(
        "SELECT full_user_id, avatar_url FROM profiles WHERE full_user_id > ? ORDER BY full_user_id LIMIT ?",
        (after, limit),
    )
    rows = txn.fetchall()
    return {user_id: uri for user_id, uri in rows if uri}, rows[-1][0] if len(rows) == limit else None


def profile_avatars(txn: LoggingTransaction, user_ids: Collection[str]) -> dict[str, str]:
    """The avatars of some users of this server who have one; by the unique index on `full_user_id`."""
    found: dict[str, str] = {}
    for chunk in in_chunks(sorted(user_ids), 1):
        txn.execute(
            f"SELECT full_user_id, avatar_url FROM profiles WHERE full_user_id IN ({marks(len(chunk))})",  # noqa: S608
            chunk,
        )
        found.update((user_id, uri) for user_id, uri in txn.fetchall() if uri is not None)
    return found


def users_with_avatar(txn: LoggingTransaction, uris: Sequence[str]) -> list[str]:
    """Users of this server whose profile has one of some mxc URIs now.

    There is no index on it: it reads all profiles, 100,000 in about 15 ms.
    """
    found: list[str] = []
    for chunk in in_chunks(uris, 1):
        txn.execute(f"SELECT full_user_id FROM profiles WHERE avatar_url IN ({marks(len(chunk))})", chunk)  # noqa: S608
        found += [user_id for (user_id,) in txn.fetchall()]
    return found


def member_avatars_page(
    txn: LoggingTransaction, after: tuple[str, str], limit: int = PAGE
) -> tuple[set[MemberAvatar], tuple[str, str] | None]:
    """The avatars of the next current memberships, in the order of members: a range of the index on members.

    Args:
        txn: a transaction.
        after: member and event id behind which to go on.
        limit: memberships to look at.

    Returns:
        What was found, each once; member and event id of the last membership, None at the end.
    """
    txn.execute(
        f"SELECT c.state_key, c.event_id, r.sender, r.avatar_url, r.membership{_MEMBER_AVATARS}"
        " AND (c.state_key, c.event_id) > (?, ?) ORDER BY c.state_key, c.event_id LIMIT ?",
        (*after, limit),
    )
    rows = txn.fetchall()
    found = {
        (member, sender, uri)
        for member, _event_id, sender, uri, membership in rows
        if uri is not None and membership in _SHOWN
    }
    return found, (rows[-1][0], rows[-1][1]) if len(rows) == limit else None


def member_avatars(txn: LoggingTransaction, members: Collection[str]) -> set[MemberAvatar]:
    """The avatars of some users in all their rooms: a range of the index on members for each."""
    found: set[MemberAvatar] = set()
    for chunk in in_chunks(sorted(members), 1):
        txn.execute(
            f"SELECT DISTINCT c.state_key, r.sender, r.avatar_url{_MEMBER_AVATARS}"
            f" AND c.state_key IN ({marks(len(chunk))}) AND r.membership IN {_SHOWN} AND r.avatar_url IS NOT NULL",
            chunk,
        )
        found.update((member, sender, uri) for member, sender, uri in txn.fetchall())
    return found


def rooms_page(txn: LoggingTransaction, after: str, limit: int = ROOMS_PAGE) -> list[str]:
    """The next rooms that have state, in the order of their ids.

    Jumps from room to room along the unique index on (room_id, type, state_key).
    """
    following = "SELECT x.room_id FROM current_state_events AS x WHERE x.room_id > {} ORDER BY x.room_id LIMIT 1"
    txn.execute(
        f"WITH RECURSIVE rooms_of_state (room_id, n) AS (SELECT ({following.format('?')}), 1 UNION ALL"  # noqa: S608
        f" SELECT ({following.format('s.room_id')}), s.n + 1 FROM rooms_of_state AS s"
        " WHERE s.room_id IS NOT NULL AND s.n < ?)"
        " SELECT room_id FROM rooms_of_state WHERE room_id IS NOT NULL ORDER BY n",
        (after, limit),
    )
    return [room_id for (room_id,) in txn.fetchall()]


def state_of_rooms(txn: LoggingTransaction, room_ids: Sequence[str], types: Collection[str]) -> list[StoredState]:
    """The current state events of some types in some rooms, by the unique index on (room_id, type, state_key).

    A redacted event counts until Synapse has taken its content out of the database (`redaction_retention_period`).
    """
    places: dict[str, StateKey] = {}
    for chunk in in_chunks(room_ids, 1):
        # Joined, because `IN` would have PostgreSQL read all members of the rooms, or the whole table.
        txn.execute(
            f"WITH rooms (room_id) AS (VALUES {rows_of_marks(len(chunk), 1)}),"  # noqa: S608
            f" types (type) AS (VALUES {rows_of_marks(len(types), 1)})"
            " SELECT c.event_id, c.room_id, c.type, c.state_key FROM rooms CROSS JOIN types"
            " JOIN current_state_events AS c ON c.room_id = rooms.room_id AND c.type = types.type",
            [*chunk, *types],
        )
        places.update((row[0], (row[1], row[2], row[3])) for row in txn.fetchall())
    return _stored(txn, places)


def _stored(txn: LoggingTransaction, places: Mapping[str, StateKey]) -> list[StoredState]:
    """The events with some ids, in a query of its own so that it does go by the unique index of their JSON."""
    found: list[StoredState] = []
    for chunk in in_chunks(sorted(places), 1):
        txn.execute(f"SELECT event_id, json FROM event_json WHERE event_id IN ({marks(len(chunk))})", chunk)  # noqa: S608
        found += [(*places[event_id], stored) for event_id, stored in txn.fetchall()]
    return found


def account_data_page(
    txn: LoggingTransaction, after: tuple[str, str], types: Collection[str], limit: int = PAGE
) -> tuple[list[StoredAccountData], tuple[str, str] | None]:
    """The entries of some types among the next global account data: a range of its unique index.

    Returns:
        What was found; user id and type of the last entry that was looked at, None at the end.
    """
    txn.execute(
        "SELECT user_id, account_data_type,"  # noqa: S608
        f" CASE WHEN account_data_type IN ({marks(len(types))}) THEN content END FROM account_data"
        " WHERE (user_id, account_data_type) > (?, ?) ORDER BY user_id, account_data_type LIMIT ?",
        (*types, *after, limit),
    )
    rows = txn.fetchall()
    found = [(row[0], row[1], row[2]) for row in rows if row[2] is not None]
    return found, (rows[-1][0], rows[-1][1]) if len(rows) == limit else None


def account_data_since(txn: LoggingTransaction, position: int, types: Collection[str]) -> list[StoredAccountData]:
    """The entries of some types that were set behind a position of their stream.

    There is no index on it, as Synapse's own query has none: it reads all account data, 100,000 in about 20 ms.
    """
    txn.execute(
        "SELECT user_id, account_data_type, content FROM account_data"  # noqa: S608
        f" WHERE stream_id > ? AND account_data_type IN ({marks(len(types))})",
        (position, *types),
    )
    return [(row[0], row[1], row[2]) for row in txn.fetchall()]


def state_changes_since(
    txn: LoggingTransaction, position: int, types: Collection[str]
) -> list[tuple[int, str, str, str]]:
    """What has changed in the current state behind a position: a range of the index on `stream_id`.

    Returns:
        Position, room id, type and state key of each change, memberships included.
    """
    txn.execute(
        "SELECT stream_id, room_id, type, state_key FROM current_state_delta_stream"  # noqa: S608
        f" WHERE stream_id > ? AND type IN ({marks(len(types))}) ORDER BY stream_id",
        (position, *types),
    )
    return [(row[0], row[1], row[2], row[3]) for row in txn.fetchall()]


def first_state_change(txn: LoggingTransaction) -> int | None:
    """The oldest position that the stream of state changes still has; by the index on `stream_id`."""
    txn.execute("SELECT min(stream_id) FROM current_state_delta_stream")
    row = txn.fetchone()
    return row[0] if row else None


def state_at(txn: LoggingTransaction, keys: Sequence[StateKey]) -> list[StoredState]:
    """The current state events at some places, by the unique index; nothing for a place that is empty now."""
    places: dict[str, StateKey] = {}
    for chunk in in_chunks(keys, 3):
        wanted = " OR ".join(["(c.room_id = ? AND c.type = ? AND c.state_key = ?)"] * len(chunk))
        txn.execute(
            "SELECT c.event_id, c.room_id, c.type, c.state_key FROM current_state_events AS c"  # noqa: S608
            f" WHERE {wanted}",
            [part for key in chunk for part in key],
        )
        places.update((row[0], (row[1], row[2], row[3])) for row in txn.fetchall())
    return _stored(txn, places)
