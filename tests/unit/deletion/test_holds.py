"""Holds: what they hold, until when, and where they are kept."""

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.deletion import DELETION, Hold, delete_hold, get_hold, is_held, list_holds, put_hold
from synapse_bum.deletion.holds import holds_on

TARGETS = ("@alice:a.example", "@bob:a.example", "!room:a.example", "!other:a.example")


@st.composite
def holds(draw: st.DrawFn) -> list[Hold]:
    targets = draw(st.lists(st.sampled_from(TARGETS), unique=True))
    return [a_hold(target, until_ts=draw(st.integers(0, 100))) for target in targets]


def a_hold(target: str = TARGETS[0], *, until_ts: int = 100) -> Hold:
    return Hold(target, "a court order", until_ts, "@admin:a.example", 1)


@pytest.fixture
def txn() -> Iterator[sqlite3.Cursor]:
    connection = sqlite3.connect(":memory:")
    cursor = connection.cursor()
    migrate(cursor, Dialect.SQLITE, [DELETION])
    yield cursor
    connection.close()


@given(holds(), st.lists(st.sampled_from(TARGETS)), st.integers(0, 100))
def test_something_is_held_when_any_of_its_targets_has_a_hold_that_has_not_ended(
    known: list[Hold], targets: list[str], now_ms: int
) -> None:
    in_force = [hold for hold in known if hold.target in targets and now_ms < hold.until_ts]
    found = is_held(known, targets, now_ms)
    assert (found is not None) is bool(in_force)
    if found is not None:
        assert found in in_force
        assert found.until_ts == max(hold.until_ts for hold in in_force)


def test_a_hold_ends_at_its_very_time() -> None:
    assert is_held([a_hold(until_ts=100)], [TARGETS[0]], 99) is not None
    assert is_held([a_hold(until_ts=100)], [TARGETS[0]], 100) is None


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
    first, total = list_holds(txn, 0, 3)
    rest, _ = list_holds(txn, 3, 3)
    assert [hold.target for hold in first + rest] == sorted(TARGETS)
    assert total == len(TARGETS)


def test_lifting_says_whether_there_was_one(txn: sqlite3.Cursor) -> None:
    put_hold(txn, a_hold())
    assert delete_hold(txn, TARGETS[0]) is True
    assert delete_hold(txn, TARGETS[0]) is False
    assert get_hold(txn, TARGETS[0]) is None


def test_holds_are_found_among_thousands_of_rooms(txn: sqlite3.Cursor) -> None:
    put_hold(txn, a_hold("!1999:a.example"))
    rooms = [f"!{number}:a.example" for number in range(2_000)]
    assert list(holds_on(txn, rooms)) == [a_hold("!1999:a.example")]
    assert list(holds_on(txn, rooms[:-1])) == []
    assert list(holds_on(txn, [])) == []
