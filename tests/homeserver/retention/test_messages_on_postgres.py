"""Messages on PostgreSQL instead of SQLite: the same tests, in a process of their own."""

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
@pytest.mark.any_synapse
@pytest.mark.long
def test_our_homeserver_tests_pass_on_postgresql() -> None:
    with RealPostgres() as postgres:
        postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
