"""A backup, a verification or a restore that is killed leaves no process, and the next one clears what lies around."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2  # type: ignore[import-untyped]
import pytest

from synapse_bum.cli import main
from synapse_bum.testing.backup_case import Backups, Cluster, InUse, hanging_program, wait_for
from synapse_bum.testing.synapse import RealSynapse

pytestmark = [pytest.mark.requires("restic"), pytest.mark.any_synapse, pytest.mark.long]

_SECONDS = 60.0

THE_FIRST_INDEX = """
CREATE FUNCTION waits() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1); END';
CREATE EVENT TRIGGER waits ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION waits();
"""
LOADS_AND_DIES = """
import os, sys
from synapse_bum.cli import main
from synapse_bum.cli.backup import actions
load = actions.load
def load_and_die(*arguments):
    load(*arguments)
    os.kill(os.getpid(), 9)
actions.load = load_and_die
main(sys.argv[1:])
"""


def processes_with(text: str) -> list[str]:
    """The command lines of living processes that hold a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and int(path.name) != os.getpid():
            found.append(line)
    return found


def assert_nobody_is_left(text: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while found := processes_with(text):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.mark.parametrize("at", ["part=data", "part=closing", "prune"])
def test_the_next_backup_is_whole_after_one_was_killed(backups: Backups, tmp_path: Path, at: str) -> None:
    assert backups.run("--init") == 0
    variables, mark = hanging_program(tmp_path / "bin", "restic", at)
    killed = backups.begin(variables=variables)
    wait_for(mark)
    killed.kill()
    killed.communicate()
    assert_nobody_is_left(str(backups.work))
    assert backups.run() == 0
    # What had come to its end before it was killed while it cleared is a backup as any other.
    assert len(backups.snapshots()) == (6 if at == "prune" else 4)
    assert {path.name for path in backups.work.iterdir()} <= {"lock", "cache", "runs"}


def locks_of(backups: Backups) -> list[str]:
    """The locks of a repository; restic writes each under another name first."""
    return [path.name for path in (backups.repository / "locks").iterdir() if len(path.name) == 64]


def killed_with_a_lock(backups: Backups) -> bool:
    """Kill a backup as soon as restic has locked the repository; whether the lock is left."""
    killed = backups.begin()
    deadline = time.monotonic() + _SECONDS
    while not locks_of(backups):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    killed.kill()
    killed.communicate()
    assert_nobody_is_left(str(backups.work))
    return bool(locks_of(backups))


def test_a_lock_of_a_dead_restic_stops_nobody(backups: Backups) -> None:
    assert backups.run("--init") == 0
    # Restic may have been faster than the look.
    assert any(killed_with_a_lock(backups) for _ in range(5))
    assert backups.run() == 0
    assert locks_of(backups) == []


def test_a_verification_that_was_killed_leaves_no_synapse(backups: Backups) -> None:
    assert backups.run("--init") == 0
    killed = backups.begin("--verify")
    wait_for(backups.work / "scratch" / "s")
    assert processes_with(str(backups.work / "scratch"))
    killed.kill()
    killed.communicate()
    assert_nobody_is_left(str(backups.work / "scratch"))
    assert backups.run("--verify") == 0
    assert {path.name for path in backups.work.iterdir()} <= {"lock", "cache", "runs"}


def test_a_stopped_service_clears_at_once(backups: Backups, tmp_path: Path) -> None:
    assert backups.run("--init") == 0
    variables, mark = hanging_program(tmp_path / "bin", "restic", "part=closing")
    stopped = backups.begin(variables=variables)
    wait_for(mark)
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate()
    assert stopped.returncode == 130
    assert {path.name for path in backups.work.iterdir()} <= {"lock", "cache", "runs"}
    assert_nobody_is_left("part=closing")


@pytest.fixture(scope="module")
def saved(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backups]:
    """A homeserver on PostgreSQL and its first backup."""
    with RealSynapse(postgres_dsn=cluster.create("in_use")) as synapse:
        InUse.begin(synapse)
        synapse.stop()
        backups = Backups(synapse.directory / "homeserver.yaml", tmp_path_factory.mktemp("saved"), main)
        assert backups.run("--init") == 0
        yield backups


@contextlib.contextmanager
def held(cluster: Cluster, database: str, sql: str) -> Iterator[None]:
    """Hold a lock of a database."""
    with contextlib.closing(psycopg2.connect(cluster.server.dsn(database))) as connection:
        connection.cursor().execute(sql)
        yield


def connections(cluster: Cluster, program: str, *, waiting: bool) -> int:
    """How many connections a program has, or how many of them wait for a lock."""
    condition = " AND wait_event_type = 'Lock'" if waiting else ""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{program}'{condition}"  # noqa: S608
    return int(cluster.execute(query)[0][0])


def wait_for_connections(cluster: Cluster, program: str, number: int, *, waiting: bool) -> None:
    deadline = time.monotonic() + _SECONDS
    while connections(cluster, program, waiting=waiting) != number:
        assert time.monotonic() < deadline, f"{program} never had {number} connections"
        time.sleep(0.05)


@pytest.mark.requires("postgresql")
def test_a_dump_that_was_killed_is_no_backup(cluster: Cluster, saved: Backups) -> None:
    before = len(saved.snapshots())
    with held(cluster, "in_use", "LOCK TABLE pushers IN ACCESS EXCLUSIVE MODE"):
        killed = saved.begin()
        wait_for_connections(cluster, "pg_dump", 1, waiting=True)
        killed.kill()
        killed.communicate()
        assert_nobody_is_left(str(saved.work))
    # The server has noticed.
    wait_for_connections(cluster, "pg_dump", 0, waiting=False)
    assert len(saved.snapshots()) == before
    assert (saved.work / "run" / "data" / "database.dump").exists()
    assert saved.run() == 0
    assert len(saved.snapshots()) == before + 2
    assert {path.name for path in saved.work.iterdir()} <= {"lock", "cache", "runs"}


@pytest.mark.requires("postgresql")
def test_a_restore_that_was_killed_while_it_filled_the_database_can_be_repeated(
    cluster: Cluster, saved: Backups, tmp_path: Path
) -> None:
    dsn = cluster.create("half")
    cluster.execute(THE_FIRST_INDEX, "half")
    with held(cluster, "half", "SELECT pg_advisory_lock(1)"):
        killed = saved.begin("--restore", str(tmp_path / "back"), "--database", dsn)
        wait_for_connections(cluster, "pg_restore", 1, waiting=True)
        killed.kill()
        killed.communicate()
        assert_nobody_is_left(str(tmp_path / "back"))
        assert not (tmp_path / "back").exists()
    wait_for_connections(cluster, "pg_restore", 0, waiting=False)
    cluster.execute("DROP EVENT TRIGGER waits", "half")
    # The database is empty as before, and what lay beside the folder is taken away.
    assert saved.restore(tmp_path / "back", "--database", dsn) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["back"]
    assert (tmp_path / "back" / "manifest.json").is_file()


@pytest.mark.requires("postgresql")
def test_a_restore_that_was_killed_at_its_end_is_not_taken_for_one(
    cluster: Cluster, saved: Backups, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = cluster.create("filled")
    restore = ["backup", *saved.options(), "--restore", str(tmp_path / "back"), "--database", dsn]
    killed = subprocess.run([sys.executable, "-c", LOADS_AND_DIES, *restore], check=False, cwd=Path.cwd())
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "back").exists()
    assert saved.restore(tmp_path / "back", "--database", dsn) == 1
    assert "the database is not empty" in capsys.readouterr().err
    cluster.execute("DROP DATABASE filled")
    cluster.create("filled")
    assert saved.restore(tmp_path / "back", "--database", dsn) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["back"]


@pytest.mark.requires("postgresql")
@pytest.mark.requires("root")
def test_a_dump_that_fills_the_disk_is_said(
    saved: Backups, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(saved.snapshots())
    (small_disk / "filled").write_bytes(bytes(4_900_000))
    assert saved.run("--work-dir", small_disk, "--take-over") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert len(saved.snapshots()) == before
    assert {path.name for path in small_disk.iterdir()} <= {"lock", "cache", "filled"}
