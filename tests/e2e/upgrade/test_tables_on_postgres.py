"""Upgrades from each version of our tables that was ever written, on PostgreSQL; on SQLite: tests/unit."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from synapse_bum.database import Dialect
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.schema_dumps import (
    PostgresTables,
    components,
    dump_name,
    lost,
    sets_of_versions,
    survives_each_death,
)

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


def test_a_process_that_is_killed_after_any_statement_leaves_all_as_it_was(server: RealPostgres) -> None:
    later = {name: one for name, one in components().items() if len(one.migrations) > 1}
    dumps = [(DUMPS / dump_name(name, 1, Dialect.POSTGRES)).read_text("utf-8") for name in later]
    with closing(PostgresTables(server, "killed")) as old, closing(PostgresTables(server, "never_killed")) as new:
        old.load(dumps)
        before = old.rows()
        for component in later.values():
            # Beside its statements there are a question for the version, and its change.
            assert survives_each_death(old, component) > sum(len(step.postgres) for step in component.migrations[1:])
        assert lost(before, old.rows()) == []
        new.migrate(later.values())
        assert old.shape() == new.shape()
