"""Things of which only the end is told: what had ended and is there again is no longer said to be gone."""

import json
from pathlib import Path
from typing import Any

import pytest

from synapse_bum.after_restore.lines import Line, State
from synapse_bum.after_restore.log import last_words
from synapse_bum.testing.toy_server import Ends, ToyServer


@pytest.fixture
def server(tmp_path: Path) -> ToyServer:
    made = ToyServer(tmp_path)
    made.start()
    made.put("a", "1", "ends")
    made.put("b", "1", "ends")
    made.turn()
    return made


def told(server: ToyServer) -> list[tuple[str, Any]]:
    """What stands in the file."""
    if not server.log_path.exists():
        return []
    lines = (json.loads(line) for line in server.log_path.read_bytes().splitlines())
    return [(line["key"], line["state"]) for line in lines]


def ends(server: ToyServer) -> list[str]:
    return [key for (key,) in server.rows("SELECT key FROM ends ORDER BY key")]


def end(server: ToyServer, key: str) -> None:
    server.put(key, None, "ends")
    server.turn()


def begin(server: ToyServer, key: str) -> None:
    server.put(key, "2", "ends")
    server.turn()


def test_only_what_had_ended_is_told_when_it_is_there_again(server: ToyServer) -> None:
    assert told(server) == []
    end(server, "a")
    begin(server, "a")
    begin(server, "new")
    server.turn()
    assert told(server) == [("a", None), ("a", {})]
    end(server, "a")
    assert told(server) == [("a", None), ("a", {}), ("a", None)]


def test_what_has_another_state_is_another_thing(server: ToyServer) -> None:
    server.put("a", "2", "ends")
    server.turn()
    assert told(server) == [("a", None), ("a", {})]


def test_what_is_there_again_is_not_ended_by_a_restore(server: ToyServer) -> None:
    backup = server.backup()
    end(server, "a")
    end(server, "b")
    begin(server, "a")
    server.restore(backup)
    server.start()
    assert ends(server) == ["a"]
    rows = server.rows("SELECT target, new FROM synapse_bum_audit ORDER BY target")
    assert rows == [("a", '"again"'), ("b", None)]


def test_a_source_learns_of_what_is_there_again_only_where_the_backup_holds_what_had_ended(server: ToyServer) -> None:
    end(server, "a")
    server.put("a", "2", "ends")
    # It is there again, and that is not told yet.
    backup = server.backup()
    server.turn()
    server.restore(backup)
    server.start()
    assert ends(server) == ["a", "b"]
    assert server.rows("SELECT * FROM synapse_bum_audit") == []


def test_it_is_told_after_a_restore_too(server: ToyServer) -> None:
    """The backup knows nothing of the end; what comes again must not be ended by the next restore."""
    server.put("c", "1", "ends")
    early = server.backup()
    server.turn()
    late = server.backup()
    end(server, "c")
    server.restore(early)
    server.put("c", None, "ends")
    server.start()
    server.turn()
    begin(server, "c")
    server.restore(late)
    server.start()
    assert ends(server) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("states", "found"),
    [
        ([None], [None]),
        ([{}], []),
        ([None, {}], [{}]),
        ([{}, None], [None]),
        ([None, {}, None], [None]),
    ],
)
def test_the_last_word_of_a_source_that_tells_only_ends(states: list[State], found: list[State]) -> None:
    lines = [Line(seq, str(seq), 0, "s", "ends", "a", state) for seq, state in enumerate(states, 1)]
    assert [each.state for each in last_words(lines, Ends(), 0, frozenset()).values()] == found


def test_an_end_that_the_database_knows_says_nothing_of_what_came_after_it() -> None:
    lines = [Line(1, "1", 0, "s", "ends", "a", None), Line(2, "2", 0, "s", "ends", "a", {})]
    assert last_words(lines, Ends(), 1, frozenset()) == {}
    assert last_words(lines, Ends(), 0, frozenset({"1"})) == {}
