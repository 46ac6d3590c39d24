"""What comes while the clock is behind, on PostgreSQL instead of SQLite: the same tests, in a process of their own."""

from pathlib import Path

import pytest

from synapse_bum.testing.postgres import RealPostgres

HERE = Path(__file__).parent


@pytest.mark.requires("postgresql")
@pytest.mark.any_synapse
@pytest.mark.long
def test_our_homeserver_tests_pass_on_postgresql() -> None:
    with RealPostgres() as postgres:
        postgres.assert_synapse_tests_pass([HERE / "test_clock_lags.py"])
