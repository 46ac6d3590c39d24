"""A backup is made, proved and brought back, on SQLite and on PostgreSQL, while Synapse runs."""

import contextlib
import json
import os
import pwd
import re
import shutil
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attr
import pytest
import yaml

from synapse_bum.cli import main
from synapse_bum.cli.backup import ownership
from synapse_bum.homeserver.database_copying import scratch_name
from synapse_bum.rest import BASE
from synapse_bum.testing.backup_case import CONTENT, TEXT, Backups, Cluster, InUse, hanging_program, wait_for
from synapse_bum.testing.s3_server import RealS3
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.synapse import RealSynapse

pytestmark = [pytest.mark.requires("restic"), pytest.mark.long, pytest.mark.any_synapse]

HANDBOOK = (Path(__file__).resolve().parents[3] / "docs" / "backup.md").read_text(encoding="utf-8")
A_KEY = "INSERT INTO e2e_one_time_keys_json (user_id, device_id, algorithm, key_id, ts_added_ms, key_json)"


def destroyed(synapse: RealSynapse) -> None:
    synapse.stop()
    shutil.rmtree(synapse.media_directory)
    (synapse.directory / "signing.key").unlink()


def test_sqlite_comes_back_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RealSynapse() as synapse:
        in_use = InUse.begin(synapse)
        key = (synapse.directory / "signing.key").read_text()
        with ServerDatabase(synapse) as database:
            database.execute(f"{A_KEY} VALUES ('@alice:messenger.example', 'D', 'a', 'k', 1, '{{}}')")
        backups = Backups(synapse.directory / "homeserver.yaml", tmp_path, main)
        assert backups.run("--init") == 0
        assert " ok: backup 2" in capsys.readouterr().out
        destroyed(synapse)
        (synapse.directory / "homeserver.db").unlink()

        assert backups.restore(tmp_path / "back") == 0
        printed = capsys.readouterr().out
        assert str(tmp_path / "back" / "media_store") in printed
        assert "WARNING" not in printed
        folder = tmp_path / "back"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        saved = folder / "config" / synapse.directory.relative_to("/")
        assert (saved / "signing.key").read_text() == key
        (synapse.directory / "signing.key").write_text(key)
        # A key that was given away before must not be given away again.
        with contextlib.closing(sqlite3.connect(folder / "homeserver.db")) as database:
            rows = database.execute("SELECT count(*) FROM e2e_one_time_keys_json").fetchall()
        assert rows == [(0,)]
        synapse.config["database"]["args"]["database"] = str(folder / "homeserver.db")
        synapse.config["media_store_path"] = str(folder / "media_store")
        synapse.start()
        assert in_use.serves_what_it_held()


