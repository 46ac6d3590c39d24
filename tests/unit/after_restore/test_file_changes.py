"""The file is moved, lost, written twice or by two processes: what was closed is in it, or somebody is told."""

import fcntl
import json
import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from synapse_bum.after_restore import appending, writer
from synapse_bum.after_restore.reading import UnusableLogError
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


def told(server: ToyServer) -> list[tuple[int, str, Any]]:
    """What stands in the file of things, but for what was never finished."""
    lines = (json.loads(line) for line in server.log_path.read_bytes().splitlines() if line.endswith(b"}"))
    return [(line["seq"], line["key"], line["state"] and line["state"].get("is")) for line in lines if "seq" in line]


def rotate(server: ToyServer) -> Path:
    older = server.log_path.with_suffix(".1")
    server.log_path.rename(older)
    return older


def killed_behind_append(path: Path, lines: list[bytes], behind: log_file.Position) -> log_file.Position:
    appending.append(path, lines, behind)
    raise Killed


def killed_in_append(path: Path, lines: list[bytes], _behind: log_file.Position) -> log_file.Position:
    with path.open("ab") as file:
        file.write(b"".join(lines)[:20])
    raise Killed


def test_a_file_that_was_moved_is_replaced_before_the_next_change(server: ToyServer) -> None:
    rotate(server)
    server.turn()
    server.start()
    server.turn()
    assert told(server) == [(3, "a", "open"), (4, "b", "open")]


@pytest.mark.parametrize("append", [killed_in_append, killed_behind_append])
@pytest.mark.parametrize("turns", [1, 2])
def test_a_process_that_was_killed_writes_all_states_to_the_new_file(
    server: ToyServer, append: object, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate(server)
    server.put("a", "closed")
    with monkeypatch.context() as patch:
        # The file itself is made by an append of its own.
        appends = iter([appending.append] * (turns - 1))

        def next_append(*arguments: object) -> object:
            return next(appends, append)(*arguments)  # type: ignore[operator]

        patch.setattr(writer, "append", next_append)
        with pytest.raises(Killed):
            server.turn()
    if turns > 1 or append is killed_behind_append:
        server.start()
    else:
        # Nobody can tell this file from one that was emptied; the process that goes on begins it once more.
        with pytest.raises(SetupError, match="is empty, though 2 lines"):
            server.start()
    server.turn()
    server.turn()
    # What was owed when the file was moved is in it twice.
    assert {(key, state) for _, key, state in told(server)} == {("a", "closed"), ("b", "open")}
    server.start()


def test_what_goes_while_everything_is_told_again_leaves_its_trace(server: ToyServer) -> None:
    backup = server.backup()
    older = rotate(server)
    server.put("a", "closed")
    with pytest.MonkeyPatch.context() as patch:
        # Between the note that all is to be told and the next comparison.
        patch.setattr("synapse_bum.after_restore.writer.seen.take_changes", lambda *_: ([], False))
        server.turn()
    server.put("b", None)
    server.turn()
    assert server.things == {"a": "closed"}
    server.log_path.write_bytes(older.read_bytes() + server.log_path.read_bytes())
    server.restore(backup)
    server.start()
    assert server.things == {"a": "closed"}


def test_a_log_that_can_not_be_begun_anew_is_owed_nothing_more_each_time(tmp_path: Path) -> None:
    server = ToyServer(tmp_path)
    folder = tmp_path / "mounted"
    folder.mkdir()
    server.log_path = folder / "recovery.log"
    server.start()
    server.put("a", "open")
    server.turn()
    folder.rename(tmp_path / "away")
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            server.turn()
    assert server.rows("SELECT * FROM synapse_bum_recovery_owed") == []
    folder.mkdir()
    server.turn()
    assert told(server) == [(2, "a", "open")]


def test_a_vanished_log_is_said_though_nothing_changes(server: ToyServer, caplog: pytest.LogCaptureFixture) -> None:
    server.log_path.unlink()
    with caplog.at_level(logging.WARNING):
        server.turn()
    assert "is missing or empty (was it rotated?)" in caplog.text


def test_only_the_user_of_synapse_reads_it(server: ToyServer) -> None:
    assert stat.S_IMODE(server.log_path.stat().st_mode) == 0o600


def test_nobody_writes_while_another_process_hangs_in_it(server: ToyServer) -> None:
    before = server.log_path.read_bytes()
    server.put("a", "closed")
    with server.log_path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UnusableLogError, match="another process is writing to"):
            server.turn()
        assert server.log_path.read_bytes() == before
    server.turn()
    assert told(server)[-1] == (3, "a", "closed")


