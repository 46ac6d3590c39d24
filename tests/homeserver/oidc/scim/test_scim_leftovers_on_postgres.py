"""What leavers leave behind, on a real PostgreSQL: compared rows, and other processes that have to be told."""

from pathlib import Path

import pytest

from synapse_bum.testing.postgres import RealPostgres

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse]

HERE = Path(__file__).parent
ON_POSTGRES = (
    HERE / "test_scim_leftovers.py",
    HERE.parent / "test_people_retention.py",
)


def test_homeserver_tests_pass_on_postgres() -> None:
    with RealPostgres() as postgres:
        postgres.assert_synapse_tests_pass(ON_POSTGRES)