@pytest.mark.requires("postgresql")
def test_postgresql_is_proved_and_comes_back_as_it_was(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RealSynapse(postgres_dsn=cluster.create("served")) as synapse:
        in_use = InUse.begin(synapse)
        with ServerDatabase(synapse) as database:
            database.execute(f"{A_KEY} VALUES ('@alice:messenger.example', 'D', 'a', 'k', 1, '{{}}')")
        backups = Backups(synapse.directory / "homeserver.yaml", tmp_path, main)
        before = cluster.databases()
        # As a verification leaves it that was killed.
        cluster.create(scratch_name("messenger.example"))
        assert backups.run("--init") == 0
        assert backups.run("--verify") == 0
        assert "1 messages and 1 files served as they were" in capsys.readouterr().out
        assert cluster.databases() == before
        key = (synapse.directory / "signing.key").read_text()
        destroyed(synapse)
        (synapse.directory / "signing.key").write_text(key)

        served = cluster.dsn("served")
        assert backups.restore(tmp_path / "back", "--database", served) == 1
        assert "the database is not empty" in capsys.readouterr().err
        assert not (tmp_path / "back").exists()
        assert backups.restore(tmp_path / "back") == 1
        assert "--database" in capsys.readouterr().err

        back = cluster.create("back")
        assert backups.restore(tmp_path / "back", "--database", back) == 0
        # What people have written lies in no file that nobody looks after.
        assert not (tmp_path / "back" / "database.dump").exists()
        synapse.config["database"]["args"]["dsn"] = back
        synapse.config["media_store_path"] = str(tmp_path / "back" / "media_store")
        synapse.start()
        assert in_use.serves_what_it_held()
        with ServerDatabase(synapse) as database:
            assert database.rows("SELECT count(*) FROM e2e_one_time_keys_json") == [(0,)]


def test_a_verification_asks_a_synapse_and_leaves_nothing(backups: Backups, capsys: pytest.CaptureFixture[str]) -> None:
    assert backups.run("--init") == 0
    assert backups.run("--verify") == 0
    assert "1 messages and 1 files served as they were" in capsys.readouterr().out
    assert {path.name for path in backups.work.iterdir()} <= {"lock", "cache", "runs"}
    assert backups.metric("last_verify_ok") == 1
    assert backups.metric("last_run_ok") == 1
    assert backups.metric("kept_runs") == 1
    assert backups.metric("last_success_timestamp_seconds") > 1_700_000_000


def test_nothing_of_people_is_readable_in_the_repository(in_use: InUse, backups: Backups) -> None:
    assert backups.run("--init") == 0
    stored = b"".join(path.read_bytes() for path in backups.repository.rglob("*") if path.is_file())
    assert not {word for word in (TEXT.encode(), CONTENT[:22], str(in_use.alice.token).encode()) if word in stored}
    assert {tag.partition("=")[0] for one in backups.snapshots() for tag in one["tags"]} == {
        *("synapse-bum", "server", "run", "part", "host", "synapse", "synapse_bum", "database", "restic"),
    }


def test_keys_secrets_and_logs_of_deletions_are_in_it(in_use: InUse, backups: Backups, tmp_path: Path) -> None:
    log, secret, worker = tmp_path / "deletions.jsonl", tmp_path / "secret", tmp_path / "workers" / "one.yaml"
    log.write_text('{"a": 1}\n')
    secret.write_text("hidden")
    worker.parent.mkdir()
    worker.write_text("worker_name: one")
    config = yaml.safe_load(backups.config.read_text())
    config["modules"] = [{"module": "x.Y", "config": {"deletion_log_path": str(log), "token_path": str(secret)}}]
    path = tmp_path / "homeserver.yaml"
    path.write_text(json.dumps(config))
    backups = attr.evolve(backups, config=path)
    assert backups.run("--init", "--include", worker.parent) == 0
    assert backups.restore(tmp_path / "back") == 0
    back = tmp_path / "back"
    assert (back / "logs" / log.relative_to("/")).read_text() == log.read_text()
    for one in (secret, worker, in_use.synapse.directory / "signing.key"):
        assert (back / "config" / one.relative_to("/")).read_text() == one.read_text()


@pytest.mark.requires("root")
def test_links_and_owners_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A media store that is spread over disks, of a user who has another number where it is restored."""
    daemon, nobody = pwd.getpwnam("daemon"), pwd.getpwnam("nobody")
    with RealSynapse() as synapse:
        in_use = InUse.begin(synapse)
        synapse.stop()
        media, disk = synapse.media_directory, tmp_path / "disk"
        shutil.copytree(media / "local_content", disk / "content")
        shutil.rmtree(media / "local_content")
        (media / "local_content").symlink_to(disk / "content")
        for top in (media, disk):
            for path in (top, *top.rglob("*")):
                os.chown(path, daemon.pw_uid, daemon.pw_gid, follow_symlinks=False)
        key = synapse.directory / "signing.key"
        key.chmod(0o440)
        os.chown(key, daemon.pw_uid, 0)
        # On that machine the number had another name.
        monkeypatch.setattr(ownership, "_user", lambda uid: "nobody" if uid == daemon.pw_uid else str(uid))
        backups = Backups(synapse.directory / "homeserver.yaml", tmp_path, main)
        assert backups.run("--init") == 0
        back = tmp_path / "back"
        assert backups.restore(back) == 0
        shutil.rmtree(disk)
        content = back / "media_store" / "local_content"
        assert not content.is_symlink()
        files = [path for path in content.rglob("*") if path.is_file()]
        assert files
        assert {path.lstat().st_uid for path in (back, content, *files)} == {nobody.pw_uid}
        # As the handbook has it: what is missing is put where it was, what is there stays as it is.
        root = tmp_path / "root"
        (root / "tmp").mkdir(parents=True, mode=0o700)
        command = next(line.strip() for line in HANDBOOK.splitlines() if line.strip().startswith("tar -C"))
        command = command.replace("/srv/messenger", str(back)).replace("-C / ", f"-C {root} ")
        subprocess.run(["/bin/sh", "-c", command], check=True)
        saved = (root / key.relative_to("/")).stat()
        assert (stat.S_IMODE(saved.st_mode), saved.st_uid, saved.st_gid) == (0o440, nobody.pw_uid, 0)
        assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o700
        synapse.config["database"]["args"]["database"] = str(back / "homeserver.db")
        synapse.config["media_store_path"] = str(back / "media_store")
        synapse.start()
        assert in_use.serves_what_it_held()


LIFETIME_S = 15


def with_lifetimes(folder: Path) -> list[dict[str, Any]]:
    lifetime = {"lifetime": f"{LIFETIME_S}s"}
    log = {"deletion_log_path": str(folder / "deletions.jsonl"), "schedule": {"interval": "1s"}}
    return [
        {
            "module": "synapse_bum.retention.RetentionModule",
            "config": {"messages": lifetime, "local_media": lifetime, **log},
        },
        {
            "module": "synapse_bum.recovery.RecoveryModule",
            "config": {"log_path": str(folder / "recovery.jsonl")},
        },
    ]


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.2)


def test_a_backup_that_is_older_than_the_retention_serves_nothing_of_that_age(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the handbook has it: warned of, messages shown to nobody from the start, files gone before the proxy opens."""
    config = {"background_updates": {"sleep_enabled": False}}
    with RealSynapse(modules=with_lifetimes(tmp_path), config=config) as synapse:
        root = synapse.register("root", admin=True)
        in_use = InUse.begin(synapse)
        with ServerDatabase(synapse) as database:
            # Sessions and devices that are too new at the backup are ended by the restore.
            query = "SELECT 1 FROM synapse_bum_recovery_seen WHERE source IN ('sessions', 'devices')"
            wait_until(lambda: len(database.rows(query)) == 4)
        event, file = in_use.say("of yesterday"), in_use.alice.upload(b"of yesterday").json["content_uri"]
        young_s = time.monotonic()
        # The machine is lost: nothing has deleted or logged any of it.
        synapse.kill()
        backups = Backups(synapse.directory / "homeserver.yaml", tmp_path, main)
        assert backups.run("--init") == 0
        with closing(sqlite3.connect(synapse.directory / "homeserver.db")) as stored:
            ((kept,),) = stored.execute("SELECT json FROM event_json WHERE event_id = ?", (event,))
        assert "of yesterday" in kept
        time.sleep(max(0.0, LIFETIME_S + 1 - (time.monotonic() - young_s)))
        capsys.readouterr()
        back = tmp_path / "back"
        assert backups.restore(back) == 0
        assert re.search(r"over age by now: [0-9]+ messages, [12] local_media\.", capsys.readouterr().out)
        shutil.rmtree(synapse.media_directory)
        synapse.config["database"]["args"]["database"] = str(back / "homeserver.db")
        synapse.config["media_store_path"] = str(back / "media_store")
        synapse.start()
        assert in_use.content_of(event) == {}
        assert in_use.content_of(in_use.event_id) == {}
        for served in in_use.everything_served():
            assert "of yesterday" not in served
            assert TEXT not in served

        def backlog() -> int:
            classes = root.get(f"{BASE}/retention/status").json
            return sum(classes[kind]["backlog_items"] for kind in ("messages", "local_media"))

        assert backlog() > 0
        assert root.post(f"{BASE}/retention/runs", {"confirm": True}).status == 202
        wait_until(lambda: not backlog())
        # Now the proxy is opened.
        for mxc in (file, in_use.mxc):
            assert in_use.alice.download(mxc).status == 404
        with ServerDatabase(synapse) as database:
            assert database.rows("SELECT 1 FROM event_json WHERE json LIKE '%of yesterday%'") == []


def test_what_is_deleted_while_the_backup_runs_is_in_its_log(in_use: InUse, backups: Backups, tmp_path: Path) -> None:
    """Files are read after the rows, and the log after the files: each row has its file, or a line in the log."""
    log = tmp_path / "deletions.jsonl"
    log.write_text("{}\n")
    config = yaml.safe_load(backups.config.read_text())
    config["modules"] = [{"module": "x.Y", "config": {"deletion_log_path": str(log)}}]
    path = tmp_path / "homeserver.yaml"
    path.write_text(json.dumps(config))
    backups = attr.evolve(backups, config=path)
    assert backups.run("--init") == 0
    doomed = in_use.synapse.media_directory / "local_content" / "do" / "om" / "ed"
    doomed.parent.mkdir(parents=True)
    doomed.write_text("a file")
    variables, mark = hanging_program(tmp_path / "bin", "restic", "part=data")
    running = backups.begin(variables=variables)
    wait_for(mark)
    # The dump is made by now.
    late = in_use.alice.upload(b"a late file").json["content_uri"].rpartition("/")[2]
    doomed.unlink()
    with log.open("a") as file:
        file.write('{"deleted": "doomed"}\n{"torn')
    mark.unlink()
    printed, _ = running.communicate()
    assert running.returncode == 0, printed
    assert backups.restore(tmp_path / "back") == 0
    back = tmp_path / "back"
    assert (back / "logs" / log.relative_to("/")).read_text() == '{}\n{"deleted": "doomed"}\n'
    assert not (back / "media_store" / doomed.relative_to(in_use.synapse.media_directory)).exists()
    with contextlib.closing(sqlite3.connect(back / "homeserver.db")) as database:
        rows = database.execute("SELECT media_id FROM local_media_repository").fetchall()
    assert (late,) not in rows
    assert rows
    for (media_id,) in rows:
        assert Path(back, "media_store", "local_content", media_id[:2], media_id[2:4], media_id[4:]).is_file()


def test_a_repository_may_lie_in_a_bucket(backups: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with RealS3("backups") as s3:
        location = ["--repository", f"s3:{s3.endpoint}/{s3.bucket}/messenger"]
        assert backups.run(*location, "--init") == 0
        assert backups.restore(backups.folder / "back", *location) == 0
        assert (backups.folder / "back" / "homeserver.db").is_file()
        assert all(key.startswith("messenger/") for key in s3.keys())  # noqa: SIM118 - no dictionary
