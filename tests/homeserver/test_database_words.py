"""What a command shows of a database's errors: why, and neither rows nor the password."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from synapse_bum.homeserver.database_copying import PostgresDatabase, living
from synapse_bum.homeserver.database_snapshot import ReadableDatabase
from synapse_bum.homeserver.database_words import why_not_opened
from synapse_bum.homeserver.offline_database import OfflineDatabase, OfflineDatabaseError
from synapse_bum.testing.postgres import RealPostgres

pytestmark = [pytest.mark.any_synapse, pytest.mark.requires("postgresql")]

psycopg2: Any = pytest.importorskip("psycopg2")

THEIRS = "@erika.mustermann:messenger.example"
TWICE = (
    "CREATE TEMPORARY TABLE people (user_id TEXT UNIQUE);"
    " INSERT INTO people VALUES ('@erika.mustermann:messenger.example'), ('@erika.mustermann:messenger.example')"
)
# Each of them has a slip of the pen, for which libpq quotes what it could not read.
UNREADABLE = (
    "postgresql://synapse:geheim@[::1/synapse",
    "host=127.0.0.1 password=ganz geheim",
    "host=127.0.0.1 port=1geheim",
    "postgresql://synapse:geheim%zz@127.0.0.1/synapse",
)

Opened = Callable[[Mapping[str, Any]], AbstractContextManager[Any]]
DOORS: Mapping[str, Opened] = {
    "offline": lambda settings: OfflineDatabase(settings).transaction(),
    "snapshot": lambda settings: ReadableDatabase(settings).snapshot(),
    "copying": lambda settings: PostgresDatabase(settings).view(),
    "living": living,
}


@pytest.fixture(scope="module")
def postgres() -> Iterator[RealPostgres]:
    with RealPostgres() as server:
        yield server


def on(dsn: str) -> Mapping[str, Any]:
    return {"name": "psycopg2", "args": {"dsn": dsn}}


def test_a_row_that_is_there_already_is_not_quoted(postgres: RealPostgres) -> None:
    connection = psycopg2.connect(postgres.dsn())
    with pytest.raises(psycopg2.IntegrityError, match=THEIRS):
        connection.cursor().execute(TWICE)
    connection.close()

    with (
        pytest.raises(OfflineDatabaseError) as refused,
        OfflineDatabase(on(postgres.dsn())).transaction() as txn,
    ):
        txn.execute(TWICE)
    assert str(refused.value) == (
        'nothing was changed, the database said: duplicate key value violates unique constraint "people_user_id_key"'
    )
    assert refused.value.__cause__ is None


def test_a_statement_that_fails_is_not_quoted(postgres: RealPostgres) -> None:
    with (
        pytest.raises(OfflineDatabaseError, match=r'relation "nowhere" does not exist$'),
        PostgresDatabase(on(postgres.dsn())).view() as view,
    ):
        view.txn.execute("SELECT '@erika.mustermann:messenger.example' FROM nowhere")
    with (
        pytest.raises(OfflineDatabaseError, match=r'relation "nowhere" does not exist$'),
        ReadableDatabase(on(postgres.dsn())).snapshot() as snapshot,
    ):
        snapshot.row("SELECT '@erika.mustermann:messenger.example' FROM nowhere")


@pytest.mark.parametrize("dsn", UNREADABLE)
@pytest.mark.parametrize("opened", DOORS.values(), ids=DOORS)
def test_a_connection_string_that_can_not_be_read_is_not_quoted(opened: Opened, dsn: str) -> None:
    with pytest.raises(OfflineDatabaseError, match=r"can't be opened: .*is `dsn` right") as refused, opened(on(dsn)):
        pass
    assert "geheim" not in str(refused.value)


def test_a_password_that_is_taken_for_a_host_is_not_quoted() -> None:
    said = psycopg2.OperationalError('could not translate host name "geheim@db" to address: Name or service not known')
    assert "geheim" not in why_not_opened(said, {"dsn": "postgresql://synapse:teil@geheim@db/synapse"})


def test_a_connection_string_in_pieces_is_not_quoted() -> None:
    with pytest.raises(OfflineDatabaseError, match=r"can't be read: .*is `dsn` right") as refused:
        PostgresDatabase(on(UNREADABLE[0])).given()
    assert "geheim" not in str(refused.value)


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    for arguments in (
        {"dsn": "postgresql://synapse:geheim@127.0.0.1:1/synapse"},
        {"host": "127.0.0.1", "port": 1, "user": "synapse", "password": "geheim"},
    ):
        with (
            pytest.raises(OfflineDatabaseError, match=r"can't be opened: connection to server at .*port 1") as refused,
            OfflineDatabase({"name": "psycopg2", "args": arguments}).transaction(),
        ):
            pass
        assert "geheim" not in str(refused.value)


def test_sqlite_says_which_column_and_not_what_was_in_it(tmp_path: Path) -> None:
    path = tmp_path / "homeserver.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE people (user_id TEXT UNIQUE); INSERT INTO people VALUES ('erika')")
    with (
        pytest.raises(OfflineDatabaseError, match=r"UNIQUE constraint failed: people\.user_id$"),
        OfflineDatabase({"name": "sqlite3", "args": {"database": str(path)}}).transaction() as txn,
    ):
        txn.execute("INSERT INTO people VALUES ('erika')")
