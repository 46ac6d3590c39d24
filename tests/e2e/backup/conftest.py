"""One homeserver for all tests of backups: they only read it."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from synapse_bum.cli import main
from synapse_bum.testing.backup_case import Backups, Cluster, InUse
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.synapse import RealSynapse


@pytest.fixture(scope="session")
def in_use() -> Iterator[InUse]:
    with RealSynapse() as synapse:
        yield InUse.begin(synapse)


@pytest.fixture
def backups(in_use: InUse, tmp_path: Path) -> Backups:
    return Backups(in_use.synapse.directory / "homeserver.yaml", tmp_path, main)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with RealPostgres() as server:
        yield Cluster.begin(server)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    # Not below pytest's folder: in its way of clearing up nothing may be mounted, were it left over.
    with tempfile.TemporaryDirectory(prefix="bum-small-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "none", folder], check=True)  # noqa: S607 - on PATH
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)  # noqa: S607 - on PATH
