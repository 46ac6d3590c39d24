"""What is stored by uploader: of settled files, which changes by differences, and of recent ones, written anew."""

from collections.abc import Mapping
from enum import Enum
from typing import Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.homeserver.sql_lists import in_chunks, marks, rows_of_marks
from synapse_bum.homeserver.stored_bytes import NO_SHARE, Share
from synapse_bum.storage.usage import CountConfig, UserStored

_COLUMNS: Final = "user_id, files, file_bytes, thumbnail_bytes"
_WIDTH: Final = 4

# By primary key.
_ADD: Final = (
    f"INSERT INTO synapse_bum_storage_uploaders AS u ({_COLUMNS}) VALUES {{}}"  # noqa: S608
    " ON CONFLICT (user_id) DO UPDATE SET files = u.files + excluded.files,"
    " file_bytes = u.file_bytes + excluded.file_bytes, thumbnail_bytes = u.thumbnail_bytes + excluded.thumbnail_bytes"
)
_DROP_EMPTY: Final = (
    "DELETE FROM synapse_bum_storage_uploaders WHERE user_id IN ({})"
    " AND files = 0 AND file_bytes = 0 AND thumbnail_bytes = 0"
)
_REPLACE: Final = (
    f"INSERT INTO synapse_bum_storage_uploaders ({_COLUMNS}) VALUES {{}}"  # noqa: S608
    " ON CONFLICT (user_id) DO UPDATE SET files = excluded.files, file_bytes = excluded.file_bytes,"
    " thumbnail_bytes = excluded.thumbnail_bytes"
)
_DROP: Final = "DELETE FROM synapse_bum_storage_uploaders WHERE user_id IN ({})"
_INSERT_RECENT: Final = f"INSERT INTO synapse_bum_storage_recent ({_COLUMNS}) VALUES {{}}"  # noqa: S608
# Whole tables: one row for each uploader, and those who have uploaded in the last minutes.
_READ_ALL: Final = f"SELECT {_COLUMNS} FROM synapse_bum_storage_uploaders"  # noqa: S608
_DROP_RECENT: Final = "DELETE FROM synapse_bum_storage_recent"

_BOTH: Final = (
    f"(SELECT {_COLUMNS} FROM synapse_bum_storage_uploaders UNION ALL"  # noqa: S608
    f" SELECT {_COLUMNS} FROM synapse_bum_storage_recent) AS b"
)
_SUMS: Final = "SUM(b.files) AS files, SUM(b.file_bytes) AS file_bytes, SUM(b.thumbnail_bytes) AS thumbnail_bytes"
# By the primary keys.
_OF_USER: Final = f"SELECT {_SUMS} FROM {_BOTH} WHERE b.user_id = ?"  # noqa: S608
# Both tables, and a sort: one row for each uploader.
_LIST: Final = (
    f"SELECT s.user_id, s.files, s.file_bytes, s.thumbnail_bytes FROM (SELECT b.user_id, {_SUMS} FROM {_BOTH}"  # noqa: S608
    " WHERE b.user_id <> '' GROUP BY b.user_id) AS s ORDER BY {} LIMIT ? OFFSET ?"
)
_COUNT: Final = f"SELECT COUNT(DISTINCT b.user_id) FROM {_BOTH} WHERE b.user_id <> ''"  # noqa: S608


class UserOrder(Enum):
    """What a list of users is sorted by."""

    USED_BYTES = "used_bytes"
    USER_ID = "user_id"
    FILES = "files"


def add_settled(txn: Cursor, differences: Mapping[str, Share]) -> None:
    """Adds differences to what is stored of settled files, by uploader; who has nothing left has no row any more."""
    rows = sorted(differences.items())
    for chunk in in_chunks(rows, _WIDTH):
        txn.execute(_ADD.format(rows_of_marks(len(chunk), _WIDTH)), _values(dict(chunk)))
    for users in in_chunks([user_id for user_id, _ in rows], 1):
        txn.execute(_DROP_EMPTY.format(marks(len(users))), users)


def replace_settled(txn: Cursor, shares: Mapping[str, Share]) -> None:
    """Makes what is stored of settled files what was counted; writes only what was not so already."""
    txn.execute(_READ_ALL)
    before = {row[0]: Share(*row[1:]) for row in txn.fetchall()}
    counted = {user_id: share for user_id, share in shares.items() if share != NO_SHARE}
    changed = [(user_id, share) for user_id, share in sorted(counted.items()) if before.get(user_id) != share]
    for chunk in in_chunks(changed, _WIDTH):
        txn.execute(_REPLACE.format(rows_of_marks(len(chunk), _WIDTH)), _values(dict(chunk)))
    for users in in_chunks(sorted(before.keys() - counted.keys()), 1):
        txn.execute(_DROP.format(marks(len(users))), users)


def replace_recent(txn: Cursor, shares: Mapping[str, Share]) -> None:
    """Makes what is stored of recent files what was counted."""
    txn.execute(_DROP_RECENT)
    rows = sorted((user_id, share) for user_id, share in shares.items() if share != NO_SHARE)
    for chunk in in_chunks(rows, _WIDTH):
        txn.execute(_INSERT_RECENT.format(rows_of_marks(len(chunk), _WIDTH)), _values(dict(chunk)))


def user_bytes(txn: Cursor, user_id: str) -> UserStored:
    """Reads what is stored of a user's uploads; nothing, for whoever has none."""
    txn.execute(_OF_USER, (user_id,))
    row = txn.fetchone() or (None, None, None)
    return UserStored(user_id, *(int(number or 0) for number in row))


def list_users(
    txn: Cursor, *, order_by: UserOrder, descending: bool, count: CountConfig, offset: int, limit: int
) -> tuple[list[UserStored], int]:
    """Reads a page of those who have uploaded something that is still there.

    Args:
        txn: in a transaction.
        order_by: what to sort by; who is equal in it follows by user id.
        descending: whether the largest come first.
        count: what counts as used.
        offset: how many to skip.
        limit: at most so many.

    Returns:
        The page, and how many there are in all.
    """
    used = "s.file_bytes + s.thumbnail_bytes" if count.thumbnails else "s.file_bytes"
    column = {UserOrder.USED_BYTES: used, UserOrder.USER_ID: "s.user_id", UserOrder.FILES: "s.files"}[order_by]
    direction = "DESC" if descending else "ASC"
    txn.execute(_COUNT)
    counted = txn.fetchone()
    txn.execute(_LIST.format(f"{column} {direction}, s.user_id"), (limit, offset))
    # PostgreSQL sums to numeric.
    users = [UserStored(user_id, *map(int, numbers)) for user_id, *numbers in txn.fetchall()]
    return users, counted[0] if counted else 0


def _values(shares: Mapping[str, Share]) -> list[object]:
    return [value for user_id, share in shares.items() for value in (user_id, *attr.astuple(share))]
