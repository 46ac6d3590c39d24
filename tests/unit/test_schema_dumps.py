"""Upgrades from each version of our tables that was ever written, on SQLite; on PostgreSQL: tests/e2e/upgrade."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from synapse_bum.database import Dialect
from synapse_bum.testing.schema_dumps import (
    SqliteTables,
    components,
    dump_name,
    lost,
    sets_of_versions,
    survives_each_death,
    up_to,
)

pytestmark = pytest.mark.any_synapse

DUMPS = Path(__file__).resolve().parents[1] / "data" / "schema_dumps"
HOW = "run python scripts/dump_schemas.py, and commit what it writes"


def dumps_of(versions: Mapping[str, int], dialect: Dialect) -> list[str]:
    return [(DUMPS / dump_name(name, version, dialect)).read_text("utf-8") for name, version in versions.items()]


def test_each_version_has_its_dumps_and_no_dump_is_of_something_else() -> None:
    wanted = {
        dump_name(name, version, dialect)
        for name, component in components().items()
        for version in range(1, len(component.migrations) + 1)
        for dialect in Dialect
    }
    assert sorted(wanted ^ {file.name for file in DUMPS.iterdir()}) == [], HOW


@pytest.mark.parametrize("versions", sets_of_versions(), ids=lambda versions: f"up_to_{max(versions.values())}")
def test_an_upgrade_keeps_every_row_and_ends_as_a_new_database_does(versions: Mapping[str, int]) -> None:
    with closing(SqliteTables()) as old, closing(SqliteTables()) as new:
        old.load(dumps_of(versions, Dialect.SQLITE))
        before = old.rows()
        assert all(before.values())
        old.migrate(components().values())
        assert lost(before, old.rows()) == []
        new.migrate(components().values())
        assert old.shape() == new.shape()


def test_a_process_that_is_killed_after_any_statement_leaves_all_as_it_was(tmp_path: Path) -> None:
    later = {name: one for name, one in components().items() if len(one.migrations) > 1}
    with closing(SqliteTables(tmp_path / "homeserver.db")) as old, closing(SqliteTables()) as new:
        old.load(dumps_of(dict.fromkeys(later, 1), Dialect.SQLITE))
        before = old.rows()
        for component in later.values():
            # Beside its statements there are a question for the version, and its change.
            assert survives_each_death(old, component) > sum(len(step.sqlite) for step in component.migrations[1:])
        assert lost(before, old.rows()) == []
        new.migrate(later.values())
        assert old.shape() == new.shape()


@pytest.mark.parametrize("name", components())
def test_a_step_that_was_stored_is_never_changed_again(name: str) -> None:
    component = components()[name]
    for version in range(1, len(component.migrations) + 1):
        with closing(SqliteTables()) as stored, closing(SqliteTables()) as made:
            stored.load(dumps_of({name: version}, Dialect.SQLITE))
            made.migrate([up_to(component, version)])
            assert made.shape() == stored.shape(), f"version {version} was changed after it was stored: add a version"
