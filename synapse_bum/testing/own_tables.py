"""The tables of all features as their migrations make them, for tests that compare documents with them."""

import contextlib
import functools
import sqlite3
from importlib import import_module
from pathlib import Path

import synapse_bum
from synapse_bum.database import Component, Dialect
from synapse_bum.database.schema import migrate


@functools.cache
def all_components() -> tuple[Component, ...]:
    """Every component of the package, by name; imports the modules that make one."""
    package = Path(synapse_bum.__file__).parent
    found: dict[str, Component] = {}
    for path in package.rglob("*.py"):
        makes_one = "Component(" in path.read_text(encoding="utf-8")
        if makes_one and path.relative_to(package).parts[0] != "testing":
            name = ".".join(path.relative_to(package.parent).with_suffix("").parts)
            values = vars(import_module(name)).values()
            found.update({value.name: value for value in values if isinstance(value, Component)})
    return tuple(found[name] for name in sorted(found))


def own_tables() -> frozenset[str]:
    """The names of all tables of ours, made in memory."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection.cursor(), Dialect.SQLITE, all_components())
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return frozenset(name for (name,) in rows)
