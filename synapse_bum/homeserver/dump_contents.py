"""What a copy of a homeserver's database holds: how much, and samples by which one can tell that it came back.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL. Tables: `users`, `events`, `event_json`, `redactions`,
`local_current_membership`, `local_media_repository`, `remote_media_cache`, `access_tokens`, `e2e_one_time_keys_json`.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attr
from synapse.util import SYNAPSE_VERSION

from synapse_bum.homeserver.offline_database import OfflineTransaction
from synapse_bum.homeserver.stored_local_files import LocalFiles

SAMPLES: Final = 3
"""Of each kind."""

SPENT_KEYS_TABLE: Final = "e2e_one_time_keys_json"
"""Keys of devices of which each is given away once. A backup would give them away again, and nobody could read what is
encrypted with them (Synapse: docs/usage/administration/backups.md). Clients upload new ones."""

_CANDIDATES: Final = 50  # files that may lie elsewhere, for one that does not

# Each reads its whole table once, in one pass: seconds at ten million rows, once a day.
_COUNTS: Final = {
    "users": "SELECT count(*) FROM users",
    "rooms": "SELECT count(*) FROM rooms",
    "events": "SELECT count(*) FROM events",
    "local_media": "SELECT count(*) FROM local_media_repository",
    "remote_media": "SELECT count(*) FROM remote_media_cache",
}
# The index on `stream_ordering`, backwards; messages are most of what is there. Each condition is one look by an index.
# Their sender must still be in the room, so that it can ask for them as anybody does.
_NEWEST_MESSAGES: Final = (
    "SELECT e.event_id, e.room_id, e.sender, j.json FROM events AS e"
    " INNER JOIN event_json AS j ON j.event_id = e.event_id"
    " INNER JOIN users AS u ON u.name = e.sender"
    " INNER JOIN local_current_membership AS m ON m.room_id = e.room_id AND m.user_id = e.sender"
    " WHERE e.type IN ('m.room.message', 'm.room.encrypted') AND NOT e.outlier AND e.rejection_reason IS NULL"
    " AND m.membership = 'join' AND u.deactivated = 0 AND (u.locked IS NULL OR NOT u.locked)"
    " AND NOT EXISTS (SELECT 1 FROM redactions AS r WHERE r.redacts = e.event_id)"
    " ORDER BY e.stream_ordering DESC LIMIT ?"
)
# One look by an index finds one, where messages are most of what is there; else a pass over the table.
_ANY_MESSAGE: Final = (
    "SELECT 1 FROM events WHERE type IN ('m.room.message', 'm.room.encrypted') AND NOT outlier"
    " AND rejection_reason IS NULL LIMIT 1"
)
_OPEN_ACCOUNT: Final = "u.deactivated = 0 AND (u.locked IS NULL OR NOT u.locked)"
# A pass over the table. Who uploaded a file asks for it, or another one: every user may. Those are one more pass, over
# the accounts.
_NEWEST_FILES: Final = (
    "SELECT f.media_id, coalesce("  # noqa: S608 - our own words
    f"(SELECT u.name FROM users AS u WHERE u.name = f.user_id AND {_OPEN_ACCOUNT}),"
    f" (SELECT min(u.name) FROM users AS u WHERE {_OPEN_ACCOUNT}))"
    " FROM local_media_repository AS f"
    " WHERE f.media_length > 0 AND f.quarantined_by IS NULL AND f.url_cache IS NULL"
    " ORDER BY f.created_ts DESC LIMIT ?"
)
_OLDER: Final = {
    # The index on `(stream_ordering)` does not help by time: a pass over the table.
    "messages": "SELECT count(*) FROM events WHERE state_key IS NULL AND origin_server_ts < ?",
    "local_media": "SELECT count(*) FROM local_media_repository WHERE url_cache IS NULL AND created_ts < ?",
    "remote_media": "SELECT count(*) FROM remote_media_cache WHERE created_ts < ?",
}
# By the primary key's maximum.
_INSERT_GRANT: Final = (
    "INSERT INTO access_tokens (id, user_id, token) SELECT coalesce(max(id), 0) + 1, ?, ? FROM access_tokens"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MessageSample:
    """A message that must come back.

    Attributes:
        event_id: its id.
        room_id: its room.
        user_id: its sender, who may read it.
        sha256: of its content, see `fingerprint_of`.
    """

    event_id: str
    room_id: str
    user_id: str
    sha256: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class FileSample:
    """A file that must come back.

    Attributes:
        media_id: its id.
        user_id: who asks for it.
        sha256: of its bytes.
    """

    media_id: str
    user_id: str
    sha256: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Contents:
    """What a database holds.

    Attributes:
        counts: rows, by `users`, `rooms`, `events`, `local_media`, `remote_media`.
        messages: samples.
        files: samples.
        unproved: `messages` or `files`, where there are some and none of them could be taken as a sample.
    """

    counts: dict[str, int]
    messages: tuple[MessageSample, ...]
    files: tuple[FileSample, ...]
    unproved: tuple[str, ...]


def synapse_version() -> str:
    """The release of the Synapse of this environment."""
    return SYNAPSE_VERSION.split()[0]


def fingerprint_of(content: object) -> str:
    """SHA-256 of the content of an event: of its JSON with sorted keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_counts(txn: OfflineTransaction) -> dict[str, int]:
    """Counts the rows of a database."""
    return {name: _number(txn, query) for name, query in _COUNTS.items()}


