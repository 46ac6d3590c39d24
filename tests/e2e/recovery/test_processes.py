"""Processes of their own: two that bring one database up to date at once, and one that is killed while it does."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import Done, Logged
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.toy_server import Things, ToyServer

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse]

ROOT = Path(__file__).parent.parent.parent.parent
LONG_S = 60.0

KILLED = """
import json, sys, time
from pathlib import Path
from synapse_bum.testing.toy_server import Things, ToyServer

folder, postgres = Path(sys.argv[1]), json.loads(sys.argv[2])
close_again = Things.close_again

def hangs(self, txn, logged):
    close_again(self, txn, logged)
    (folder / "replays").touch()
    time.sleep(60)

Things.close_again = hangs
ToyServer(folder, postgres=postgres).start()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RealPostgres]:
    with RealPostgres() as postgres:
        yield postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def arguments(request: pytest.FixtureRequest, cluster: RealPostgres) -> dict[str, object] | None:
    return None if request.param == "sqlite" else _database(cluster, "killed")


def _database(cluster: RealPostgres, name: str) -> dict[str, object]:
    server = ("-h", cluster.host, "-p", str(cluster.port), "-U", cluster.user)
    subprocess.run(["createdb", *server, name], check=True, stdin=subprocess.DEVNULL)  # noqa: S607 - on PATH
    return {"host": cluster.host, "port": cluster.port, "user": cluster.user, "dbname": name}


def a_restored_server(folder: Path, postgres: dict[str, object] | None) -> ToyServer:
    """Its database is from before the log, in which two things were closed."""
    logged = ToyServer(folder)
    logged.start()
    for key in ("a", "b"):
        logged.put(key, "closed")
    logged.turn()
    folder.joinpath("server.db").unlink()
    server = ToyServer(folder, postgres=postgres)
    for key in ("a", "b"):
        server.put(key, "open")
    return server


def test_of_two_that_start_at_once_one_replays_and_both_start(
    tmp_path: Path, cluster: RealPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = _database(cluster, "two_at_once")
    server = a_restored_server(tmp_path, postgres)
    second = ToyServer(tmp_path, postgres=postgres)
    second.runs_background_tasks = False
    close_again = Things.close_again
    replays = threading.Event()
    count = 0

    def slowly(self: Things, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        nonlocal count
        count += 1
        replays.set()
        done = close_again(self, txn, logged)
        # Long enough for the other one to come here too.
        time.sleep(1.5)
        return done

    monkeypatch.setattr(Things, "close_again", slowly)
    with ThreadPoolExecutor(2) as threads:
        first_start = threads.submit(server.start)
        assert replays.wait(LONG_S)
        threads.submit(second.start).result(LONG_S)
        first_start.result(LONG_S)
    assert count == 1
    assert server.things == {"a": "closed", "b": "closed"}
    assert len(server.rows("SELECT * FROM synapse_bum_audit")) == 2


def test_a_process_that_is_killed_while_it_replays_leaves_nothing_half(
    tmp_path: Path, arguments: dict[str, object] | None
) -> None:
    server = a_restored_server(tmp_path, arguments)
    replays = tmp_path / "replays"
    started = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), json.dumps(arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + LONG_S
        while not replays.exists():
            assert started.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(started.pid, signal.SIGKILL)
    finally:
        started.kill()
        started.wait()
    assert server.things == {"a": "open", "b": "open"}
    server.start()
    assert server.things == {"a": "closed", "b": "closed"}
    assert len(server.rows("SELECT * FROM synapse_bum_audit")) == 2
    written = server.log_path.read_bytes()
    server.turn()
    server.start()
    assert server.log_path.read_bytes().startswith(written)
    assert len(server.rows("SELECT * FROM synapse_bum_audit")) == 2
