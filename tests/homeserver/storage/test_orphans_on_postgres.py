"""Looking for orphans on PostgreSQL instead of SQLite: the same tests, in a process of their own."""

from pathlib import Path

import pytest

from synapse_bum.testing.postgres import RealPostgres

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_orphans.py::FoundTests::test_a_server_where_all_is_well_has_none",
    "test_orphans.py::FoundTests::test_rows_without_files_are_found_of_every_kind",
    "test_orphans.py::FoundTests::test_many_files_of_a_server_are_compared_in_parts",
    "test_orphans.py::FoundTests::test_a_file_that_is_being_deleted_is_no_row_without_a_file",
    "test_orphans_removal.py::RemovalTests::test_old_files_without_rows_are_removed_when_asked",
    "test_orphans_runs.py::RunTests::test_it_looks_once_a_week_by_itself_and_only_looks",
    "test_orphans_runs.py::RunTests::test_a_run_that_was_cut_off_is_begun_anew_and_counts_nothing_twice",
)
"""Each costs a copy of Synapse's database."""


@pytest.mark.requires("postgresql")
@pytest.mark.any_synapse
def test_our_homeserver_tests_pass_on_postgresql() -> None:
    with RealPostgres() as postgres:
        postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
