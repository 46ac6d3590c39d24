"""The whole end of a contract on real servers: PostgreSQL, a bucket, backups; and a start that is refused."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

import psycopg2  # type: ignore[import-untyped]
import pytest

from synapse_bum.cli import main
from synapse_bum.cli.offboard.buckets import Bucket
from synapse_bum.homeserver.database_copying import PostgresDatabase, scratch_name
from synapse_bum.testing.backup_case import Backups, InUse, hanging_program, wait_for
from synapse_bum.testing.database_backup import DatabaseBackup
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.offboard_case import FIRST, SECOND, modules
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.s3_server import RealS3
from synapse_bum.testing.synapse import RealSynapse

pytestmark = [pytest.mark.usefixtures("real_machine"), pytest.mark.any_synapse]


class Order:
    """The order to end the contract of a real homeserver."""

    def __init__(self, synapse: RealSynapse, folder: Path) -> None:
        self.config = synapse.directory / "homeserver.yaml"
        self.journal = folder / "journal.json"
        self._name = synapse.server_name

    def arguments(self, stage: str, by: str, *more: str) -> list[str]:
        where = ["-c", str(self.config), "--journal", str(self.journal)]
        return ["offboard", *where, "--confirm", self._name, "--stage", stage, "--by", by, *more]

    def run(self, stage: str, by: str, *more: str) -> int:
        return main(self.arguments(stage, by, *more))

    def close(self) -> int:
        """Closes it, when what it was at has ended: at most a minute after it was told to stop."""
        deadline = time.monotonic() + 90
        while (status := self.run("close", FIRST)) and time.monotonic() < deadline:
            time.sleep(2)
        return status

    def pass_grace(self, execute: Callable[[str], object]) -> None:
        """Makes the grace period end now: the closing is not made older, as the backups would not be."""
        execute("UPDATE synapse_bum_contract_end SET grace_days = 0")
        self.journal.write_text(json.dumps({**json.loads(self.journal.read_text()), "grace_days": 0}))


def a_homeserver(dsn: str | None) -> RealSynapse:
    synapse = RealSynapse(config={"federation_domain_whitelist": []}, postgres_dsn=dsn)
    synapse.config["modules"] = modules(synapse.directory)
    return synapse


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.requires("postgresql"))])
def test_a_closed_server_does_not_start_whichever_backup_is_restored(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    dsn = request.getfixturevalue("postgres").dsn() if database == "postgresql" else None
    with a_homeserver(dsn) as synapse:
        in_use = InUse.begin(synapse)
        order = Order(synapse, tmp_path)
        # While it runs nothing is closed, and nothing is noted that would keep it from starting.
        assert order.run("close", FIRST) == 1
        assert in_use.serves_what_it_held()
        synapse.stop()
        backup = DatabaseBackup(synapse, tmp_path / "dump")
        assert order.close() == 0
        with pytest.raises(ServerError):
            synapse.start()
        backup.restore()
        with pytest.raises(ServerError):
            synapse.start()
        assert order.close() == 0
        assert order.run("reopen", FIRST) == 0
        synapse.start()
        # Sessions are over for good; accounts and what they hold are there.
        assert in_use.alice.get("/_matrix/client/v3/account/whoami").status == HTTPStatus.UNAUTHORIZED


@pytest.fixture
def postgres() -> Iterator[RealPostgres]:
    with RealPostgres() as server:
        with closing(psycopg2.connect(server.dsn())) as connection, connection, connection.cursor() as cursor:
            cursor.execute("CREATE ROLE operator SUPERUSER LOGIN")
        yield server


def as_operator(postgres: RealPostgres) -> str:
    """How the tests look at the homeserver's database: whoever is there as the homeserver's own user is noticed."""
    return f"{postgres.dsn()} user=operator"


@pytest.fixture
def s3() -> Iterator[RealS3]:
    pytest.importorskip("moto", reason="moto is not installed (the extra `test`)")
    with RealS3() as server:
        yield server


def with_copies(synapse: RealSynapse, s3: RealS3, mxc: str) -> str:
    """Put copies of a file into a bucket, as the storage provider has them, and name it in homeserver.yaml.

    Synapse does not run, so it need not have the provider. Returns the path of the file in a media store.
    """
    media_id = mxc.rpartition("/")[2]
    copy = f"local_content/{media_id[:2]}/{media_id[2:4]}/{media_id[4:]}"
    s3.keep_versions()
    for key in (f"ours/{copy}", f"theirs/{copy}"):
        Bucket(s3.storage_provider()["config"])._client.put_object(Bucket=s3.bucket, Key=key, Body=b"a copy")
    config = {**synapse.config, "media_storage_providers": [s3.storage_provider("ours/")]}
    (synapse.directory / "homeserver.yaml").write_text(json.dumps(config))
    return copy


def execute(postgres: RealPostgres, statement: str) -> list[tuple[object, ...]]:
    """Run one statement in the homeserver's database; returns its rows."""
    with closing(psycopg2.connect(as_operator(postgres))) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def kill_at_prune(order: Order, tmp_path: Path, options: list[str]) -> None:
    """Begin the erasing, and kill it while it deletes backups."""
    variables, mark = hanging_program(tmp_path / "bin", "restic", "prune")
    killed = subprocess.Popen(
        [sys.executable, "-m", "synapse_bum", *order.arguments("erase", SECOND, *options)],
        env={**os.environ, **variables},
        cwd=Path(__file__).parents[3],
        stdin=subprocess.DEVNULL,
    )
    wait_for(mark)
    killed.kill()
    killed.wait()


