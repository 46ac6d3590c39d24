"""Holds: what they hold, until when, and where they are kept."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.deletion import DELETION, Hold, delete_hold, get_hold, list_holds, put_hold
from synapse_bum.deletion.holds import held_files, held_rooms, held_uploaders, held_users, holds_over
from synapse_bum.homeserver.media import StoredMedia

NOW = 50
USERS = ("@alice:a.example", "@bob:a.example", "@carol:b.example", "@dave:b.example:8448")
ROOMS = ("!room:a.example", "!other:a.example", "!" + "x" * 43)
TARGETS = (*USERS, *ROOMS)
MEMBERSHIPS = "CREATE TABLE room_memberships (event_id TEXT, room_id TEXT, user_id TEXT, membership TEXT)"
"""What our SQL touches of Synapse's table."""

Membership = tuple[str, str, str]


@st.composite
def some_holds(draw: st.DrawFn) -> list[Hold]:
    targets = draw(st.lists(st.sampled_from(TARGETS), unique=True))
    return [a_hold(target, until_ts=draw(st.integers(0, 100))) for target in targets]


some_memberships = st.lists(
    st.tuples(st.sampled_from(ROOMS), st.sampled_from(USERS), st.sampled_from(["join", "invite", "leave", "ban"])),
    max_size=12,
)


def a_hold(target: str = TARGETS[0], *, until_ts: int = 100) -> Hold:
    return Hold(target, "a court order", until_ts, "@admin:a.example", 1)


