"""Stores a dump of each version of our tables that has none yet, for the tests of upgrades.

    python scripts/dump_schemas.py

To be run after a migration was added, before it is released. Needs PostgreSQL's programs. Stored dumps are left alone.
"""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.schema_dumps import PostgresTables, SqliteTables, Tables, write_missing

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "data" / "schema_dumps"


def _empty_databases(server: RealPostgres) -> Iterator[Tables]:
    for number in count():
        yield SqliteTables()
        yield PostgresTables(server, f"dump_{number}")


def main() -> None:
    """Writes what is missing and says what it was."""
    folders = [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *folders])
    FOLDER.mkdir(parents=True, exist_ok=True)
    with RealPostgres() as server:
        for file in write_missing(FOLDER, _empty_databases(server)):
            print(f"{file.relative_to(FOLDER.parent.parent.parent)}")


if __name__ == "__main__":
    main()
