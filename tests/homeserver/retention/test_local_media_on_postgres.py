"""Purging local media on PostgreSQL instead of SQLite: the same tests, in a process of their own."""

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
@pytest.mark.long
def test_our_homeserver_tests_pass_on_postgresql() -> None:
    with RealPostgres() as postgres:
        postgres.assert_synapse_tests_pass(HERE / name for name in ON_POSTGRES)
