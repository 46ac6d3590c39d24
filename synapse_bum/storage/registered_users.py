"""Registered users: how many there are now, and how many different ones there were in a span of time.

Each count writes down who came and who went since the last one. What was written is not changed by a later
configuration: a list of exceptions holds from the next count on, and a past month keeps its number.

Nobody counts for a time in which it is not known that he was registered. Who came counts from when he was created, else
from the count that first saw him; who went counts until the last count that saw him.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.homeserver.registered_users import COULD_BE_REGISTERED, CREATED_MS, LOCKED, REGISTERED
from synapse_bum.homeserver.sql_lists import in_chunks, marks, rows_of_marks

_OVERLAP_MS: Final = 86_400_000
"""How far before the last count is looked for users who came and went: the clock may have been wrong at that one."""

_GET_COUNT: Final = "SELECT since_ts, counted_ts, exclude FROM synapse_bum_storage_users_count"
_PUT_COUNT: Final = (
    "INSERT INTO synapse_bum_storage_users_count (only_row, since_ts, counted_ts, exclude) VALUES (1, ?, ?, ?)"
    " ON CONFLICT (only_row) DO UPDATE SET since_ts = excluded.since_ts, counted_ts = excluded.counted_ts,"
    " exclude = excluded.exclude"
)

# One pass over `users` and one over the open rows, hashed: nothing for each user. SQLite looks up each one by the
# unique indexes on `users.name` and on open rows.
_END_GONE: Final = (
    "UPDATE synapse_bum_storage_users"  # noqa: S608 - SQL of our own
    " SET until_ts = CASE WHEN from_ts > ? THEN from_ts ELSE ? END"
    " WHERE until_ts IS NULL AND NOT EXISTS (SELECT 1 FROM users AS u"
    f" WHERE u.name = synapse_bum_storage_users.user_id AND {REGISTERED}"
    f" AND {LOCKED} = synapse_bum_storage_users.locked AND (? = 1 OR {LOCKED} = 0))"
)
_CAME: Final = (
    f"SELECT u.name, {LOCKED}, CASE WHEN NOT EXISTS (SELECT 1"  # noqa: S608 - the same
    f" FROM synapse_bum_storage_users AS former WHERE former.user_id = u.name) THEN {CREATED_MS} END"
    f" FROM users AS u WHERE {REGISTERED}"
    f" AND (? = 1 OR {LOCKED} = 0) AND NOT EXISTS (SELECT 1 FROM synapse_bum_storage_users AS known"
    " WHERE known.user_id = u.name AND known.until_ts IS NULL)"
)
# A range of Synapse's index on `creation_ts`, and a lookup by ours for each user in it.
_CAME_AND_WENT: Final = (
    f"SELECT u.name, {LOCKED}, {CREATED_MS} FROM users AS u"  # noqa: S608 - the same
    f" WHERE u.creation_ts >= ? AND u.deactivated = 1 AND {COULD_BE_REGISTERED} AND (? = 1 OR {LOCKED} = 0)"
    " AND NOT EXISTS (SELECT 1 FROM synapse_bum_storage_users AS known WHERE known.user_id = u.name)"
)
# Appended to; the indexes grow by as much.
_INSERT: Final = "INSERT INTO synapse_bum_storage_users (user_id, locked, from_ts, until_ts) VALUES "
# By the index of open rows, each.
_END: Final = (
    "UPDATE synapse_bum_storage_users SET until_ts = CASE WHEN from_ts > ? THEN from_ts ELSE ? END"
    " WHERE until_ts IS NULL AND user_id IN ({marks})"
)
# The index of open rows, whole: tens of thousands.
_OPEN: Final = "SELECT user_id FROM synapse_bum_storage_users WHERE until_ts IS NULL"
_COUNT_OPEN: Final = "SELECT COUNT(*), COALESCE(SUM(locked), 0) FROM synapse_bum_storage_users WHERE until_ts IS NULL"
_NOT_FROM_THE_FUTURE: Final = "UPDATE synapse_bum_storage_users SET from_ts = ? WHERE until_ts IS NULL AND from_ts > ?"
# Reads the table whole: who is registered, and who was within two years. Of somebody's rows the last one that reaches
# into the span says whether he was locked, which is the lowest bit of what is compared.
_DISTINCT: Final = (
    "SELECT COUNT(*), COALESCE(SUM(last & 1), 0) FROM (SELECT MAX(from_ts * 2 + locked) AS last"
    " FROM synapse_bum_storage_users WHERE from_ts < ? AND (until_ts IS NULL OR until_ts >= ?)"
    " GROUP BY user_id) AS of_each_user"
)
# Reads the table whole, once a day.
_DROP: Final = "DELETE FROM synapse_bum_storage_users WHERE until_ts < ?"
_NOT_SINCE_BEFORE: Final = "UPDATE synapse_bum_storage_users_count SET since_ts = ? WHERE since_ts < ?"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class UserRule:
    """Who counts as registered, beyond what Synapse says of a user.

    Attributes:
        exclude: user ids that don't, with `*` for any characters and `?` for one.
        count_locked: whether locked users do.
    """

    exclude: tuple[str, ...] = ()
    count_locked: bool = True


@attr.s(auto_attribs=True, frozen=True, slots=True)
class UserCount:
    """How many there are.

    Attributes:
        users: registered users.
        locked: those among them who are locked; 0 where locked users don't count.
    """

    users: int
    locked: int


def excluded_by(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Makes a predicate: whether a user id is named by one of some patterns, upper and lower case apart.

    Args:
        patterns: as `UserRule.exclude` has them.
    """
    parts = [re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") for pattern in patterns]
    named = re.compile("|".join(parts), re.DOTALL)
    # An empty alternative would name nobody either: no user id is empty.
    return lambda user_id: named.fullmatch(user_id) is not None


def update(txn: Cursor, rule: UserRule, now_ms: int) -> UserCount:
    """Bring the record of registered users up to date.

    Args:
        txn: in a transaction; nobody else may count at the same time.
        rule: who counts, from now on.
        now_ms: ms since the epoch. The clock may have been put back or forward since the last count.

    Returns:
        Who is registered now.
    """
    txn.execute(_GET_COUNT)
    since_ts, counted_ts, exclude_before = txn.fetchone() or (now_ms, now_ms, None)
    exclude = json.dumps(sorted(rule.exclude))
    is_excluded = excluded_by(rule.exclude)
    if counted_ts > now_ms:
        # The clock was ahead: what it counted was before now all the same.
        txn.execute(_NOT_FROM_THE_FUTURE, (now_ms, now_ms))
    since_ts, seen_ts = min(since_ts, now_ms), min(counted_ts, now_ms)
    txn.execute(_END_GONE, (seen_ts, seen_ts, int(rule.count_locked)))
    if exclude != exclude_before:
        _end_excluded(txn, is_excluded, seen_ts)
    _add_who_came(txn, rule, is_excluded, now_ms, seen_ts)
    _add_who_came_and_went(txn, rule, is_excluded, now_ms, max(since_ts, seen_ts - _OVERLAP_MS))
    txn.execute(_PUT_COUNT, (since_ts, now_ms, exclude))
    txn.execute(_COUNT_OPEN)
    return _counted(txn.fetchone())


def _end_excluded(txn: Cursor, is_excluded: Callable[[str], bool], seen_ts: int) -> None:
    txn.execute(_OPEN)
    excluded = sorted(user_id for (user_id,) in txn.fetchall() if is_excluded(user_id))
    for user_ids in in_chunks(excluded, 1):
        txn.execute(_END.format(marks=marks(len(user_ids))), (seen_ts, seen_ts, *user_ids))


def _add_who_came(txn: Cursor, rule: UserRule, is_excluded: Callable[[str], bool], now_ms: int, seen_ts: int) -> None:
    """Begins rows for who is registered and has none: with his creation, if that was since the last count."""
    earliest_ms = _second_of(seen_ts) * 1000

    def begin(created_ms: int | None) -> int:
        return created_ms if created_ms is not None and earliest_ms <= created_ms <= now_ms else now_ms

    txn.execute(_CAME, (int(rule.count_locked),))
    came = txn.fetchall()
    _insert(
        txn,
        [
            (user_id, locked, begin(created_ms), None)
            for user_id, locked, created_ms in came
            if not is_excluded(user_id)
        ],
    )


def _add_who_came_and_went(
    txn: Cursor, rule: UserRule, is_excluded: Callable[[str], bool], now_ms: int, from_ms: int
) -> None:
    """Writes down who was deactivated before a count saw him: for the moment of his creation."""
    txn.execute(_CAME_AND_WENT, (_second_of(from_ms), int(rule.count_locked)))
    _insert(
        txn,
        [
            (user_id, locked, min(created_ms, now_ms), min(created_ms, now_ms))
            for user_id, locked, created_ms in txn.fetchall()
            if not is_excluded(user_id)
        ],
    )


def _second_of(ts_ms: int) -> int:
    """Synapse rounds the time of a creation down to seconds."""
    return ts_ms // 1000


def _insert(txn: Cursor, rows: Sequence[tuple[str, int, int, int | None]]) -> None:
    for chunk in in_chunks(rows, 4):
        values = [value for row in chunk for value in row]
        txn.execute(_INSERT + rows_of_marks(len(chunk), 4), values)


def distinct_users(txn: Cursor, from_ts: int, to_ts: int) -> UserCount:
    """Counts who was registered at any time of a span, each user once.

    Args:
        txn: in a transaction.
        from_ts: ms since the epoch.
        to_ts: the moment after the span.

    Returns:
        How many; locked are those who were so at the end of the span, or when they last were registered in it.
    """
    txn.execute(_DISTINCT, (to_ts, from_ts))
    return _counted(txn.fetchone())


def since_ts(txn: Cursor) -> int | None:
    """Since when users have been counted; ms since the epoch. None before the first count."""
    txn.execute(_GET_COUNT)
    row = txn.fetchone()
    return None if row is None else row[0]


def drop_older(txn: Cursor, before_ts: int) -> None:
    """Drops what is known of the time before a moment about users who were not registered any more by then."""
    txn.execute(_DROP, (before_ts,))
    txn.execute(_NOT_SINCE_BEFORE, (before_ts, before_ts))


def _counted(row: tuple[Any, ...] | None) -> UserCount:
    # PostgreSQL sums to numeric.
    return UserCount(*map(int, row)) if row else UserCount(0, 0)
