"""Nothing is left that nobody has named; what comes back is noticed; a kill in the middle of a step leaves nothing."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from synapse_bum.cli import main
from synapse_bum.cli.offboard.buckets import Bucket
from synapse_bum.cli.offboard.journal import Journal, JournalFile
from synapse_bum.testing.killed_command import run_until_killed
from synapse_bum.testing.offboard_case import SECOND, StoppedServer
from synapse_bum.testing.s3_server import RealS3
from synapse_bum.testing.synapse import RealSynapse

THUMBNAIL = "32-32-image-png-crop"


class KilledError(BaseException):
    """Stands for a kill: nothing of ours may catch it."""


@pytest.fixture
def closed(server: StoppedServer) -> StoppedServer:
    assert server.close() == 0
    server.pass_days()
    return server


@pytest.fixture
def s3() -> Iterator[RealS3]:
    pytest.importorskip("moto", reason="moto is not installed (the extra `test`)")
    with RealS3() as server:
        yield server


def stop_before_the_look(closed: StoppedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Erase media, database and logs, and not the configuration."""
    assert closed.erase("--dry-run") == 0
    write, writes = JournalFile.write, 0

    def killed(file: JournalFile, journal: Journal) -> None:
        nonlocal writes
        writes += 1
        write(file, journal)
        if writes == 4:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(JournalFile, "write", killed)
        with pytest.raises(KilledError):
            closed.erase()
    assert not closed.media.exists()


def report_of(server: StoppedServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.report.read_text())["report"]
    return found


