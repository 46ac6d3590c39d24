"""Exports that are ended from outside, while they wait for the audit: everything is written, and nothing published."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from synapse_bum.homeserver.database_snapshot import ReadableDatabase
from synapse_bum.testing.small_homeserver import ALICE, SmallHomeserver

SECONDS = 60.0


@pytest.fixture
def homeserver(tmp_path: Path) -> SmallHomeserver:
    folder = tmp_path / "server"
    folder.mkdir()
    server = SmallHomeserver(folder)
    server.a_file("aaaaplain", b"text")
    server.arguments["timeout"] = SECONDS
    return server


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    return folder / "alice"


def started(homeserver: SmallHomeserver, out: Path) -> subprocess.Popen[str]:
    options = ["export-user", ALICE, "-c", str(homeserver.configuration()), "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-m", "synapse_bum", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


@contextlib.contextmanager
def waiting(homeserver: SmallHomeserver, out: Path) -> Iterator[subprocess.Popen[str]]:
    """An export that has written everything and waits for the write lock, which it gets at the end."""
    with contextlib.closing(homeserver.connect()) as other, started(homeserver, out) as process:
        other.execute("BEGIN IMMEDIATE")
        end = time.monotonic() + SECONDS
        while not (out.parent / ".alice.unfinished/manifest.json").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.5)
        yield process
        other.rollback()
        process.wait(SECONDS)


def has_audit(homeserver: SmallHomeserver) -> bool:
    with ReadableDatabase(homeserver.settings).snapshot() as snapshot:
        return bool(snapshot.columns("synapse_bum_audit"))


def test_what_kill_9_leaves_is_hidden_and_the_next_export_removes_it(homeserver: SmallHomeserver, out: Path) -> None:
    with waiting(homeserver, out) as process:
        process.kill()
        process.wait(SECONDS)
        assert not out.exists()
    assert not has_audit(homeserver)
    with started(homeserver, out) as second:
        stdout, stderr = second.communicate(timeout=SECONDS)
    assert second.returncode == 0, stderr
    assert "1 of 1 files" in stdout
    assert list(out.parent.iterdir()) == [out]


def test_an_export_that_is_told_to_end_leaves_nothing(homeserver: SmallHomeserver, out: Path) -> None:
    with waiting(homeserver, out) as process:
        # SQLite waits outside of Python: the signal is seen when the lock is free.
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 143
    assert list(out.parent.iterdir()) == []
    assert not has_audit(homeserver)
