"""Backups, restores, crashes and damaged files: what was told is known again after each start, or nothing starts."""

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


def test_what_changed_after_the_backup_is_so_after_the_restore(server: ToyServer) -> None:
    backup = server.backup()
    server.put("a", "closed")
    server.put("b", None)
    server.put("c", "closed")
    server.turn()
    server.restore(backup)
    server.start()
    assert server.things == {"a": "closed", "c": "closed"}
    actions = [row[0] for row in server.rows("SELECT action FROM synapse_bum_audit")]
    assert actions == ["recovery.thing"] * 3


def test_the_last_word_counts(server: ToyServer) -> None:
    backup = server.backup()
    for state in ("closed", "open", "ajar"):
        server.put("a", state)
        server.turn()
    server.restore(backup)
    server.start()
    assert server.things["a"] == "ajar"


def test_a_start_without_a_restore_changes_nothing(server: ToyServer) -> None:
    server.put("a", "closed")
    server.turn()
    before = server.rows("SELECT * FROM synapse_bum_recovery_log")
    server.put("a", "opened again, not told yet")
    server.start()
    assert server.things["a"] == "opened again, not told yet"
    assert server.rows("SELECT * FROM synapse_bum_recovery_log") == before
    assert server.rows("SELECT * FROM synapse_bum_audit") == []


def test_the_same_backup_can_be_restored_twice(server: ToyServer) -> None:
    backup = server.backup()
    server.put("a", "closed")
    server.turn()
    server.restore(backup)
    server.start()
    server.turn()
    server.put("b", "closed")
    server.turn()
    server.restore(backup)
    server.start()
    server.turn()
    assert server.things == {"a": "closed", "b": "closed"}


def test_a_log_of_before_the_first_backup_is_known_to_a_database_without_its_tables(tmp_path: Path) -> None:
    server = ToyServer(tmp_path)
    server.put("a", "open")
    backup = server.backup()
    server.start()
    server.put("a", "closed")
    server.turn()
    server.restore(backup)
    server.start()
    assert server.things == {"a": "closed"}


@pytest.mark.parametrize("is_late", [False, True])
def test_the_order_of_modules_does_not_matter(server: ToyServer, is_late: bool) -> None:  # noqa: FBT001 - of pytest
    backup = server.backup()
    server.put("a", "closed")
    server.put("x", "closed", "others")
    server.turn()
    server.restore(backup)
    server.start(is_late=is_late)
    assert server.things["a"] == "closed"
    assert server.rows("SELECT key, state FROM others") == [("x", "closed")]


def test_a_module_that_was_switched_off_catches_up_when_it_is_back(server: ToyServer) -> None:
    backup = server.backup()
    server.put("a", "closed")
    server.put("x", "closed", "others")
    server.turn()
    server.restore(backup)
    server.start(has_things=False)
    assert server.things["a"] == "open"
    server.put("x", "open", "others")
    server.turn()
    server.start()
    assert server.things["a"] == "closed"
    assert server.rows("SELECT state FROM others") == [("open",)]


def test_what_a_replay_has_brought_and_what_goes_at_once_is_told(server: ToyServer) -> None:
    backup = server.backup()
    server.put("new", "open")
    server.turn()
    server.restore(backup)
    server.start()
    server.put("new", None)
    server.turn()
    server.restore(backup)
    server.start()
    assert server.things == {"a": "open", "b": "open"}


def test_a_module_that_is_switched_off_needs_no_lines_of_that_time(server: ToyServer) -> None:
    server.start(has_things=False)
    server.put("x", "open", "others")
    server.turn()
    server.log_path.rename(server.log_path.with_suffix(".1"))
    server.put("x", "closed", "others")
    server.turn()
    server.start()
    assert server.things == {"a": "open", "b": "open"}


def test_a_module_that_is_new_in_the_backups_eyes_is_brought_up_to_date(tmp_path: Path) -> None:
    server = ToyServer(tmp_path)
    server.start(has_things=False)
    server.put("a", "open")
    server.put("x", "open", "others")
    server.turn()
    backup = server.backup()
    server.start()
    server.put("a", "closed")
    server.turn()
    server.restore(backup)
    # A process that ends between the two sources, or has not loaded one of them.
    server.start(has_things=False)
    server.start(is_late=True)
    assert server.things["a"] == "closed"


def killed_behind_append(path: Path, lines: list[bytes], behind: log_file.Position) -> log_file.Position:
    appending.append(path, lines, behind)
    raise Killed


