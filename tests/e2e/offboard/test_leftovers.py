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


def a_killed_backup(work: Path, server_name: str) -> None:
    """As a proof leaves it that was killed while it restored."""
    a_file(work / "scratch" / "manifest.json", json.dumps({"server_name": server_name}))
    a_file(work / "scratch" / "homeserver.db", "all messages in clear")


def test_what_a_killed_backup_has_left_in_the_usual_folders_goes_unasked(closed: StoppedServer, machine: Path) -> None:
    """The one of a provisioned server, and the one above it, of which it says that it is this server's."""
    usual = machine / "var/lib/synapse-bum-backup"
    a_file(usual / closed.server_name / "scratch" / "homeserver.db", "all messages in clear")
    a_killed_backup(usual, closed.server_name)
    a_killed_backup(usual / "another.example", "another.example")
    assert closed.look_and_erase() == 0
    left = {path.name for path in usual.rglob("*") if path.is_file()}
    assert left == {"lock", "manifest.json", "homeserver.db"}
    assert not (usual / "scratch").exists()
    assert (usual / "another.example" / "scratch" / "homeserver.db").exists()
    work = [step["what"].rpartition(" ")[2] for step in report_of(closed)["steps"] if step["kind"] == "work"]
    assert work == [str(usual / closed.server_name), str(usual)]
    assert report_of(closed)["left"] == []


def test_a_work_folder_of_which_nobody_can_tell_whose_it_is_is_named(closed: StoppedServer, machine: Path) -> None:
    usual = machine / "var/lib/synapse-bum-backup"
    file = a_file(usual / "scratch" / "raw" / "database.dump", "all messages in clear")
    assert closed.look_and_erase() == 0
    assert file.exists()
    (line,) = report_of(closed)["left"]
    assert line.startswith(f"work folder of backups {usual}: ")
    assert "--work-dir" in line


def test_another_servers_killed_backup_is_left_alone(closed: StoppedServer, machine: Path) -> None:
    usual = machine / "var/lib/synapse-bum-backup"
    a_killed_backup(usual, "another.example")
    assert closed.look_and_erase() == 0
    assert (usual / "scratch" / "homeserver.db").exists()
    assert report_of(closed)["left"] == []


def test_a_backup_that_is_killed_while_it_is_erased_goes_too(
    closed: StoppedServer, machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_before_the_look(closed, monkeypatch)
    work = machine / "var/lib/synapse-bum-backup" / closed.server_name
    a_file(work / "scratch" / "homeserver.db", "all messages in clear")
    assert closed.erase() == 1
    assert f"come back after it was erased: work folder of backups {work} (1)" in capsys.readouterr().err
    assert closed.erase() == 0
    assert not (work / "scratch").exists()
    assert closed.files() == {}


def test_what_of_the_machine_speaks_of_the_server_is_named(closed: StoppedServer, machine: Path) -> None:
    name = closed.server_name
    there = [
        a_file(machine / f"etc/systemd/system/synapse-bum-{name}.service", "[Service]\n"),
        a_file(machine / "etc/systemd/system/backup.service", f"ExecStart=backup -c {closed.config_path}\n"),
        a_file(machine / "etc/nginx/conf.d/chat.conf", f"server_name portal.{name};\n"),
        a_file(machine / f"etc/synapse-bum-backup/{name}/password", "secret"),
        a_file(machine / f"var/lib/prometheus/node-exporter/synapse-bum-backup-{name}.prom"),
    ]
    for other in (f"not-{name}", f"{name}.org"):
        a_file(machine / f"etc/nginx/conf.d/{other}.conf", f"server_name {other};\n")
    a_file(machine / "var/log/nginx/access.log", "GET /_matrix/client/v3/profile/@alice")
    a_file(machine / "var/lib/systemd/coredump/core.python3.1")
    included = a_file(machine / f"etc/cron.d/{name}")
    assert closed.erase("--dry-run", "--include", included) == 0
    assert closed.erase("--include", included) == 0
    assert not included.exists()
    left = report_of(closed)["left"]
    places = {f"logs {machine}/var/log/nginx", f"core dumps {machine}/var/lib/systemd/coredump"}
    assert {line.partition(": ")[0] for line in left} == {*places, *(f"file {path}" for path in there)}
    assert all(path.exists() for path in there)


def test_what_comes_while_it_is_erased_is_named_too(
    closed: StoppedServer, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_before_the_look(closed, monkeypatch)
    a_file(machine / "var/crash/python3.crash")
    assert closed.erase() == 0
    assert [line.partition(": ")[0] for line in report_of(closed)["left"]] == [f"core dumps {machine}/var/crash"]


def test_the_report_says_where_nobody_has_looked(closed: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    closed.configure(
        redis={"enabled": True, "host": "redis.internal"},
        email={"smtp_host": "mail.internal", "notif_from": "a@b.example"},
        oidc_providers=[{"idp_id": "k", "idp_name": "K", "issuer": "https://id.example/", "client_id": "c"}],
    )
    closed.execute("UPDATE synapse_bum_audit SET action = 'export.user' WHERE action = 'contract.closed'")
    assert closed.look_and_erase() == 0
    capsys.readouterr()
    assert closed.check_report() == 1
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not looked at: ")]
    for place in ("Redis at redis.internal:6379", "mail server mail.internal", "https://id.example/", "1 are in the"):
        assert any(place in line for line in said), place
    assert "alice" not in closed.report.read_text()


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
@pytest.mark.usefixtures("real_machine")
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
@pytest.mark.usefixtures("real_machine")
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
