"""`SmallHomeserver`: a SQLite database of Synapse's shape, a media store and a configuration, without a Synapse.

For commands that read a homeserver's database and files. `ALICE` and `BOB` have accounts.
"""

import contextlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from synapse_bum.audit.chain import Entry
from synapse_bum.audit.table import AUDIT, append
from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.homeserver.offline_database import OfflineDatabase

ALICE: Final = "@alice:messenger.example"
BOB: Final = "@bob:messenger.example"

_TABLES: Final = """
CREATE TABLE users (name TEXT UNIQUE, password_hash TEXT, creation_ts BIGINT, deactivated SMALLINT);
CREATE TABLE devices (user_id TEXT, device_id TEXT, display_name TEXT, last_seen BIGINT);
CREATE TABLE room_memberships (event_id TEXT UNIQUE, user_id TEXT, sender TEXT, room_id TEXT, membership TEXT);
CREATE TABLE local_current_membership (room_id TEXT, user_id TEXT, event_id TEXT, membership TEXT);
CREATE TABLE room_stats_state (room_id TEXT UNIQUE, name TEXT, canonical_alias TEXT, topic TEXT, encryption TEXT,
    room_type TEXT);
CREATE TABLE events (stream_ordering INTEGER PRIMARY KEY, event_id TEXT UNIQUE, type TEXT, room_id TEXT, sender TEXT,
    state_key TEXT);
CREATE INDEX events_room_stream ON events (room_id, stream_ordering);
CREATE TABLE event_json (event_id TEXT UNIQUE, json TEXT);
CREATE TABLE redactions (event_id TEXT, redacts TEXT);
CREATE INDEX redactions_redacts ON redactions (redacts);
CREATE TABLE local_media_repository (media_id TEXT UNIQUE, media_type TEXT, media_length INTEGER, created_ts BIGINT,
    upload_name TEXT, user_id TEXT, quarantined_by TEXT, url_cache TEXT, last_access_ts BIGINT);
"""


class SmallHomeserver:
    """A database, a media store, and what homeserver.yaml says of them.

    Attributes:
        folder: of everything.
        store: the media store; it holds `local_content`.
        arguments: of the database, as in homeserver.yaml; may be changed.
        settings: of the database, as in homeserver.yaml.
        config: homeserver.yaml; may be changed.
    """

    def __init__(self, folder: Path) -> None:
        """Make it in an empty folder."""
        self.folder = folder
        self.store = folder / "media_store"
        (self.store / "local_content").mkdir(parents=True)
        self.arguments: dict[str, Any] = {"database": str(folder / "homeserver.db")}
        self.settings = {"name": "sqlite3", "args": self.arguments}
        self.config: dict[str, Any] = {
            "server_name": "messenger.example",
            "database": self.settings,
            "media_store_path": str(self.store),
        }
        with contextlib.closing(self.connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)
        self.execute("INSERT INTO users VALUES (?, 'hash', 1, 0)", [(ALICE,), (BOB,)])

    def connect(self) -> sqlite3.Connection:
        """Open the database."""
        return sqlite3.connect(self.arguments["database"])

    def execute(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for each of some rows."""
        with contextlib.closing(self.connect()) as connection, connection:
            connection.executemany(sql, rows)

    def configuration(self) -> Path:
        """Write homeserver.yaml as it is now."""
        path = self.folder / "homeserver.yaml"
        path.write_text(json.dumps(self.config))  # JSON is YAML too
        return path

    def a_file(self, media_id: str, content: bytes | None, *, size: int | None = 4, mark: str | None = None) -> None:
        """Add a file of Alice's.

        Args:
            media_id: with five characters at least.
            content: what lies in the media store; None where nothing does.
            size: what the row says.
            mark: who has quarantined it.
        """
        row = (media_id, "text/plain", size, 1_700_000_000_000, f"{media_id}.txt", ALICE, mark, None, None)
        self.execute("INSERT INTO local_media_repository VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [row])
        if content is not None:
            put(self.store, media_id, content)

    def audit(self, *entries: Entry) -> None:
        """Append entries to the audit."""
        with OfflineDatabase(self.settings).transaction() as txn:
            migrate(txn, Dialect.SQLITE, (AUDIT,))
            for entry in entries:
                append(txn, entry)
            txn.keep()


def put(folder: Path, media_id: str, content: bytes) -> None:
    """Put the bytes of a local file into a media store or a copy of one."""
    path = folder / "local_content" / media_id[:2] / media_id[2:4] / media_id[4:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
