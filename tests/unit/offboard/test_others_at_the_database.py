"""Who else is at the database is known while processes of the machine come and go."""

import contextlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from synapse_bum.homeserver.offline_database import OfflineDatabase

HOLD = "import sys; held = open(sys.argv[1]); print(flush=True); sys.stdin.read()"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "homeserver.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (name)")
    return path


def others(path: Path) -> int:
    database = OfflineDatabase({"name": "sqlite3", "args": {"database": str(path)}})
    with database.transaction() as txn:
        return database.others(txn)


def test_a_process_that_has_it_open_is_seen_until_it_ends(path: Path) -> None:
    assert others(path) == 0
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert others(path) == 1
        holder.communicate(timeout=10)
    assert others(path) == 0


def test_processes_that_end_meanwhile_disturb_nothing(path: Path) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            crowd = stack.enter_context(subprocess.Popen(["/bin/sh", "-c", "while :; do /bin/true; done"]))
            stack.callback(crowd.kill)
        assert {others(path) for _ in range(150)} == {0}
