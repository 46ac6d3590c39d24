"""What goes wrong with backups: said in a sentence, and nothing half stays."""

import contextlib
import fcntl
import os
import re
import shutil
import sqlite3
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import attr
import pytest
import yaml

from synapse_bum.cli.backup import restic, saving
from synapse_bum.cli.backup.runs import Part, tags_of
from synapse_bum.homeserver.database_copying import copy_sqlite
from synapse_bum.testing.backup_case import Backups, InUse
from synapse_bum.testing.local_server import free_port

pytestmark = [pytest.mark.requires("restic"), pytest.mark.any_synapse, pytest.mark.long]


def call(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def an_old_run(backups: Backups, age: timedelta, *parts: Part) -> str:
    """Put snapshots into the repository as an earlier run would have."""
    run_id = (datetime.now(timezone.utc) - age).strftime("%Y%m%dT%H%M%SZ-0123abcd")
    for part in parts:
        tags = [word for tag in tags_of("messenger.example", run_id, part, {}) for word in ("--tag", tag)]
        backups.restic("backup", *tags, "--", str(backups.config))
    return run_id


def runs_in(backups: Backups) -> list[str]:
    return [tag for one in backups.snapshots() for tag in one["tags"] if tag.startswith("run=")]


def test_a_repository_must_be_made_once(backups: Backups, capsys: pytest.CaptureFixture[str]) -> None:
    assert backups.run() == 1
    assert "there is no repository" in capsys.readouterr().err
    assert backups.metric("last_run_ok") == 0
    assert backups.run("--init") == 0
    assert backups.run("--init") == 1
    assert "already" in capsys.readouterr().err


def test_a_wrong_password_is_told_from_a_missing_repository(
    backups: Backups, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backups.run("--init") == 0
    (backups.folder / "password").write_text("another")
    assert backups.run() == 1
    assert "the password does not open the repository" in capsys.readouterr().err


def test_old_runs_and_broken_ones_go_and_younger_ones_stay(backups: Backups) -> None:
    assert backups.run("--init") == 0
    old = an_old_run(backups, timedelta(days=14, hours=1), *Part)
    young = an_old_run(backups, timedelta(days=13, hours=20), *Part)
    an_old_run(backups, timedelta(days=7), *Part)
    broken = an_old_run(backups, timedelta(hours=2), Part.DATA)
    assert backups.run() == 0
    found = runs_in(backups)
    assert f"run={old}" not in found
    assert f"run={broken}" not in found
    assert found.count(f"run={young}") == 2
    assert len(found) == 8
    assert backups.metric("kept_runs") == 4


def test_somebody_elses_repository_is_left_alone(backups: Backups, capsys: pytest.CaptureFixture[str]) -> None:
    assert backups.run("--init") == 0
    backups.restic("backup", "--tag", "photos", "--", str(backups.config))
    assert backups.run() == 1
    assert backups.run("--verify") == 1
    said = capsys.readouterr().err
    assert said.count("1 snapshots that are no backups of `synapse-bum`") == 2
    assert len(backups.snapshots()) == 3


def test_another_servers_repository_is_left_alone(
    backups: Backups, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backups.run("--init") == 0
    config = yaml.safe_load(backups.config.read_text())
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump({**config, "server_name": "other.example"}))
    assert attr.evolve(backups, config=path).run() == 1
    assert "backups of messenger.example" in capsys.readouterr().err
    assert len(backups.snapshots()) == 2


def test_a_damaged_repository_is_found_by_verify(backups: Backups, capsys: pytest.CaptureFixture[str]) -> None:
    assert backups.run("--init") == 0
    pack = max((path for path in (backups.repository / "data").rglob("*") if path.is_file()), key=os.path.getsize)
    content = bytearray(pack.read_bytes())
    content[len(content) // 3] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    # Whatever share is read: what the last backup needs is read when it is restored.
    assert backups.run("--verify", "--read-data", "1/100") == 1
    assert backups.run("--verify", "--read-data", "100%") == 1
    assert "damaged" in capsys.readouterr().err
    assert backups.metric("last_verify_ok") == 0
    assert backups.metric("last_run_ok") == 1
    assert {path.name for path in backups.work.iterdir()} <= {"lock", "cache", "runs"}


@pytest.mark.requires("root")
def test_a_repository_that_somebody_works_in_is_said(backups: Backups, capsys: pytest.CaptureFixture[str]) -> None:
    assert backups.run("--init") == 0
    # On another machine, whose processes nobody sees from here; it ends with its input.
    reading = ["restic", "--no-cache", "-r", str(backups.repository), "backup", "--stdin"]
    other = subprocess.Popen(
        ["unshare", "--uts", "sh", "-c", f"hostname elsewhere; exec {' '.join(reading)}"],  # noqa: S607 - on PATH
        env={**os.environ, "RESTIC_PASSWORD_FILE": str(backups.folder / "password")},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not any(len(path.name) == 64 for path in (backups.repository / "locks").iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        began_s = time.time()
        assert (backups.run(), backups.run("--verify")) == (1, 1)
    finally:
        other.kill()
        other.communicate()
    saved, proved = capsys.readouterr().err.splitlines()
    for said in (saved, proved):
        assert f"is locked by process {other.pid} on elsewhere: wait" in said
    assert "was saved, but no older backup deleted" in saved
    assert "damaged" not in proved
    assert len(backups.snapshots()) == 4
    assert backups.metric("last_success_timestamp_seconds") > began_s
    assert backups.metric("last_run_ok") == 0


def test_two_backups_at_once_are_one_too_many(backups: Backups, capsys: pytest.CaptureFixture[str]) -> None:
    backups.work.mkdir()
    with (backups.work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert backups.run("--init") == 1
    assert "another backup works in" in capsys.readouterr().err


@pytest.mark.requires("root")
def test_a_full_repository_holds_no_half_backup(
    in_use: InUse,
    backups: Backups,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # In one run of twenty restic 0.14 says nothing of the full disk and stands still.
    monkeypatch.setattr(restic, "LONGEST_STANDSTILL_S", 20.0)
    big = in_use.synapse.media_directory / "local_content" / "zz" / "zz" / "big"
    big.parent.mkdir(parents=True)
    big.write_bytes(os.urandom(20_000_000))
    full = ["--repository", str(small_disk / "repository")]
    try:
        assert backups.run(*full, "--init") == 1
    finally:
        shutil.rmtree(big.parent.parent)
    said = capsys.readouterr().err
    assert "no space is left for the repository" in said or "restic did nothing any more for 20 seconds" in said
    assert backups.run(*full, "--verify") == 1
    assert "there is no backup of messenger.example" in capsys.readouterr().err
    call("mount", "-o", "remount,size=50m", small_disk)
    assert backups.run(*full) == 0
    assert backups.run(*full, "--verify") == 0


@pytest.mark.requires("root")
def test_a_full_work_dir_is_said(backups: Backups, small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backups.run("--init") == 0
    (small_disk / "filled").write_bytes(bytes(4_900_000))
    assert backups.run("--work-dir", small_disk, "--take-over") == 1
    assert "full" in capsys.readouterr().err
    assert backups.run("--work-dir", small_disk, "--verify") == 1
    assert capsys.readouterr().err.startswith("synapse-bum backup: ")
    assert {path.name for path in small_disk.iterdir()} <= {"lock", "cache", "filled", "runs"}


def test_a_missing_program_is_named_with_its_package(
    backups: Backups, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert backups.run("--init") == 1
    assert "`restic` is missing: apt-get install restic" in capsys.readouterr().err


def test_a_database_that_is_away_is_said_without_the_password(
    backups: Backups, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load(backups.config.read_text())
    arguments = {"host": "127.0.0.1", "port": free_port(), "user": "synapse", "password": "secret-word", "dbname": "x"}
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump({**config, "database": {"name": "psycopg2", "args": arguments}}))
    away = attr.evolve(backups, config=path)
    assert backups.run("--init") == 0
    old = an_old_run(backups, timedelta(days=20), *Part)
    an_old_run(backups, timedelta(days=13, hours=12), *Part)
    an_old_run(backups, timedelta(days=7), *Part)
    assert away.run() == 1
    said = capsys.readouterr().err
    assert "the database can't be opened" in said
    assert "secret-word" not in said
    # Nothing is kept longer because backups fail.
    assert f"run={old}" not in runs_in(backups)
    assert len(backups.snapshots()) == 6


def configured(backups: Backups, path: Path, **more: object) -> Backups:
    """The same server with other settings."""
    config = yaml.safe_load(backups.config.read_text())
    path.write_text(yaml.safe_dump({**config, **more}))
    return attr.evolve(backups, config=path)


@pytest.mark.parametrize("is_there", [True, False], ids=["empty", "not there"])
def test_a_media_store_that_is_not_mounted_costs_no_backup(
    in_use: InUse, backups: Backups, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, is_there: bool
) -> None:
    """The database is saved all the same, and can be proved and brought back."""
    assert backups.run("--init") == 0
    old = [an_old_run(backups, timedelta(days=days), *Part) for days in (15, 9, 4)]
    if is_there:
        (tmp_path / "empty").mkdir()
    unmounted = configured(backups, tmp_path / "homeserver.yaml", media_store_path=str(tmp_path / "empty"))
    whole = backups.metric("last_success_timestamp_seconds")
    for known in ((), ("--lost-files", "9")):
        assert unmounted.run(*known) == 3
        said = capsys.readouterr().err
        assert "1 files of the database are not on the disk" in said
        assert ("there is no folder" in said) is not is_there
    assert backups.metric("last_run_ok") == 0
    assert backups.metric("missing_files") == 1
    assert backups.metric("last_success_timestamp_seconds") == whole
    # Old enough to go, and perhaps all that has those files.
    assert {f"run={run}" for run in old} < set(runs_in(backups))
    assert len(backups.snapshots()) == 12
    assert unmounted.run("--verify") == 0
    assert "WARNING 1 files of the database are not in this backup" in capsys.readouterr().out
    assert backups.restore(tmp_path / "back") == 0
    said = capsys.readouterr().out
    assert "WARNING 1 files of the database are not in this backup" in said
    # The database of the last one, the files of the last one that has them.
    (older,) = re.findall(r"--run (\S+) --restore", said)
    assert backups.restore(tmp_path / "files", "--run", older) == 0
    (media_id,) = re.findall(r"[^/]+$", in_use.mxc)
    assert Path(tmp_path, "files", "media_store", "local_content", media_id[:2], media_id[2:4], media_id[4:]).is_file()
    with contextlib.closing(sqlite3.connect(tmp_path / "back" / "homeserver.db")) as database:
        assert database.execute("SELECT media_id FROM local_media_repository").fetchall() == [(media_id,)]
    assert backups.run() == 0
    assert f"run={old[0]}" not in runs_in(backups)
    assert backups.metric("missing_files") == 0


def test_files_that_are_lost_for_good_are_given_up_by_their_number(backups: Backups, tmp_path: Path) -> None:
    assert backups.run("--init") == 0
    old = [an_old_run(backups, timedelta(days=days), *Part) for days in (15, 9, 4)]
    (tmp_path / "new").mkdir()
    bare = configured(backups, tmp_path / "homeserver.yaml", media_store_path=str(tmp_path / "new"))
    assert bare.run("--lost-files", "1") == 0
    assert backups.metric("lost_files") == 1
    assert backups.metric("last_run_ok") == 1
    assert f"run={old[0]}" not in runs_in(backups)
    assert bare.run("--verify") == 0


def test_a_lost_file_is_said_and_a_proof_misses_it(
    in_use: InUse,
    backups: Backups,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = tmp_path / "homeserver.db"
    copy_sqlite({"args": {"database": str(in_use.synapse.directory / "homeserver.db")}}, database)
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        columns = "media_type, media_length, created_ts, upload_name, user_id, authenticated"
        connection.execute(
            f"INSERT INTO local_media_repository (media_id, {columns}) SELECT 'lostlost', {columns}"  # noqa: S608
            " FROM local_media_repository"
        )
    settings = {"name": "sqlite3", "args": {"database": str(database)}}
    losing = configured(backups, tmp_path / "homeserver.yaml", database=settings)
    assert losing.run("--init") == 3
    assert "1 files of the database are not on the disk, for example lostlost (of 2" in capsys.readouterr().err
    assert losing.run("--lost-files", "1") == 0
    assert "WARNING 1 files of users are lost, for example lostlost" in capsys.readouterr().out
    assert backups.metric("lost_files") == 1
    # A backup that did not look.
    monkeypatch.setattr(saving, "look_for_files", lambda *_: (2, []))
    assert losing.run() == 0
    assert losing.run("--verify") == 1
    assert "1 files of users are not in the backup although its database has them" in capsys.readouterr().err


def test_a_missing_signing_key_ends_a_backup_at_once(
    backups: Backups, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keyless = configured(backups, tmp_path / "homeserver.yaml", signing_key_path="signing.key")
    assert keyless.run("--init") == 1
    assert "signing.key is not there, and without it no backup can be used" in capsys.readouterr().err
    assert not backups.repository.exists()
    assert backups.metric("last_run_ok") == 0


def test_a_backup_of_the_future_is_trusted_by_nobody(
    backups: Backups, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backups.run("--init") == 0
    ahead = an_old_run(backups, -timedelta(days=400), *Part)
    assert (backups.run(), backups.run("--verify"), backups.restore(tmp_path / "back")) == (1, 1, 1)
    said = capsys.readouterr().err
    assert said.count(f"the backup {ahead} is of the future") == 3
    assert len(backups.snapshots()) == 4
    # What the sentence says helps.
    backups.restic("forget", *said.rpartition("restic forget ")[2].split())
    assert backups.run() == 0


def test_a_copy_of_the_server_clears_none_of_its_backups(backups: Backups, capsys: pytest.CaptureFixture[str]) -> None:
    assert backups.run("--init") == 0
    old = an_old_run(backups, timedelta(days=15), *Part)
    an_old_run(backups, timedelta(days=8), *Part)
    # Restored elsewhere: name, configuration and repository are the same.
    copy = ("--work-dir", backups.folder / "elsewhere")
    assert backups.run(*copy) == 1
    assert "--take-over" in capsys.readouterr().err
    assert len(backups.snapshots()) == 6
    assert f"run={old}" in runs_in(backups)
    assert backups.run(*copy, "--take-over") == 0
    assert backups.run(*copy) == 0
    # Who has been replaced is told.
    assert backups.run() == 1
    assert "--take-over" in capsys.readouterr().err


def test_nothing_is_restored_over_anything(backups: Backups, capsys: pytest.CaptureFixture[str]) -> None:
    assert backups.run("--init") == 0
    folder = backups.folder / "back"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    assert backups.restore(folder) == 1
    assert "nothing is ever overwritten" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["mine"]
    (folder / "mine").unlink()
    assert backups.restore(folder, "--run", "20200101T000000Z-00000000") == 1
    assert "there is no such backup" in capsys.readouterr().err
    assert backups.restore(folder) == 0


def test_a_repository_inside_of_what_is_saved_is_refused(
    in_use: InUse, backups: Backups, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = in_use.synapse.media_directory / "repository"
    try:
        assert backups.run("--repository", inside, "--init") == 1
    finally:
        shutil.rmtree(inside)
    assert "lie in each other" in capsys.readouterr().err


@pytest.mark.requires("root")
def test_a_restore_that_fills_the_disk_leaves_nothing(
    backups: Backups, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backups.run("--init") == 0
    (small_disk / "filled").write_bytes(bytes(4_900_000))
    assert backups.restore(small_disk / "back") == 1
    assert "synapse-bum backup: " in capsys.readouterr().err
    assert [path.name for path in small_disk.iterdir()] == ["filled"]
