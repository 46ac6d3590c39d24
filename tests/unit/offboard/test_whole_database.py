"""What is Synapse's in a database is known from Synapse itself."""

import sqlite3
from contextlib import closing

import pytest

from synapse_bum.homeserver.offline_database import OfflineTransaction
from synapse_bum.homeserver.whole_database import Inventory, drop_all, inventory


def test_strangers_are_told_from_synapses_tables_and_ours() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            "CREATE TABLE users (a); CREATE TABLE schema_version (a); CREATE TABLE e2e_room_keys (a);"
            "CREATE TABLE synapse_bum_audit (a); CREATE VIRTUAL TABLE event_search USING fts4 (event_id, value);"
            "CREATE TABLE invoices (a); CREATE TABLE event_search_backup (a);"
        )
        found = inventory(OfflineTransaction(connection.cursor(), str), is_postgres=False)
    assert found.strangers == ("event_search_backup", "invoices")
    assert not any(name.startswith("event_search_") for name in {*found.tables} - {*found.strangers})


def test_what_a_background_update_had_in_hand_is_synapses() -> None:
    """Where Synapse is stopped before it has ended."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            "CREATE TABLE _temp_populate_user_directory_rooms (a);"
            "CREATE TABLE _temp_populate_user_directory_users (a);"
            "CREATE TABLE _temp_populate_user_directory_position (a);"
            "CREATE TABLE _temp_populate_invoices (a);"
        )
        found = inventory(OfflineTransaction(connection.cursor(), str), is_postgres=False)
    assert found.strangers == ("_temp_populate_invoices",)


def test_strangers_are_never_dropped() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        txn = OfflineTransaction(connection.cursor(), str)
        with pytest.raises(ValueError, match="nobody else's"):
            drop_all(txn, Inventory(("invoices",), (), (), ("invoices",)))