def test_what_hung_longer_than_its_lease_writes_nothing(server: ToyServer) -> None:
    """Two processes have read the same; one hangs, and the other writes before it."""
    lines: list[bytes] = []
    behind: list[log_file.Position] = []

    def hangs(_path: Path, hung: list[bytes], position: log_file.Position) -> log_file.Position:
        lines.extend(hung)
        behind.append(position)
        raise Killed

    server.put("a", "closed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "append", hangs)
        with pytest.raises(Killed):
            server.turn()
    server.turn()
    written = server.log_path.read_bytes()
    with pytest.raises(UnusableLogError, match="has changed since it was read"):
        appending.append(server.log_path, lines, behind[0])
    assert server.log_path.read_bytes() == written


@pytest.mark.parametrize("is_last", [False, True])
def test_lines_that_stand_there_twice_are_read_once(server: ToyServer, is_last: bool) -> None:  # noqa: FBT001 - of pytest
    """As a file system may have it that forgets its locks."""
    backup = server.backup()
    server.put("a", "closed")
    server.put("b", "closed")
    server.turn()
    twice = server.log_path.read_bytes().splitlines(keepends=True)[2:]
    if not is_last:
        server.put("b", "open again")
        server.turn()
    with server.log_path.open("ab") as file:
        file.writelines(twice)
    server.start()
    server.turn()
    server.put("a", "ajar")
    server.turn()
    server.start()
    now = server.things
    assert now == {"a": "ajar", "b": "closed" if is_last else "open again"}
    server.restore(backup)
    server.start()
    assert server.things == now


def test_two_logs_that_were_put_together_are_refused(server: ToyServer) -> None:
    backup = server.backup()
    server.put("a", "closed")
    server.turn()
    first = server.log_path.read_bytes()
    # The file is lost, and the backup restored: both go on from the same line.
    server.restore(backup)
    server.log_path.unlink()
    server.start(begins_at=3)
    server.turn()
    second = server.log_path.read_bytes()
    server.log_path.write_bytes(first + second)
    with pytest.raises(SetupError, match="line 3 stands twice with different contents"):
        server.start()


def test_a_log_that_comes_back_beside_a_newer_one_is_refused(server: ToyServer) -> None:
    """As when the disk was not mounted at the first start of a database that knew of no log."""
    lost = server.log_path.rename(server.log_path.with_suffix(".lost"))
    folder = lost.parent / "fresh"
    folder.mkdir()
    fresh = ToyServer(folder)
    fresh.log_path = server.log_path
    fresh.start()
    fresh.put("a", "open")
    fresh.turn()
    lost.replace(fresh.log_path)
    with pytest.raises(SetupError, match=r"line 1 of .* is not the one that this database knows"):
        fresh.start()
    with pytest.raises(UnusableLogError, match="is not the one that this database knows"):
        fresh.turn()


def test_an_older_copy_is_refused_while_a_module_catches_up(server: ToyServer) -> None:
    """The whole file is read then, not only what is new to everybody."""
    backup = server.backup()
    server.put("a", "closed")
    server.turn()
    older = server.log_path.read_bytes()
    server.restore(backup)
    server.start(has_things=False)
    server.put("x", "open", "others")
    server.turn()
    server.log_path.write_bytes(older)
    with pytest.raises(SetupError, match="ends with line 3, though 4 were written"):
        server.start()


def test_a_first_log_is_begun_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = ToyServer(tmp_path)
    server.start(is_late=True)
    assert caplog.text.count("The database knows of no recovery log") == 1
    caplog.clear()
    server.put("a", "open")
    server.turn()
    server.start()
    assert "knows of no recovery log" not in caplog.text


@pytest.mark.parametrize("state", ['{"was":"closed"}', '{"is":["closed"]}', "{}"])
def test_a_line_that_can_not_be_carried_out_is_named(server: ToyServer, state: str) -> None:
    backup = server.backup()
    server.put("b", "closed")
    server.put("a", "closed")
    server.turn()
    server.turn()
    content = server.log_path.read_text()
    whole = [line for line in content.splitlines() if '"key":"a","state":{"is":"closed"}' in line]
    seq = json.loads(whole[0])["seq"]
    server.log_path.write_text(content.replace('"key":"a","state":{"is":"closed"}', f'"key":"a","state":{state}'))
    server.restore(backup)
    with pytest.raises(SetupError, match=rf"nothing is served: .*the line with `seq` {seq}, of the source 'things'"):
        server.start()
    assert server.things == {"a": "open", "b": "open"}
    rest = [line for line in server.log_path.read_text().splitlines() if f'"seq":{seq},' not in line]
    server.log_path.write_text("".join(f"{line}\n" for line in rest))
    server.start(begins_at=seq + 1)
    assert server.things == {"a": "open", "b": "closed"}
