"""Purging local media on PostgreSQL instead of SQLite: the same tests, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from synapse_bum.testing.postgres import RealPostgres

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_local_media.py",
    "test_protected_media.py::KindTests",
    "test_protected_media.py::DuringARunTests",
    "test_protected_media.py::RebuildTests::test_it_is_read_page_by_page",
    "test_protected_media.py::RebuildTests::test_a_gap_in_the_stream_of_changes_has_it_read_anew",
    "test_protected_media.py::RemoteTests",
)
"""Tests whose SQL PostgreSQL might take differently; each costs a copy of Synapse's database."""


@pytest.mark.requires("postgresql")
def test_our_homeserver_tests_pass_on_postgresql() -> None:
    """Synapse's test cases choose their database by variables when they are imported, so they need a process."""
    with RealPostgres() as postgres:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                *(str(HERE / name) for name in ON_POSTGRES),
            ],
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