class CountingCursor:
    """Counts statements."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self.statements = 0

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> object:
        self.statements += 1
        return self._cursor.execute(sql, parameters)

    def fetchone(self) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._cursor.fetchone()
        return row

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._cursor.fetchall()


@contextlib.contextmanager
def a_database() -> Iterator[sqlite3.Cursor]:
    connection = sqlite3.connect(":memory:")
    try:
        cursor = connection.cursor()
        migrate(cursor, Dialect.SQLITE, [DELETION])
        cursor.execute(MEMBERSHIPS)
        yield cursor
    finally:
        connection.close()


@pytest.fixture
def txn() -> Iterator[sqlite3.Cursor]:
    with a_database() as cursor:
        yield cursor


def local(media_id: str, uploader: str | None = USERS[0]) -> StoredMedia:
    return StoredMedia("a.example", media_id, media_id, local=True, uploader=uploader)


def remote(media_id: str, server_name: str = "b.example") -> StoredMedia:
    return StoredMedia(server_name, media_id, f"on disk {media_id}", local=False)


FILES = (
    local("1", USERS[0]),
    local("2", USERS[1]),
    local("3", None),
    remote("4"),
    remote("5", "b.example:8448"),
    remote("6", "c.example"),
)


def join(txn: sqlite3.Cursor, *memberships: Membership) -> None:
    txn.executemany("INSERT INTO room_memberships (room_id, user_id, membership) VALUES (?, ?, ?)", memberships)


def concerns(hold: Hold, file: StoredMedia, memberships: list[Membership], rooms: list[str]) -> bool:
    """What the documentation says of a hold, one file at a time."""
    if hold.target in rooms:
        return True
    users = {
        hold.target,
        *(user for room, user, membership in memberships if (room, membership) == (hold.target, "join")),
    }
    if file.local:
        return file.uploader in users
    return any(user.startswith("@") and user.split(":", 1)[1] == file.server_name for user in users)


@given(some_holds(), some_memberships, st.lists(st.sampled_from(ROOMS)))
def test_a_file_is_held_by_its_uploader_or_server_and_every_room_they_ever_joined(
    known: list[Hold], memberships: list[Membership], rooms: list[str]
) -> None:
    with a_database() as txn:
        for hold in known:
            put_hold(txn, hold)
        join(txn, *memberships)
        found = held_files(txn, FILES, NOW, rooms)
    for file in FILES:
        in_force = [hold for hold in known if hold.until_ts > NOW and concerns(hold, file, memberships, rooms)]
        assert (file in found) is bool(in_force)
        if in_force:
            assert found[file] in in_force
            assert found[file].until_ts == max(hold.until_ts for hold in in_force)


@given(some_holds(), some_memberships)
def test_a_selection_that_leaves_held_uploaders_out_has_no_held_file_and_misses_none(
    known: list[Hold], memberships: list[Membership]
) -> None:
    with a_database() as txn:
        for hold in known:
            put_hold(txn, hold)
        join(txn, *memberships)
        left_out = held_uploaders(txn, NOW)
        found = held_files(txn, FILES, NOW)
    for file in FILES:
        is_left_out = file.uploader in left_out.users if file.local else file.server_name in left_out.servers
        assert is_left_out is (file in found)


@given(some_holds(), some_memberships)
def test_what_is_over_a_user_holds_his_files_and_nothing_else_does(
    known: list[Hold], memberships: list[Membership]
) -> None:
    with a_database() as txn:
        for hold in known:
            put_hold(txn, hold)
        join(txn, *memberships)
        for user_id in USERS:
            over = holds_over(txn, user_id, NOW)
            file = local("x", user_id)
            assert over[:1] == list(held_files(txn, [file], NOW).values())
            in_force = [hold for hold in known if hold.until_ts > NOW and concerns(hold, file, memberships, [])]
            assert sorted(hold.target for hold in over) == sorted(hold.target for hold in in_force)
        for room_id in ROOMS:
            ever = {user for room, user, membership in memberships if (room, membership) == (room_id, "join")}
            found = {hold.target for hold in holds_over(txn, room_id, NOW)}
            assert found == {hold.target for hold in known if hold.until_ts > NOW and hold.target in {room_id, *ever}}


def test_a_hold_ends_at_its_very_time(txn: sqlite3.Cursor) -> None:
    put_hold(txn, a_hold(until_ts=100))
    assert held_files(txn, [local("1")], 99) == {local("1"): a_hold(until_ts=100)}
    assert held_files(txn, [local("1")], 100) == {}


def test_who_has_left_the_room_is_still_held_and_who_was_only_invited_is_not(txn: sqlite3.Cursor) -> None:
    put_hold(txn, a_hold(ROOMS[0]))
    join(txn, (ROOMS[0], USERS[0], "join"), (ROOMS[0], USERS[0], "leave"), (ROOMS[0], USERS[1], "invite"))
    assert list(held_files(txn, FILES, NOW)) == [local("1", USERS[0])]


def test_events_are_held_by_room_and_sender(txn: sqlite3.Cursor) -> None:
    for target in (USERS[0], USERS[2], ROOMS[0]):
        put_hold(txn, a_hold(target))
    put_hold(txn, a_hold(ROOMS[1], until_ts=NOW))
    assert held_rooms(txn, NOW) == {ROOMS[0]}
    assert held_users(txn, NOW) == {USERS[0], USERS[2]}


def test_without_holds_one_query_is_enough(txn: sqlite3.Cursor) -> None:
    counted = CountingCursor(txn)
    assert held_files(counted, FILES, NOW, ROOMS) == {}
    assert counted.statements == 1


def test_holds_are_found_for_thousands_of_uploaders_with_few_queries(txn: sqlite3.Cursor) -> None:
    put_hold(txn, a_hold(ROOMS[0]))
    join(txn, *[(ROOMS[0], f"@{number}:a.example", "join") for number in range(0, 2_000, 2)])
    files = [local(str(number), f"@{number}:a.example") for number in range(2_000)]
    counted = CountingCursor(txn)
    assert list(held_files(counted, files, NOW)) == files[::2]
    assert counted.statements == 1 + 5


@pytest.mark.parametrize("target", ["", "alice", "#alias:a.example", "@alice", "mxc://a.example/x"])
def test_a_hold_is_on_a_room_or_a_user(target: str) -> None:
    with pytest.raises(ValueError, match="room id or a user id"):
        a_hold(target)


def test_a_hold_is_kept_as_it_was_set(txn: sqlite3.Cursor) -> None:
    put_hold(txn, a_hold())
    assert get_hold(txn, TARGETS[0]) == a_hold()
    assert get_hold(txn, TARGETS[1]) is None
    assert a_hold().as_json() == {
        "target": TARGETS[0],
        "reason": "a court order",
        "until_ts": 100,
        "created_by": "@admin:a.example",
        "created_ts": 1,
    }


def test_a_target_has_one_hold_the_last(txn: sqlite3.Cursor) -> None:
    put_hold(txn, a_hold(until_ts=100))
    put_hold(txn, a_hold(until_ts=5))
    assert list_holds(txn, 0, 10) == ([a_hold(until_ts=5)], 1)


def test_holds_are_listed_in_pages(txn: sqlite3.Cursor) -> None:
    for target in TARGETS:
        put_hold(txn, a_hold(target))
    first, total = list_holds(txn, 0, 4)
    rest, _ = list_holds(txn, 4, 4)
    assert [hold.target for hold in first + rest] == sorted(TARGETS)
    assert total == len(TARGETS)


def test_lifting_says_whether_there_was_one(txn: sqlite3.Cursor) -> None:
    put_hold(txn, a_hold())
    assert delete_hold(txn, TARGETS[0]) is True
    assert delete_hold(txn, TARGETS[0]) is False
    assert get_hold(txn, TARGETS[0]) is None