def kill_at_drop(order: Order, postgres: RealPostgres, options: list[str]) -> None:
    """Go on with the erasing, and kill it while it drops the tables."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DROP TABLE%' AND wait_event_type = 'Lock'"
    with closing(psycopg2.connect(as_operator(postgres))) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM users")
        erasing = subprocess.Popen(
            [sys.executable, "-m", "synapse_bum", *order.arguments("erase", SECOND, *options)],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.DEVNULL,
        )
        until = time.monotonic() + 120
        while execute(postgres, waits) == [(0,)]:
            assert time.monotonic() < until
            assert erasing.poll() is None
            time.sleep(0.2)
        erasing.kill()
        erasing.wait()
    # Its connection ends when it gets what it has waited for.
    there = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'postgres' AND datname = current_database()"
    while execute(postgres, there) != [(0,)]:
        assert time.monotonic() < until
        time.sleep(0.2)


@contextmanager
def configured(order: Order, **arguments: object) -> Iterator[None]:
    """homeserver.yaml with other arguments of the database."""
    right = order.config.read_text()
    config = json.loads(right)
    config["database"]["args"] = {**config["database"]["args"], **arguments}
    order.config.write_text(json.dumps(config))
    yield
    order.config.write_text(right)


@pytest.mark.long
@pytest.mark.requires("postgresql", "restic")
def test_nothing_is_left_of_database_bucket_backups_and_files(
    postgres: RealPostgres, s3: RealS3, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_homeserver(postgres.dsn()) as synapse:
        in_use = InUse.begin(synapse)
        synapse.stop()
        order = Order(synapse, tmp_path)
        backups = Backups(order.config, tmp_path, main)
        assert backups.run("--init") == 0
        copy = with_copies(synapse, s3, in_use.mxc)
        assert order.close() == 0
        order.pass_grace(partial(execute, postgres))
        named = ["--repository", str(backups.repository), "--password-file", str(tmp_path / "password")]
        options = [*named, "--data-returned", "2026-01-31", "--work-dir", str(backups.work)]
        # As a verification leaves it that was killed.
        PostgresDatabase(synapse.config["database"]).create_scratch(scratch_name(synapse.server_name))
        execute(postgres, "CREATE TABLE invoices (a INTEGER)")
        assert order.run("erase", SECOND, "--dry-run", *options) == 1
        assert "another application: invoices" in capsys.readouterr().err
        execute(postgres, "DROP TABLE invoices")
        PostgresDatabase(synapse.config["database"])._execute_alone("CREATE DATABASE empty")
        # Another schema is somebody else's, and none of our business.
        execute(postgres, "CREATE SCHEMA another CREATE TABLE invoices (a INTEGER)")
        assert order.run("erase", SECOND, "--dry-run", *options) == 0
        kill_at_prune(order, tmp_path, options)
        for dsn, said in (
            # It looks as if everything were erased; and as while PostgreSQL is down.
            (postgres.dsn("empty"), "names another database than"),
            ("host=127.0.0.1 port=1 user=postgres", "the database can't be opened"),
        ):
            with configured(order, dsn=dsn):
                assert order.run("erase", SECOND, *options) == 1
            assert said in capsys.readouterr().err
        assert synapse.media_directory.exists()
        kill_at_drop(order, postgres, options)
        assert execute(postgres, "SELECT count(*) FROM users") == [(1,)]
        assert not synapse.media_directory.exists()
        assert order.run("erase", SECOND, *options) == 0

        assert backups.snapshots() == []
        assert s3.keys() == [f"theirs/{copy}"]
        assert set(s3.versions()) == {f"theirs/{copy}"}
        left = {path.name for path in synapse.directory.iterdir()}
        assert left <= {"modules", "output.log", "synapse.pid"}
        for catalogue, schema in (("pg_class", "relnamespace"), ("pg_proc", "pronamespace")):
            count = f"SELECT count(*) FROM {catalogue} WHERE {schema} = 'public'::regnamespace"  # noqa: S608 - constants
            assert execute(postgres, count) == [(0,)]
        assert execute(postgres, "SELECT count(*) FROM another.invoices") == [(0,)]
        assert execute(postgres, "SELECT datname FROM pg_database WHERE datname LIKE '%scratch%'") == []
        assert {path.name for path in backups.work.iterdir()} <= {"lock", "runs"}
        report = tmp_path / "journal.json.report.json"
        key = json.loads(report.read_text())["server_key"]["public_key"]
        assert main(["offboard", "--check-report", str(report), "--public-key", key]) == 0
        said = json.loads(report.read_text())["report"]
        beside = {"schema another of the PostgreSQL database", "PostgreSQL database empty, of the same role"}
        assert beside <= {line.partition(":")[0] for line in said["left"]}
        steps = {step["kind"]: step["counted"] for step in said["steps"]}
        assert steps["backups"] == {"backups": 1, "snapshots": 2}
        assert steps["bucket"] == {"objects": 1, "older_versions": 0, "bytes": len(b"a copy")}
        assert steps["database"]["scratch_databases"] == 1
        assert steps["database"]["users"] == 1


@pytest.mark.requires("restic")
def test_backups_of_others_and_of_a_server_in_use_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RealSynapse() as synapse:
        InUse.begin(synapse)
        synapse.stop()
        order = Order(synapse, tmp_path)
        backups = Backups(order.config, tmp_path, main)
        assert backups.run("--init") == 0
        time.sleep(1)
        assert order.close() == 0
        with closing(sqlite3.connect(synapse.directory / "homeserver.db", isolation_level=None)) as connection:
            order.pass_grace(connection.execute)
        options = ["--repository", str(backups.repository), "--password-file", str(tmp_path / "password")]
        options.append("--return-declined")
        assert order.run("erase", SECOND, "--dry-run", *options) == 0
        assert ", the newest backup of 20" in capsys.readouterr().out
        # As by the server that this one is a restored copy of, after the dry run.
        assert backups.run() == 0
        for more in ([], ["--dry-run"]):
            assert order.run("erase", SECOND, *options, *more) == 1
            assert "1 backups of a server of this name are younger than the closing" in capsys.readouterr().err
        assert len(backups.snapshots()) == 4
        file = tmp_path / "letter"
        file.write_text("of somebody else")
        backups.restic("backup", file)
        assert order.run("erase", SECOND, "--dry-run", *options) == 1
        assert "1 snapshots that are no backups" in capsys.readouterr().err
        assert len(backups.snapshots()) == 5
