"""Remote media by age on PostgreSQL instead of SQLite: the same tests, in a process of their own."""

from pathlib import Path

import pytest

from synapse_bum.testing.postgres import RealPostgres

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_remote_media.py",
    "test_remote_media_index.py",
    "test_remote_media_with_antivirus.py",
    "test_stray_files.py",
)


@pytest.mark.requires("postgresql")
@pytest.mark.any_synapse
@pytest.mark.long
def test_our_homeserver_tests_pass_on_postgresql() -> None:
    with RealPostgres() as postgres:
        postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
