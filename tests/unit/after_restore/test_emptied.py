"""A log that is shorter than what was written to it: nothing starts, until somebody says that it is lost."""

import json
import logging
from pathlib import Path

import pytest

from synapse_bum.after_restore import appending, writer
from synapse_bum.config import SetupError
from synapse_bum.deletion import log_file
from synapse_bum.testing.toy_server import Killed, ToyServer


@pytest.fixture
def server(tmp_path: Path) -> ToyServer:
    made = ToyServer(tmp_path)
    made.start()
    made.put("a", "open")
    made.put("b", "open")
    made.turn()
    return made


def rotate(server: ToyServer) -> Path:
    older = server.log_path.with_suffix(".1")
    server.log_path.rename(older)
    return older


@pytest.mark.parametrize("left", [b"", b"\n", b"  \n\n", b'{"seq":3,"id":"0', b'{"after":2,"id'])
@pytest.mark.parametrize("is_restored", [False, True])
def test_a_log_in_which_nothing_whole_stands_stops_the_start(
    server: ToyServer,
    left: bytes,
    is_restored: bool,  # noqa: FBT001 - of pytest
) -> None:
    backup = server.backup()
    server.put("a", "closed")
    server.turn()
    server.log_path.write_bytes(left)
    if is_restored:
        server.restore(backup)
    count = 2 if is_restored else 3
    sentence = rf"is empty, though {count} lines were written to it .*set `config.log_begins_at` to {count + 1}:"
    with pytest.raises(SetupError, match=sentence):
        server.start()
    assert server.things["a"] == ("open" if is_restored else "closed")


@pytest.mark.parametrize("is_missing", [False, True])
def test_an_operator_may_say_once_that_all_of_it_is_lost(
    server: ToyServer,
    is_missing: bool,  # noqa: FBT001 - of pytest
    caplog: pytest.LogCaptureFixture,
) -> None:
    def lose() -> None:
        server.log_path.write_bytes(b"")
        if is_missing:
            server.log_path.unlink()

    lose()
    with pytest.raises(SetupError, match="though 2 lines were written"):
        server.start(begins_at=2)
    server.start(begins_at=3)
    assert "to which 2 lines were written, is lost" in caplog.text
    server.turn()
    lines = [json.loads(line) for line in server.log_path.read_bytes().splitlines() if line]
    assert [line.get("key") for line in lines] == [None, "a", "b"]
    # Said of those two lines, and of none that came later.
    server.start(begins_at=3)
    lose()
    with pytest.raises(SetupError, match="though 4 lines were written"):
        server.start(begins_at=3)


def test_a_new_file_that_was_just_begun_is_none_that_somebody_emptied(
    server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed_behind_append(path: Path, lines: list[bytes], behind: log_file.Position) -> log_file.Position:
        appending.append(path, lines, behind)
        raise Killed

    rotate(server)
    with monkeypatch.context() as patch:
        patch.setattr(writer, "append", killed_behind_append)
        with pytest.raises(Killed):
            server.turn()
    assert server.log_path.read_text().count("\n{") == 1
    server.start()
    server.turn()
    assert server.log_path.read_text().count('"key":') == 2


def test_a_file_that_goes_on_where_another_log_ended_stops_the_start(server: ToyServer) -> None:
    beginning = {"after": 2, "id": "of-another", "server": "messenger.example"}
    server.log_path.write_text(json.dumps(beginning) + "\n")
    with pytest.raises(SetupError, match=r"line 2 of .* is not the one that this database knows"):
        server.start()


def test_a_file_that_was_just_begun_tells_that_lines_before_it_are_missing(server: ToyServer) -> None:
    backup = server.backup()
    server.put("a", "closed")
    server.turn()
    older = rotate(server)
    with pytest.MonkeyPatch.context() as patch:
        # Nothing is told yet.
        patch.setattr("synapse_bum.after_restore.writer.seen.take_changes", lambda *_: ([], False))
        server.turn()
    rest = server.log_path.read_bytes()
    server.restore(backup)
    with pytest.raises(SetupError, match="the lines 3 to 3 are missing"):
        server.start()
    server.log_path.write_bytes(older.read_bytes() + rest)
    server.start()
    assert server.things["a"] == "closed"


def test_a_log_that_is_emptied_while_the_server_runs_is_begun_anew_and_said(
    server: ToyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As by logrotate with `copytruncate`."""
    copy = server.log_path.read_bytes()
    server.log_path.write_bytes(b"")
    server.put("a", "closed")
    with caplog.at_level(logging.WARNING):
        server.turn()
    assert "is missing or empty (was it rotated?)" in caplog.text
    assert json.loads(server.log_path.read_bytes().splitlines()[1]) == {
        "after": 2,
        "id": json.loads(copy.splitlines()[-1])["id"],
        "server": "messenger.example",
    }
    server.start()
    assert server.things["a"] == "closed"
