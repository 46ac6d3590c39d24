"""Who is or was joined to a room, and whether this server has ever seen a user or a room.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: tables `room_memberships` (each membership event that was ever stored here,
with plain indexes on `room_id` and on `user_id`), `rooms` and `users`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, Protocol

_ROOMS: Final = 100
_USERS: Final = 400
"""Together at most 500 parameters in one query: SQLite takes at most 999 before 3.32."""


class _Transaction(Protocol):
    """A Synapse transaction, or a plain sqlite3 cursor."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> object:
        """Runs one statement."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """Returns the next row of the last SELECT."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Returns all other rows of the last SELECT."""


def ever_joined(txn: _Transaction, room_id: str) -> list[str]:
    """All users, of whichever server, who are or were joined to a room.

    A range of the index on `room_id`: all membership events of the room, a tenth of a second for 100,000.

    Args:
        txn: in a transaction.
        room_id: of the room.
    """
    txn.execute("SELECT DISTINCT user_id FROM room_memberships WHERE room_id = ? AND membership = 'join'", (room_id,))
    return [user_id for (user_id,) in txn.fetchall()]


def joins_of(txn: _Transaction, room_ids: Collection[str], user_ids: Collection[str]) -> set[tuple[str, str]]:
    """Which of some users are or were joined to which of some rooms.

    Ranges of the index on `user_id` or of that on `room_id`, as the database prefers.

    Args:
        txn: in a transaction.
        room_ids: of the rooms.
        user_ids: of the users.

    Returns:
        Pairs of room id and user id.
    """
    found: set[tuple[str, str]] = set()
    for rooms in _chunks(room_ids, _ROOMS):
        for users in _chunks(user_ids, _USERS):
            in_rooms, of_users = (", ".join("?" * len(chunk)) for chunk in (rooms, users))
            txn.execute(
                "SELECT DISTINCT room_id, user_id FROM room_memberships"  # noqa: S608
                f" WHERE user_id IN ({of_users}) AND room_id IN ({in_rooms}) AND membership = 'join'",
                (*users, *rooms),
            )
            found.update((room_id, user_id) for room_id, user_id in txn.fetchall())
    return found


def is_known_room(txn: _Transaction, room_id: str) -> bool:
    """Whether this server has ever stored anything of a room; by primary key, else the index on `room_id`."""
    txn.execute("SELECT 1 FROM rooms WHERE room_id = ?", (room_id,))
    if txn.fetchone() is not None:
        return True
    txn.execute("SELECT 1 FROM room_memberships WHERE room_id = ? LIMIT 1", (room_id,))
    return txn.fetchone() is not None


def is_known_user(txn: _Transaction, user_id: str, own_name: str) -> bool:
    """Whether a user has or had an account here, or was ever mentioned by a membership event of a room known here.

    By the unique index on `users.name`, where deactivated accounts stay; else the index on `room_memberships.user_id`.

    Args:
        txn: in a transaction.
        user_id: of any server.
        own_name: our server's name.
    """
    if user_id.partition(":")[2] == own_name:
        txn.execute("SELECT 1 FROM users WHERE name = ?", (user_id,))
    else:
        txn.execute("SELECT 1 FROM room_memberships WHERE user_id = ? LIMIT 1", (user_id,))
    return txn.fetchone() is not None


def _chunks(names: Iterable[str], size: int) -> Iterator[list[str]]:
    """In a fixed order, so that the same question is asked in the same words."""
    rest = iter(sorted(names))
    while chunk := list(islice(rest, size)):
        yield chunk
