"""The queries of the handbook on PostgreSQL instead of SQLite, in a process of their own."""

from pathlib import Path

import pytest

from synapse_bum.testing.postgres import RealPostgres

HERE = Path(__file__).parent


@pytest.mark.requires("postgresql")
@pytest.mark.any_synapse
def test_they_give_the_same_on_postgresql() -> None:
    with RealPostgres() as postgres:
        postgres.assert_synapse_tests_pass([HERE / "test_storage_handbook.py"])
