"""Upgrades from each version of our tables that was ever written, on PostgreSQL; on SQLite: tests/unit."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from synapse_bum.database import Dialect
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.schema_dumps import PostgresTables, components, dump_name, lost, sets_of_versions

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse]

DUMPS = Path(__file__).resolve().parents[2] / "data" / "schema_dumps"


@pytest.fixture(scope="module")
def server() -> Iterator[RealPostgres]:
    with RealPostgres() as started:
        yield started


@pytest.mark.parametrize("versions", sets_of_versions(), ids=lambda versions: f"up_to_{max(versions.values())}")
def test_an_upgrade_keeps_every_row_and_ends_as_a_new_database_does(
    server: RealPostgres, versions: Mapping[str, int]
) -> None:
    dumps = [(DUMPS / dump_name(*one, Dialect.POSTGRES)).read_text("utf-8") for one in versions.items()]
    name = f"from_{max(versions.values())}"
    with closing(PostgresTables(server, name)) as old, closing(PostgresTables(server, f"{name}_new")) as new:
        old.load(dumps)
        before = old.rows()
        assert all(before.values())
        old.migrate(components().values())
        assert lost(before, old.rows()) == []
        new.migrate(components().values())
        assert old.shape() == new.shape()
