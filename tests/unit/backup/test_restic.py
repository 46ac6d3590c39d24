"""What restic's answers mean."""

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from synapse_bum.cli.backup import restic
from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.restic import Repository, without_credentials

SUMMARY = {"message_type": "summary", "snapshot_id": "abc", "total_files_processed": 2}
SIZES = {"total_bytes_processed": 30, "data_added": 4}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has a folder on the PATH, in which a test puts its restic."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    password = tmp_path / "password"
    password.write_text("p")
    password.chmod(0o600)
    return tmp_path


def repository(folder: Path, script: str, location: str = "/somewhere") -> Repository:
    program = folder / "restic"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Repository(location, folder / "password", None)


def that_saves(folder: Path, unread: Path, status: int = 3) -> Repository:
    error = json.dumps({"message_type": "error", "error": {}, "during": "archival", "item": str(unread)})
    return repository(folder, f"echo '{json.dumps({**SUMMARY, **SIZES})}'; echo '{error}' >&2; exit {status}")


def test_a_file_that_was_deleted_meanwhile_is_no_fault(folder: Path) -> None:
    saved = that_saves(folder, folder / "gone").save([folder], ["a"], "host")
    assert (saved.snapshot_id, saved.files, saved.size_bytes, saved.added_bytes) == ("abc", 2, 30, 4)


def test_a_file_that_is_there_and_was_not_read_is_one(folder: Path) -> None:
    with pytest.raises(BackupError, match=r"1 files could not be read, for example .*password"):
        that_saves(folder, folder / "password").save([folder], ["a"], "host")


def test_an_incomplete_snapshot_without_a_reason_is_one(folder: Path) -> None:
    with pytest.raises(BackupError, match="1 files could not be read"):
        repository(folder, f"echo '{json.dumps({**SUMMARY, **SIZES})}'; exit 3").save([folder], ["a"], "host")


def test_a_snapshot_without_a_summary_is_none(folder: Path) -> None:
    with pytest.raises(BackupError, match="without saying what it saved"):
        repository(folder, "exit 0").save([folder], ["a"], "host")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo 'Fatal: wrong password or no key found' >&2; exit 1", "the password does not open"),
        ("exit 12", "the password does not open"),
        ("echo 'write /x: no space left on device' >&2; exit 1", "no space is left"),
        ("echo 'Fatal: something else' >&2; exit 1", "can't be opened: Fatal: something else"),
        ("exit 1", "it ended with status 1"),
    ],
)
def test_a_failure_is_a_sentence(folder: Path, script: str, sentence: str) -> None:
    with pytest.raises(BackupError, match=sentence):
        repository(folder, script).exists()


def test_one_that_stands_still_is_ended_with_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restic, "LONGEST_STANDSTILL_S", 1.5)
    with pytest.raises(BackupError, match=r"did nothing any more for 1\.5 seconds .* can't be opened. Look whether"):
        repository(folder, "exec sleep 60").exists()


@pytest.mark.parametrize("script", ["exit 10", "echo 'Is there a repository at the following location?' >&2; exit 1"])
def test_a_missing_repository_is_no_failure(folder: Path, script: str) -> None:
    assert not repository(folder, script).exists()


def test_secrets_reach_restic_by_its_environment_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD_COMMAND", "cat /etc/passwd")
    monkeypatch.setenv("RESTIC_PASSWORD", "another")
    script = f'echo "$*" > {folder}/arguments; env > {folder}/environment'
    repository(folder, script, "rest:https://me:secret-word@host/").exists()
    assert "secret-word" not in (folder / "arguments").read_text()
    environment = (folder / "environment").read_text()
    assert "RESTIC_REPOSITORY=rest:https://me:secret-word@host/" in environment
    assert f"RESTIC_PASSWORD_FILE={folder}/password" in environment
    assert "RESTIC_PASSWORD=" not in environment
    assert "RESTIC_PASSWORD_COMMAND" not in environment


def test_a_password_in_an_address_is_shown_to_nobody(folder: Path) -> None:
    script = "echo 'Fatal: rest:https://me:secret-word@host/ is away' >&2; exit 1"
    with pytest.raises(BackupError) as raised:
        repository(folder, script, "rest:https://me:secret-word@host/").exists()
    assert "secret-word" not in str(raised.value)
    assert without_credentials("s3:https://a:b@h/c and sftp://u@h/d") == "s3:https://***@h/c and sftp://***@h/d"


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [("", 0o600, "is empty"), ("p", 0o604, "everybody on this machine may read it"), (None, 0, "No such file")],
)
def test_a_password_file_must_be_one(folder: Path, content: str | None, mode: int, sentence: str) -> None:
    path = folder / "password"
    path.unlink()
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(BackupError, match=sentence):
        repository(folder, "exit 0")


def that_is_locked(folder: Path, *locks: dict[str, object]) -> Repository:
    """A repository with locks; `unlocked` is there once they are all taken away."""
    for number, lock in enumerate(locks):
        (folder / f"{number:064x}").write_text(json.dumps(lock))
    script = f"""cd {folder}
case "$*" in
  *"list locks"*) ls | grep -E "^[0-9a-f]{{64}}$";;
  *"cat lock"*) cat "$4";;
  *"--remove-all"*) touch unlocked;;
esac"""
    return repository(folder, script)


def test_locks_of_dead_processes_of_this_machine_are_taken_away(folder: Path) -> None:
    ended = subprocess.Popen(["/bin/true"])
    # Nobody waits for it: it stays a zombie.
    while Path("/proc", str(ended.pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    here = {"hostname": socket.gethostname(), "pid": ended.pid}
    try:
        that_is_locked(folder, here, here).unlock()
    finally:
        ended.wait()
    assert (folder / "unlocked").exists()


@pytest.mark.parametrize(
    "lock",
    [
        {"hostname": socket.gethostname(), "pid": os.getpid()},
        {"hostname": "another", "pid": 2**22 + 1},
        {"hostname": socket.gethostname()},
    ],
)
def test_locks_of_others_stay(folder: Path, lock: dict[str, object]) -> None:
    that_is_locked(folder, {"hostname": socket.gethostname(), "pid": 2**22 + 1}, lock).unlock()
    assert not (folder / "unlocked").exists()
