"""The storage module on PostgreSQL instead of SQLite: the same tests, in a process of their own."""

from pathlib import Path

import pytest

from synapse_bum.testing.postgres import RealPostgres

HERE = Path(__file__).parent
SETTINGS = "test_storage_wiring_settings.py"
ON_POSTGRES = (
    "test_storage_module.py::TestUsage",
    "test_storage_module.py::TestInvoice",
    "test_storage_wiring_duty.py::TestClock",
    "test_storage_wiring_duty.py::TestFailedCounts",
    "test_storage_wiring_duty.py::TestRecounts",
    # What the others of this file show has nothing to do with the database.
    *(f"{SETTINGS}::{case}" for case in ("TestLimit", "TestAlerts", "TestCounts", "TestEndAndMean", "TestXRechnung")),
)


@pytest.mark.requires("postgresql")
@pytest.mark.any_synapse
@pytest.mark.long
def test_our_homeserver_tests_pass_on_postgresql() -> None:
    with RealPostgres() as postgres:
        postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
