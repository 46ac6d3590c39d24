"""Millions of rows of the real schema: files, memberships, profiles, as a server of 10,000 users has them.

Nothing is expired by the contract's lifetimes: local files are at most 80 days old, remote ones at most 12. Rows have
no bytes on disk, and rooms no events: for what looks at rows only. The database makes the rows itself, in tables whose
indexes are built again afterwards.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

import attr

from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.server_database import ServerDatabase

USERS: Final = 10_000
OLDEST_LOCAL_DAYS: Final = 80
_OLDEST_REMOTE_DAYS: Final = 12
_MEMBERS_OF_A_ROOM: Final = 1_000
_PARTNERS: Final = 50
_DAY_MS: Final = 86_400_000

_SETTINGS: Final[Mapping[str, str]] = {
    "shared_buffers": "2GB",
    "maintenance_work_mem": "1GB",
    "max_wal_size": "16GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}

# A multiplier that spreads neighbouring numbers over the whole range (Knuth, The Art of Computer Programming, 6.4).
_SPREAD: Final = 2_654_435_761


class LargePostgres(RealPostgres):
    """A PostgreSQL with memory for millions of rows; still without durability."""

    def _prepare(self) -> Sequence[str]:
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        return [*super()._prepare(), *settings]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Table:
    """How row number `i` of a table is made.

    Attributes:
        name: of the table.
        columns: each with the expression that makes it.
    """

    name: str
    columns: Mapping[str, str]

    def insert(self, first: int, last: int) -> str:
        """The statement that makes the rows from `first` to `last`, both included."""
        names, values = ", ".join(self.columns), ", ".join(self.columns.values())
        # Constants of this file and numbers.
        return f"INSERT INTO {self.name} ({names}) SELECT {values} FROM generate_series({first}, {last}) AS i"  # noqa: S608


def fill(database: ServerDatabase, table: Table, first: int, last: int) -> None:
    """Insert the rows from `first` to `last`, both included, and leave the table vacuumed and analysed.

    Its indexes are dropped before and built again afterwards: nobody may need them meanwhile.
    """
    again = _drop_indexes(database, table.name)
    database.execute(table.insert(first, last))
    for statement in again:
        database.execute(statement)
    database.execute(f"VACUUM ANALYZE {table.name}")


def _drop_indexes(database: ServerDatabase, table: str) -> list[str]:
    """Drop the constraints and indexes of a table; returns what makes them again."""
    constraints = database.rows(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = ?::regclass AND contype IN ('u', 'p')",
        table,
    )
    for name, _definition in constraints:
        database.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    indexes = database.rows("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ?", table)
    for name, _definition in indexes:
        database.execute(f"DROP INDEX {name}")
    again = [f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}" for name, definition in constraints]
    return [*again, *(definition for _name, definition in indexes)]


def _tables(server_name: str, now_ms: int) -> Sequence[Table]:
    """The tables that grow by one row with each number."""
    user = f"'@user' || i % {USERS} || ':{server_name}'"
    room = f"'!room' || i / {_MEMBERS_OF_A_ROOM} || ':{server_name}'"
    number = f"(i * 7 + i / {_MEMBERS_OF_A_ROOM}) % {USERS}"
    member = f"'@user' || {number} || ':{server_name}'"
    # One in a thousand has another avatar in a room than in his profile.
    avatar = f"substr(md5('local' || CASE WHEN i % 1000 = 0 THEN i % {USERS} ELSE {number} END), 1, 24)"

    def earlier(days: int) -> str:
        return f"{now_ms} - (i::bigint * {_SPREAD}) % {days * _DAY_MS}"

    return (
        Table(
            "local_media_repository",
            {
                "media_id": "substr(md5('local' || i), 1, 24)",
                "media_type": "'image/jpeg'",
                "media_length": "50000 + i % 100000",
                "created_ts": earlier(OLDEST_LOCAL_DAYS),
                "upload_name": "'photo.jpg'",
                "user_id": user,
                "safe_from_quarantine": "false",
                "authenticated": "true",
                "sha256": "repeat(md5('a' || i), 2)",
            },
        ),
        Table(
            "remote_media_cache",
            {
                "media_origin": f"'partner' || i % {_PARTNERS} || '.example'",
                "media_id": "substr(md5('remote' || i), 1, 24)",
                "media_type": "'image/jpeg'",
                "created_ts": earlier(_OLDEST_REMOTE_DAYS),
                "last_access_ts": earlier(_OLDEST_REMOTE_DAYS),
                "upload_name": "'photo.jpg'",
                "media_length": "50000 + i % 100000",
                "filesystem_id": "substr(md5('remote' || i), 1, 24)",
                "authenticated": "true",
                "sha256": "repeat(md5('b' || i), 2)",
            },
        ),
        Table(
            "room_memberships",
            {
                "event_id": "'$membership' || i",
                "user_id": member,
                "sender": member,
                "room_id": room,
                "membership": "'join'",
                "forgotten": "0",
                "display_name": "'User ' || i",
                "avatar_url": f"'mxc://{server_name}/' || {avatar}",
            },
        ),
        Table(
            "current_state_events",
            {
                "event_id": "'$membership' || i",
                "room_id": room,
                "type": "'m.room.member'",
                "state_key": member,
                "membership": "'join'",
            },
        ),
    )


class SyntheticRows:
    """Fills the database of a homeserver further and further.

    Attributes:
        count: rows so far in each of the large tables.
    """

    def __init__(self, database: ServerDatabase, server_name: str) -> None:
        """Write the users, who are there from the start.

        Args:
            database: on PostgreSQL, of a homeserver whose background updates are over.
            server_name: of the homeserver.
        """
        self.count = 0
        self._database = database
        self._tables = _tables(server_name, int(time.time() * 1_000))
        avatar = f"'mxc://{server_name}/' || substr(md5('local' || i), 1, 24)"
        user_id = f"'@user' || i || ':{server_name}'"
        for table in (
            Table("users", {"name": user_id, "creation_ts": "0", "admin": "0", "is_guest": "0"}),
            Table(
                "profiles",
                {
                    "user_id": "'user' || i",
                    "displayname": "'User ' || i",
                    "avatar_url": avatar,
                    "full_user_id": user_id,
                },
            ),
            Table(
                "user_directory",
                {"user_id": user_id, "display_name": "'User ' || i", "avatar_url": avatar},
            ),
        ):
            self._database.execute(table.insert(0, USERS - 1))
            self._database.execute(f"ANALYZE {table.name}")

    def grow_to(self, count: int) -> float:
        """Make all large tables have so many rows, and return the seconds that it took."""
        began = time.monotonic()
        # Synapse's triggers look events up, which these rows do not have.
        self._database.execute("SET session_replication_role = replica")
        for table in self._tables:
            fill(self._database, table, self.count, count - 1)
        self._database.execute("SET session_replication_role = origin")
        self.count = count
        return time.monotonic() - began
