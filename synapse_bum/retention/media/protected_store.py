"""The rows of what protects files: replaced source by source, with the allowance of each user settled at once.

Each query says which index it uses. A source is a profile, a member, a state event's place or an entry of account data:
when it changes, the files that it referred to before are protected by it no more.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from synapse.module_api import LoggingTransaction

from synapse_bum.homeserver.media_references import StateKey
from synapse_bum.homeserver.sql_lists import in_chunks, marks, rows_of_marks
from synapse_bum.retention.config import ProtectConfig
from synapse_bum.retention.media.protection_cap import Reference, protected_files
from synapse_bum.retention.media.references import FileName, Kind, uri_of_file

Row: TypeAlias = tuple[str, str, FileName]
"""Source, the user who answers for the reference, and the file that it names."""

PROTECTS: Final = (
    "EXISTS (SELECT 1 FROM synapse_bum_retention_protected AS protected"
    " WHERE protected.server_name = ? AND protected.media_id = m.media_id AND protected.protects = 1)"
)
"""Condition: the row `m` of Synapse's table of local files is protected. Its parameter is our server's name; it goes by
the index on (server_name, media_id), one look for each row."""

# By primary key: one row each.
_INSERT: Final = (
    "INSERT INTO synapse_bum_retention_protected (kind, source, user_id, server_name, media_id, protects, generation)"
    " VALUES (?, ?, ?, ?, ?, 0, ?)"
    " ON CONFLICT (kind, source, user_id, server_name, media_id) DO UPDATE SET generation = excluded.generation"
)
_DELETE: Final = (
    "DELETE FROM synapse_bum_retention_protected"
    " WHERE kind = ? AND source = ? AND user_id = ? AND server_name = ? AND media_id = ?"
)
# Along the index on (server_name, user_id), then by primary key.
_SET_PROTECTS: Final = (
    "UPDATE synapse_bum_retention_protected SET protects = ? WHERE server_name = ? AND user_id = ? AND media_id = ?"
    " AND protects <> ?"
)
# A range of the index on (server_name, user_id).
_USERS_PAGE: Final = (
    "SELECT DISTINCT user_id FROM synapse_bum_retention_protected WHERE server_name = ? AND user_id > ?"
    " ORDER BY user_id LIMIT ?"
)
# A range of the primary key for each of the kinds that are read anew; rows in the order in which they lie.
_SWEEP_PAGE: Final = (
    "SELECT kind, source, user_id, server_name, media_id, generation FROM synapse_bum_retention_protected"
    " WHERE (kind, source, user_id, server_name, media_id) > (?, ?, ?, ?, ?)"
    " ORDER BY kind, source, user_id, server_name, media_id LIMIT ?"
)

_SHOWN: Final = tuple(kind.value for kind in (Kind.MEMBER, Kind.ROOM_AVATAR, Kind.ROOM_PACK))


def source_of_state(key: StateKey) -> str:
    """The name of a state event's place: a digest, because state keys may be longer than an index takes."""
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


def source_of_account_data(user_id: str, data_type: str) -> str:
    """The name of an entry of account data."""
    return f"{data_type} {user_id}"


def add(txn: LoggingTransaction, kind: Kind, rows: Iterable[Row], generation: int) -> None:
    """Adds rows, or notes that they were found again; who answers for them has to be settled afterwards."""
    txn.execute_batch(
        _INSERT, [(kind.value, source, user_id, *file, generation) for source, user_id, file in sorted(rows)]
    )


def replace(
    txn: LoggingTransaction, kind: Kind, sources: Collection[str], rows: Collection[Row], generation: int
) -> set[str]:
    """Puts what some sources refer to now in the place of what they referred to before.

    Args:
        txn: of `Database.run`.
        kind: of all these sources.
        sources: which have been read anew, those that refer to nothing any more included.
        rows: what they refer to now.
        generation: of the rebuilding that was begun last.

    Returns:
        The users who answer for what has come or gone.
    """
    before = set(_rows_of(txn, kind, sorted(sources)))
    now = set(rows)
    gone, new = before - now, now - before
    txn.execute_batch(_DELETE, [(kind.value, source, user_id, *file) for source, user_id, file in sorted(gone)])
    add(txn, kind, new, generation)
    return {user_id for _source, user_id, _file in gone | new}


def _rows_of(txn: LoggingTransaction, kind: Kind, sources: Sequence[str]) -> Iterable[Row]:
    for chunk in in_chunks(sources, 1):
        # A range of the primary key for each.
        txn.execute(
            "SELECT source, user_id, server_name, media_id FROM synapse_bum_retention_protected"  # noqa: S608
            f" WHERE kind = ? AND source IN ({marks(len(chunk))})",
            (kind.value, *chunk),
        )
        yield from ((row[0], row[1], (row[2], row[3])) for row in txn.fetchall())


