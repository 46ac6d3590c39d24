"""The database of a proof goes again, whoever is busy in it."""

import contextlib
import time
from collections.abc import Iterator

import psycopg2  # type: ignore[import-untyped]
import pytest

from synapse_bum.homeserver.database_copying import PostgresDatabase, scratch_name
from synapse_bum.testing.backup_case import Cluster

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse]

NAME = scratch_name("messenger.example")
SLOW = {"autovacuum_naptime": "1s", "autovacuum_vacuum_cost_delay": "100ms", "autovacuum_vacuum_cost_limit": "1"}
ROWS = "CREATE TABLE busy WITH (autovacuum_vacuum_insert_threshold = 1) AS SELECT generate_series(1, 200000) AS n"
WORKERS = f"SELECT 1 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND datname = '{NAME}'"  # noqa: S608


@pytest.fixture
def busy(cluster: Cluster) -> Iterator[Cluster]:
    """A server that cleans at once, and slowly."""
    for setting, value in SLOW.items():
        cluster.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
    cluster.execute("SELECT pg_reload_conf()")
    try:
        yield cluster
    finally:
        for setting in SLOW:
            cluster.execute(f"ALTER SYSTEM RESET {setting}")
        cluster.execute("SELECT pg_reload_conf()")


def test_it_goes_while_the_server_cleans_it_and_somebody_is_left_in_it(busy: Cluster) -> None:
    server = PostgresDatabase.from_conninfo(busy.dsn("postgres"))
    server.create_scratch(NAME)
    with contextlib.closing(psycopg2.connect(busy.dsn(NAME))) as left:
        left.autocommit = True
        left.cursor().execute(ROWS)
        deadline = time.monotonic() + 60
        while not busy.execute(WORKERS):
            assert time.monotonic() < deadline, "nobody cleans"
            time.sleep(0.1)
        server.drop_scratch(NAME)
    assert NAME not in busy.databases()
    server.drop_scratch(NAME)