def killed_in_append(path: Path, lines: list[bytes], _behind: log_file.Position) -> log_file.Position:
    torn = path.exists() and path.read_bytes()[-1:] not in {b"", b"\n"}
    with path.open("ab") as file:
        file.write(b"\n" * torn + b"".join(lines)[: -len(lines[-1]) // 2])
    raise Killed


def killed_before_append(_path: Path, _lines: list[bytes], _behind: log_file.Position) -> log_file.Position:
    raise Killed


@pytest.mark.parametrize("append", [killed_before_append, killed_in_append, killed_behind_append])
def test_a_process_that_was_killed_never_takes_its_own_lines_for_a_restore(
    server: ToyServer, append: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("a", "closed")
    with monkeypatch.context() as patch:
        patch.setattr(writer, "append", append)
        with pytest.raises(Killed):
            server.turn()
    # Another process goes on serving, and somebody opens it again.
    server.put("a", "open for good")
    server.start()
    assert server.things["a"] == "open for good"
    backup = server.backup()
    server.turn()
    server.put("b", "closed")
    server.turn()
    server.restore(backup)
    server.start()
    assert server.things == {"a": "open for good", "b": "closed"}


@pytest.mark.parametrize("append", [killed_in_append, killed_behind_append])
def test_a_backup_from_between_an_append_and_its_note_is_brought_up_to_date(
    server: ToyServer, append: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("a", "closed")
    with monkeypatch.context() as patch:
        patch.setattr(writer, "append", append)
        with pytest.raises(Killed):
            server.turn()
    backup = server.backup()
    server.start()
    server.turn()
    server.put("a", "closed for good")
    server.turn()
    server.restore(backup)
    server.start()
    assert server.things["a"] == "closed for good"
    server.turn()
    server.put("b", "closed")
    server.turn()
    assert server.rows("SELECT * FROM synapse_bum_recovery_owed") == []


def test_a_missing_log_stops_the_start_until_somebody_says_that_it_is_lost(server: ToyServer) -> None:
    server.log_path.unlink()
    with pytest.raises(SetupError, match="is missing, though 2 lines were written"):
        server.start()
    server.start(begins_at=3)
    backup = server.backup()
    server.put("a", "closed")
    server.turn()
    server.turn()
    # Everything was told once more, so the new file alone is enough for what is closed already.
    assert server.log_path.read_text().count('"key":"b"') == 1
    server.restore(backup)
    server.start()
    assert server.things["a"] == "closed"


def test_a_log_of_another_server_is_refused(server: ToyServer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = ToyServer(other, server_name="other.example")
    stranger.start()
    stranger.put("a", "closed")
    stranger.turn()
    stranger.log_path.replace(server.log_path)
    with pytest.raises(SetupError, match=r"the log of another homeserver, 'other\.example'"):
        server.start()


def test_a_rotated_log_is_refused_where_lines_are_missing_and_taken_where_none_are(server: ToyServer) -> None:
    backup = server.backup()
    server.put("a", "closed")
    server.turn()
    older = server.log_path.with_suffix(".1")
    server.log_path.rename(older)
    server.put("b", "closed")
    server.turn()
    server.start()
    assert server.things == {"a": "closed", "b": "closed"}
    server.restore(backup)
    with pytest.raises(SetupError, match="the lines 3 to 3 are missing"):
        server.start()
    rest = server.log_path.read_bytes()
    server.log_path.write_bytes(older.read_bytes() + rest)
    server.start()
    assert server.things == {"a": "closed", "b": "closed"}


def test_an_operator_may_say_that_the_older_part_is_lost(server: ToyServer) -> None:
    backup = server.backup()
    server.put("a", "closed")
    server.turn()
    server.log_path.unlink()
    server.put("b", "closed")
    server.turn()
    server.restore(backup)
    server.start(begins_at=4)
    assert server.things["b"] == "closed"


def test_an_older_copy_of_the_log_is_refused(server: ToyServer) -> None:
    older = server.log_path.read_bytes()
    server.put("a", "closed")
    server.turn()
    server.log_path.write_bytes(older)
    with pytest.raises(SetupError, match="ends with line 2, though 3 were written"):
        server.start()


@pytest.mark.parametrize("damage", [b"\x00\xff nonsense\n", b'{"seq":3}\n', b"[]\n", b'{"seq":3,"id":7}\n'])
def test_a_damaged_line_stops_the_start(server: ToyServer, damage: bytes) -> None:
    backup = server.backup()
    with server.log_path.open("ab") as file:
        file.write(damage)
    server.restore(backup)
    with pytest.raises(SetupError, match="is damaged, in line 1 of what was read"):
        server.start()


def test_a_folder_in_the_place_of_the_log_stops_the_start(server: ToyServer) -> None:
    server.log_path.unlink()
    server.log_path.mkdir()
    with pytest.raises(SetupError, match="can't be read: Is a directory"):
        server.start()


def test_what_can_not_be_written_waits(server: ToyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> log_file.Position:
        raise OSError(28, "No space left on device")

    backup = server.backup()
    server.put("a", "closed")
    with monkeypatch.context() as patch:
        patch.setattr(writer, "append", full)
        with pytest.raises(OSError, match="No space"):
            server.turn()
    server.turn()
    server.restore(backup)
    server.start()
    assert server.things["a"] == "closed"


def test_a_database_that_is_restored_under_a_running_server_is_noticed(server: ToyServer) -> None:
    backup = server.backup()
    server.put("a", "closed")
    server.turn()
    server.restore(backup)
    server.put("b", "closed")
    written = server.log_path.read_bytes()
    with pytest.raises(Exception, match="1 lines that this database has never written"):
        server.turn()
    assert server.log_path.read_bytes() == written


def test_a_replay_that_fails_stops_the_start_and_changes_nothing(
    server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = server.backup()
    server.put("a", "closed")
    server.turn()
    server.restore(backup)

    def fails(*_: object) -> None:
        raise RuntimeError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr("synapse_bum.testing.toy_server.Things.close_again", fails)
        with pytest.raises(SetupError, match="nothing is served: RuntimeError: the disk is gone"):
            server.start()
    assert server.things["a"] == "open"
    server.start()
    assert server.things["a"] == "closed"