def read_contents(txn: OfflineTransaction, folders: Sequence[Path]) -> Contents:
    """Counts the rows of a database and takes samples of the newest messages and files.

    Args:
        txn: in a transaction whose view does not change.
        folders: the media store, and storage providers that are folders.

    Raises:
        OSError: a file that is there can't be read.
    """
    txn.execute(_NEWEST_MESSAGES, (SAMPLES,))
    messages = tuple(
        MessageSample(event_id, room_id, sender, fingerprint_of(json.loads(stored)["content"]))
        for event_id, room_id, sender, stored in txn.fetchall()
    )
    txn.execute(_ANY_MESSAGE)
    unproved = ["messages"] if txn.fetchone() is not None and not messages else []
    txn.execute(_NEWEST_FILES, (_CANDIDATES,))
    candidates = txn.fetchall()
    files = tuple(_file_samples(candidates, LocalFiles(folders)))
    unproved += ["files"] if candidates and not files else []
    return Contents(read_counts(txn), messages, files, tuple(unproved))


def count_older(txn: OfflineTransaction, kind: str, ts_ms: int) -> int:
    """How much is older than a time.

    Args:
        txn: in a transaction.
        kind: `messages`, `local_media` or `remote_media`.
        ts_ms: ms since the epoch.
    """
    return _number(txn, _OLDER[kind], ts_ms)


def forget_spent_keys(txn: OfflineTransaction) -> None:
    """Empties `SPENT_KEYS_TABLE`."""
    txn.execute("DELETE FROM e2e_one_time_keys_json")


def give_token(txn: OfflineTransaction, user_id: str, token: str) -> None:
    """Gives a user an access token, in a copy of the database that is thrown away."""
    txn.execute(_INSERT_GRANT, (user_id, token))


def _number(txn: OfflineTransaction, query: str, *parameters: object) -> int:
    txn.execute(query, parameters)
    row: Any = txn.fetchone()
    return int(row[0])


def _file_samples(rows: Sequence[tuple[Any, ...]], files: LocalFiles) -> Iterator[FileSample]:
    """Hashes files until there are enough; those that lie elsewhere or have just been deleted are passed over."""
    found = 0
    for media_id, user_id in rows:
        if found == SAMPLES:
            return
        path = files.path_of(media_id)
        if path is None or user_id is None:
            continue
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while part := file.read(1 << 20):
                    digest.update(part)
        except FileNotFoundError:
            continue
        found += 1
        yield FileSample(media_id, user_id, digest.hexdigest())
