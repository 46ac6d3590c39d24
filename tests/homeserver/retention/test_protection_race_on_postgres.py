"""Two processes that follow what protects files, on PostgreSQL: the one that has read the past must not write last."""

import threading
from collections.abc import Collection
from inspect import signature
from typing import Any
from unittest.mock import Mock, patch

import pytest
from synapse.module_api import LoggingTransaction
from synapse.storage.engines import PostgresEngine

from synapse_bum.homeserver import media_references
from synapse_bum.homeserver.media_references import MemberAvatar
from synapse_bum.retention.config import ProtectConfig
from synapse_bum.retention.media.protected import Change, ProtectedMedia
from synapse_bum.retention.media.protected_tables import PROTECTED
from synapse_bum.testing.postgres import RealPostgres

psycopg2: Any = pytest.importorskip("psycopg2")

ALICE = "@alice:test"
CHANGES: list[Change] = [(1, "!room:test", "m.room.member", ALICE)]
FIRST_WAITS_S = 1.0


class Rooms:
    """What Synapse's tables say of alice's avatar, in a table of its own; the first to read goes on late.

    Attributes:
        was_read: somebody has read.
        second_is_done: somebody else has read and written meanwhile.
    """

    def __init__(self) -> None:
        self.was_read = threading.Event()
        self.second_is_done = threading.Event()

    def member_avatars(self, txn: LoggingTransaction, members: Collection[str]) -> list[MemberAvatar]:
        """In the place of `media_references.member_avatars`."""
        txn.execute("SELECT uri FROM avatars")
        found = [(member, member, uri) for (uri,) in txn.fetchall() for member in members]
        if not self.was_read.is_set():
            self.was_read.set()
            self.second_is_done.wait(FIRST_WAITS_S)
        return found


@pytest.mark.requires("postgresql")
@pytest.mark.any_synapse
def test_a_change_that_is_followed_by_two_at_once_is_not_lost() -> None:
    rules = ProtectConfig(avatars=True, image_packs=True, max_bytes_per_user=10 << 20)
    rooms = Rooms()
    with RealPostgres() as postgres:
        first, second, synapse = (psycopg2.connect(postgres.dsn()) for _ in range(3))
        try:
            with synapse, synapse.cursor() as cursor:
                for migration in PROTECTED.migrations:
                    for statement in migration.postgres:
                        cursor.execute(statement)
                cursor.execute("CREATE TABLE avatars (uri TEXT)")
                cursor.execute(
                    "CREATE TABLE local_media_repository (media_id TEXT, media_length INT, created_ts BIGINT)"
                )
                cursor.execute("INSERT INTO local_media_repository VALUES ('old', 1, 1), ('new', 1, 1)")
                cursor.execute("INSERT INTO avatars VALUES ('mxc://test/old')")

            def follow(connection: Any) -> None:  # noqa: ANN401 - psycopg2 has no types
                engine = PostgresEngine({"name": "psycopg2", "args": {}, "allow_unsafe_locale": True})
                protected = ProtectedMedia(Mock(server_name="test"), Mock(), rules)
                connection.set_session(isolation_level="READ COMMITTED")
                with connection, connection.cursor() as cursor:
                    # Older versions of Synapse have no `server_name` here.
                    named: dict[str, Any] = (
                        {"server_name": "test"} if "server_name" in signature(LoggingTransaction).parameters else {}
                    )
                    txn = LoggingTransaction(txn=cursor, name="test", database_engine=engine, **named)
                    protected._take_changes(txn, CHANGES)

            with patch.object(media_references, "member_avatars", rooms.member_avatars):
                one = threading.Thread(target=follow, args=(first,))
                one.start()
                assert rooms.was_read.wait(60)
                with synapse, synapse.cursor() as cursor:
                    cursor.execute("UPDATE avatars SET uri = 'mxc://test/new'")
                follow(second)
                rooms.second_is_done.set()
                one.join(60)
            with synapse, synapse.cursor() as cursor:
                cursor.execute("SELECT media_id, protects FROM synapse_bum_retention_protected")
                assert cursor.fetchall() == [("new", 1)]
        finally:
            for connection in (first, second, synapse):
                connection.close()
