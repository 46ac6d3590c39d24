"""Messages on PostgreSQL instead of SQLite: the same tests, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from synapse_bum.testing.postgres import RealPostgres

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_messages.py",
    "test_messages_under_hold.py",
    "test_messages_faults.py",
    "test_messages_that_resist.py",
)


@pytest.mark.requires("postgresql")
@pytest.mark.parametrize("name", ON_POSTGRES)
def test_our_homeserver_tests_pass_on_postgresql(name: str) -> None:
    """Synapse's test cases choose their database by variables when they are imported, so they need a process."""
    with RealPostgres() as postgres:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / name)],
            env={**os.environ, **postgres.synapse_tests_environment()},
            cwd=HERE,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