def a_file(path: Path, text: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def content_of(server: StoppedServer) -> Path:
    """The one file of the media store, relative to it."""
    (path,) = [path for path in (server.media / "local_content").rglob("*") if path.is_file()]
    return path.relative_to(server.media)


def test_a_log_that_comes_back_is_named_and_erased_the_next_time(
    closed: StoppedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_before_the_look(closed, monkeypatch)
    a_file(closed.folder / "homeserver.log-20991231.gz")
    assert closed.erase() == 1
    assert "something has come back after it was erased: log files (1)" in capsys.readouterr().err
    assert closed.config_path.exists()
    assert closed.erase() == 0
    assert closed.files() == {}


def test_media_that_come_back_are_left_to_who_can_tell_whose_they_are(
    closed: StoppedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_before_the_look(closed, monkeypatch)
    file = a_file(closed.media / "local_content" / "aa" / "bb" / "cc")
    assert closed.erase() == 1
    assert f"come back after it was erased: media folder {closed.media} (1)" in capsys.readouterr().err
    assert closed.erase() == 1
    assert "the database that knew whose they are is erased" in capsys.readouterr().err
    file.unlink()
    assert closed.erase() == 0
    assert closed.files() == {}


def test_a_database_that_comes_back_is_not_taken_for_the_closed_one(
    closed: StoppedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_before_the_look(closed, monkeypatch)
    database = closed.folder / "homeserver.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE users (name TEXT)")
    assert closed.erase() == 1
    assert "SQLite database (1)" in capsys.readouterr().err
    assert closed.erase() == 1
    assert "the database is not the one that was closed" in capsys.readouterr().err
    assert database.exists()
    database.unlink()
    assert closed.erase() == 0


def test_a_file_system_that_is_not_mounted_any_more_is_not_taken_for_an_empty_one(
    closed: StoppedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, mounted = Path.is_mount, {closed.media}
    monkeypatch.setattr(Path, "is_mount", lambda path: path in mounted or real(path))
    assert closed.erase("--dry-run") == 0
    with monkeypatch.context() as patched:
        patched.setattr("synapse_bum.cli.offboard.folders.erase", _no_space)
        assert closed.erase() == 1
    hidden = closed.media.rename(closed.folder.with_name("not mounted"))
    closed.media.mkdir()
    mounted.clear()
    capsys.readouterr()
    assert closed.erase() == 1
    assert f"{closed.media} is not mounted any more" in capsys.readouterr().err
    closed.media.rmdir()
    hidden.rename(closed.media)
    mounted.add(closed.media)
    # What is mounted stays, empty.
    assert closed.erase() == 0
    assert list(closed.media.iterdir()) == []


def _no_space(folder: Path, *_more: object) -> None:
    raise OSError(30, "Read-only file system", str(folder))


def test_what_a_killed_backup_has_left_goes(closed: StoppedServer) -> None:
    work = closed.journal.with_name("work")
    a_file(work / "scratch" / "database.dump", "all messages in clear")
    a_file(work / "run" / "data" / "homeserver.yaml")
    assert closed.look_and_erase() == 0
    assert [path.name for path in work.iterdir()] == ["lock"]
    steps = {step["kind"]: step["counted"] for step in report_of(closed)["steps"]}
    assert steps["work"]["files"] == 2


def test_what_is_not_known_beside_the_configuration_is_named_as_left(
    closed: StoppedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Above all logs of workers whose configuration nobody has named."""
    log = a_file(closed.folder / "log" / "worker.log")
    assert closed.erase("--dry-run") == 0
    assert f"file {log}" in capsys.readouterr().out
    assert closed.erase() == 0
    assert report_of(closed)["left"] == [f"file {log}"]


def test_data_in_several_databases_are_refused(closed: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    config = json.loads(closed.config_path.read_text())
    main_store = {**config.pop("database"), "data_stores": ["main"]}
    state = {"name": "sqlite3", "args": {"database": str(closed.folder / "state.db")}, "data_stores": ["state"]}
    closed.config_path.write_text(json.dumps({**config, "databases": {"main": main_store, "state": state}}))
    assert closed.erase("--dry-run") == 1
    assert "over 2 databases" in capsys.readouterr().err


def test_another_servers_files_in_the_media_folder_are_refused_also_after_the_begin(
    closed: StoppedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = closed.media / "local_content" / "aa" / "bb" / "theirs"
    a_file(theirs)
    assert closed.erase("--dry-run") == 1
    assert "holds files that this homeserver does not know" in capsys.readouterr().err
    theirs.unlink()
    assert closed.erase("--dry-run") == 0
    with monkeypatch.context() as patched:
        patched.setattr("synapse_bum.cli.offboard.folders.erase", _no_space)
        assert closed.erase() == 1
    a_file(theirs)
    capsys.readouterr()
    assert closed.erase() == 1
    assert "holds files that this homeserver does not know" in capsys.readouterr().err
    assert theirs.exists()


def command(closed: StoppedServer) -> list[str]:
    """To erase, for a process of its own."""
    where = ["-c", str(closed.config_path), "--journal", str(closed.journal), "--confirm", closed.server_name]
    work = ["--work-dir", str(closed.journal.with_name("work"))]
    return ["offboard", *where, *work, "--stage", "erase", "--by", SECOND, "--no-backups", "--return-declined"]


@pytest.mark.any_synapse
@pytest.mark.parametrize("place", ["folder", "database"])
def test_killed_in_the_middle_of_a_step_it_goes_on(closed: StoppedServer, tmp_path: Path, place: str) -> None:
    """Before the second file of the media store, or between the database and its log, is removed."""
    content = content_of(closed)
    a_file(closed.media / "local_thumbnails" / content.relative_to("local_content") / THUMBNAIL)
    assert closed.erase("--dry-run") == 0
    at = {"folder": THUMBNAIL, "database": "homeserver.db-wal"}[place]
    run_until_killed(tmp_path / "hook", "os.remove", at, 1, command(closed))
    assert not (closed.media / content).exists()
    assert (closed.folder / "homeserver.db").exists() == (place == "folder")
    assert closed.erase() == 0
    assert closed.files() == {}
    steps = {step["kind"]: step["counted"] for step in report_of(closed)["steps"]}
    assert steps["folder"]["files"] == 2


@pytest.mark.any_synapse
def test_killed_in_a_bucket_it_goes_on_unless_another_server_uses_that_by_then(
    closed: StoppedServer, s3: RealS3, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.keep_versions()
    client = Bucket(s3.storage_provider()["config"])._client
    ours, theirs = f"ours/{content_of(closed)}", "ours/local_content/aa/bb/theirs"
    client.put_object(Bucket=s3.bucket, Key=ours, Body=b"a copy")
    closed.configure(media_storage_providers=[s3.storage_provider("ours/")])
    assert closed.erase("--dry-run") == 0
    # Between what can be read and its versions.
    run_until_killed(tmp_path / "hook", "http.client.send", "?delete", 2, command(closed))
    assert s3.keys() == []
    assert set(s3.versions()) == {ours}
    client.put_object(Bucket=s3.bucket, Key=theirs, Body=b"of another server")
    assert closed.erase() == 1
    assert f"does not know, for example {theirs}" in capsys.readouterr().err
    assert s3.keys() == [theirs]
    assert closed.media.exists()
    client.delete_object(Bucket=s3.bucket, Key=theirs)
    assert closed.erase() == 0
    assert s3.versions() == []
    assert closed.files() == {}


def test_of_a_provisioned_homeserver_with_workers_nothing_is_left(
    server: StoppedServer, used: RealSynapse, tmp_path: Path
) -> None:
    """As `provision` has laid it out, with its logs and workers; SQLite in the place of its database."""
    folder = tmp_path / "messenger"
    options = ["--server-name", used.server_name, "--out", str(folder), "--support-email", "hilfe@betrieb.example"]
    assert main(["provision", *options, "--database", "postgresql://synapse@db.example/synapse", "--workers", "2"]) == 0
    config = yaml.safe_load((folder / "homeserver.yaml").read_text())
    config["database"] = {"name": "sqlite3", "args": {"database": str(folder / "data" / "homeserver.db")}}
    (folder / "homeserver.yaml").write_text(json.dumps(config))
    shutil.copy(server.folder / "homeserver.db", folder / "data")
    shutil.copytree(server.media, config["media_store_path"], dirs_exist_ok=True)
    for name in ("homeserver", "media", "sender", "generic1", "generic2"):
        for end in (".log", ".log.2026-11-20", "-audit.jsonl"):
            a_file(folder / "log" / f"{name}{end}", "who did what")
    for name in ("deletions.jsonl", "recovery.jsonl"):
        a_file(folder / "records" / name)
    server.folder = folder
    assert server.close() == 0
    with closing(sqlite3.connect(folder / "data" / "homeserver.db", isolation_level=None)) as database:
        database.execute("UPDATE synapse_bum_contract_end SET grace_days = 0")
    journal = json.loads(server.journal.read_text())
    server.journal.write_text(json.dumps({**journal, "grace_days": 0}))
    # Who names nothing more is told of all that stays.
    assert server.erase("--dry-run") == 0
    included = ("--include", folder)
    assert server.erase("--dry-run", *included) == 0
    assert server.erase(*included) == 0
    assert not folder.exists()
    assert report_of(server)["left"] == []
