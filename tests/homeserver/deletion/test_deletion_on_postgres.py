"""Planning and removing on PostgreSQL instead of SQLite: the same tests, in a process of their own."""

from pathlib import Path

import pytest

from synapse_bum.testing.postgres import RealPostgres

HERE = Path(__file__).parent
ON_POSTGRES = (
    "test_hiding.py::PlanTests::test_the_same_bytes_can_be_uploaded_again_by_somebody",
    "test_hiding.py::PlanTests::test_what_a_moderator_releases_meanwhile_is_hidden_again_before_it_is_removed",
    "test_hiding.py::PlanTests::test_a_second_plan_changes_nothing",
    "test_hiding.py::PlanTests::test_a_hold_on_a_room_wins",
    "test_hiding.py::PlanTests::test_a_plan_that_is_rolled_back_leaves_everything_as_it_was",
    "test_removal.py::RemovalTests::test_nothing_is_left_of_an_upload",
    "test_removal.py::RemovalTests::test_a_thumbnail_that_synapse_finishes_meanwhile_goes_too",
    "test_removal.py::RemovalTests::test_of_two_processes_that_end_the_same_deletion_one_counts_it",
    "test_removal.py::RemovalTests::test_a_crash_at_any_step_is_made_good",
    "test_removal.py::RemovalTests::test_a_file_system_that_refuses_is_said_once_and_asked_again",
    "test_removal.py::RemovalTests::test_a_remote_file_is_dropped_and_can_be_fetched_again",
    "test_removal.py::RemovalTests::test_a_tombstone_is_never_fetched_again",
    "test_removal.py::UrlPreviewTests",
    "test_batches.py::PlanManyTests",
    "test_batches.py::RemoveManyTests::test_more_files_than_a_batch_holds_are_removed_in_one_turn_and_logged_together",
    "test_batches.py::KeepingTests",
)
"""Tests whose SQL or locks PostgreSQL might take differently; each costs a copy of Synapse's database."""


@pytest.mark.requires("postgresql")
@pytest.mark.long
def test_our_homeserver_tests_pass_on_postgresql() -> None:
    with RealPostgres() as postgres:
        postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