def settle(txn: LoggingTransaction, own_name: str, user_ids: Collection[str], rules: ProtectConfig) -> None:
    """Decides anew which local files some users protect, within the allowance of each.

    Args:
        txn: of `Database.run`; a range of the index on (server_name, user_id) and one file's row for each reference.
        own_name: our server's name.
        user_ids: whose.
        rules: as configured.
    """
    changes: list[tuple[int, str, str, str, int]] = []
    for chunk in in_chunks(sorted(user_ids), 1):
        references: dict[str, list[Reference]] = defaultdict(list)
        stands: dict[tuple[str, str], set[int]] = defaultdict(set)
        txn.execute(
            "SELECT p.user_id, p.media_id, p.protects, p.kind, m.media_length, m.created_ts"  # noqa: S608
            " FROM synapse_bum_retention_protected AS p"
            " LEFT JOIN local_media_repository AS m ON m.media_id = p.media_id AND m.media_length IS NOT NULL"
            f" WHERE p.server_name = ? AND p.user_id IN ({marks(len(chunk))})",
            (own_name, *chunk),
        )
        for user_id, media_id, protects, kind, size_bytes, created_ts in txn.fetchall():
            stands[user_id, media_id].add(protects)
            if size_bytes is not None:
                references[user_id].append(Reference(Kind(kind), media_id, size_bytes, created_ts))
        kept = {user_id: protected_files(of_user, rules) for user_id, of_user in references.items()}
        for (user_id, media_id), stored in stands.items():
            right = int(media_id in kept.get(user_id, ()))
            if stored != {right}:
                changes.append((right, own_name, user_id, media_id, right))
    txn.execute_batch(_SET_PROTECTS, sorted(changes))


def settle_page(txn: LoggingTransaction, own_name: str, after: str, rules: ProtectConfig, limit: int) -> str | None:
    """Settles the next users who refer to local files, in the order of their ids.

    Returns:
        The last one; None at the end.
    """
    txn.execute(_USERS_PAGE, (own_name, after, limit))
    user_ids = [user_id for (user_id,) in txn.fetchall()]
    settle(txn, own_name, user_ids, rules)
    return user_ids[-1] if len(user_ids) == limit else None


def sweep_page(txn: LoggingTransaction, after: Sequence[str], generation: int, limit: int) -> Sequence[str] | None:
    """Removes those of the next rows that a rebuilding did not find again; profiles have no generation.

    Returns:
        The key of the last row that was looked at; None at the end.
    """
    txn.execute(_SWEEP_PAGE, (*after, limit))
    rows = txn.fetchall()
    stale = [tuple(row[:5]) for row in rows if row[5] < generation and row[0] != Kind.PROFILE.value]
    txn.execute_batch(_DELETE, stale)
    return list(rows[-1][:5]) if len(rows) == limit else None


def profiles_between(txn: LoggingTransaction, after: str, last: str | None) -> dict[str, str]:
    """The avatars that stand here of users behind one, up to another or to the end: a range of the primary key.

    Returns:
        mxc URIs by user id.
    """
    until, parameters = ("", ()) if last is None else (" AND source <= ?", (last,))
    txn.execute(
        "SELECT source, server_name, media_id FROM synapse_bum_retention_protected"  # noqa: S608
        f" WHERE kind = 'profile' AND source > ?{until}",
        (after, *parameters),
    )
    return {user_id: uri_of_file(server_name, media_id) for user_id, server_name, media_id in txn.fetchall()}


def protected_of(txn: LoggingTransaction, own_name: str, media_ids: Sequence[str]) -> Mapping[str, bool]:
    """Which of some local files are referred to, and whether within somebody's allowance; along the index on files."""
    found: dict[str, bool] = {}
    for chunk in in_chunks(media_ids, 1):
        txn.execute(
            "SELECT media_id, max(protects) FROM synapse_bum_retention_protected"  # noqa: S608
            f" WHERE server_name = ? AND media_id IN ({marks(len(chunk))}) GROUP BY media_id",
            (own_name, *chunk),
        )
        found.update((media_id, bool(protects)) for media_id, protects in txn.fetchall())
    return found


def users_referring_to(txn: LoggingTransaction, own_name: str, media_ids: Sequence[str]) -> set[str]:
    """Who refers to some local files; along the index on files."""
    found: set[str] = set()
    for chunk in in_chunks(media_ids, 1):
        txn.execute(
            "SELECT DISTINCT user_id FROM synapse_bum_retention_protected"  # noqa: S608
            f" WHERE server_name = ? AND media_id IN ({marks(len(chunk))})",
            (own_name, *chunk),
        )
        found.update(user_id for (user_id,) in txn.fetchall())
    return found


def shown_elsewhere(txn: LoggingTransaction, own_name: str, files: Sequence[FileName]) -> set[FileName]:
    """Which of some files users of other servers show in rooms; along the index on files.

    Args:
        txn: of `Database.run`.
        own_name: our server's name; references that its users answer for don't count.
        files: server names and media ids.
    """
    found: set[FileName] = set()
    for chunk in in_chunks(files, 2):
        txn.execute(
            "SELECT DISTINCT server_name, media_id, user_id FROM synapse_bum_retention_protected"  # noqa: S608
            f" WHERE (server_name, media_id) IN (VALUES {rows_of_marks(len(chunk), 2)})"
            f" AND kind IN ({marks(len(_SHOWN))})",
            [*(part for file in chunk for part in file), *_SHOWN],
        )
        found.update((row[0], row[1]) for row in txn.fetchall() if row[2].partition(":")[2] not in {"", own_name})
    return found
