"""Everything that a homeserver has in its database: whose it is, and dropping it.

What is Synapse's is read from the statements that make it, which lie in the installed Synapse. On PostgreSQL only the
connection's own schema is looked at and changed; on SQLite the whole file goes.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL 15. Sources: `synapse/storage/schema`,
`synapse/storage/prepare_database.py`; PostgreSQL's catalogues `pg_class`, `pg_proc`, `pg_depend`; SQLite's FTS4 and its
shadow tables.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attr
import synapse.storage.schema

from synapse_bum.homeserver.offline_database import OfflineTransaction

_OURS: Final = re.compile(r"synapse_bum_[a-z0-9_]+", re.ASCII)
# Made by background updates, of which one may be at work when Synapse is stopped (`TEMP_TABLE` in
# `synapse/storage/databases/main/user_directory.py`).
_OF_UPDATES: Final = re.compile(r"_temp_populate_user_directory_(rooms|users|position)", re.ASCII)
_MADE: Final = re.compile(
    r"\b(?:CREATE\s+(?:OR\s+REPLACE\s+)?(?:VIRTUAL\s+|UNLOGGED\s+)?(?:TABLE|SEQUENCE|FUNCTION|VIEW)"
    r"(?:\s+IF\s+NOT\s+EXISTS)?|RENAME\s+TO)\s+\"?([a-z0-9_]+)",
    re.ASCII | re.IGNORECASE,
)
_SCHEMA_FILES: Final = {".sql", ".postgres", ".sqlite", ".py"}
_FTS_SHADOW: Final = re.compile(
    r"(event_search|user_directory_search)_(content|segments|segdir|docsize|stat)", re.ASCII
)

# The catalogue, one schema of it; what an extension has made is not ours to judge.
_POSTGRES_RELATIONS: Final = (
    "SELECT c.relname, c.relkind::text FROM pg_class AS c INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS"
    " (SELECT 1 FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY c.relname"
)
_POSTGRES_FUNCTIONS: Final = (
    "SELECT p.proname, p.oid::regprocedure::text FROM pg_proc AS p INNER JOIN pg_namespace AS n"
    " ON n.oid = p.pronamespace WHERE n.nspname = current_schema() AND NOT EXISTS"
    " (SELECT 1 FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e') ORDER BY p.proname"
)
_OWNED_SEQUENCES: Final = (
    "SELECT c.relname FROM pg_class AS c INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " INNER JOIN pg_depend AS d ON d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0"
    " WHERE n.nspname = current_schema() AND c.relkind = 'S'"
)
_SQLITE_TABLES: Final = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
_POSTGRES_SIZE: Final = "SELECT pg_database_size(current_database())"
# The catalogues: schemas with tables, and databases of the connection's role, beside those that are used.
_OTHER_SCHEMAS: Final = (
    "SELECT DISTINCT n.nspname FROM pg_class AS c INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname <> current_schema() AND n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_'"
    " AND c.relkind IN ('r', 'p', 'm') ORDER BY n.nspname"
)
_OTHER_DATABASES: Final = (
    "SELECT d.datname FROM pg_database AS d INNER JOIN pg_roles AS r ON r.oid = d.datdba"
    " WHERE r.rolname = current_user AND d.datname <> current_database() AND NOT d.datistemplate"
    " AND d.datname <> 'postgres' ORDER BY d.datname"
)
# By the unique index of names.
_POSTGRES_PLACE: Final = "SELECT datname, oid FROM pg_database WHERE datname = current_database()"
_POSTGRES_DATABASE: Final = "SELECT count(*) FROM pg_database WHERE datname = ?"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Inventory:
    """What stands in a database, or in one schema of it.

    Attributes:
        tables: and views, without what comes and goes with another table.
        sequences: that belong to no table.
        functions: with their arguments, as DROP takes them.
        strangers: of all these, what neither Synapse nor we have made.
    """

    tables: tuple[str, ...]
    sequences: tuple[str, ...]
    functions: tuple[str, ...]
    strangers: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is there."""
        return not (self.tables or self.sequences or self.functions)


def inventory(txn: OfflineTransaction, *, is_postgres: bool) -> Inventory:
    """Look what there is.

    Args:
        txn: in a transaction.
        is_postgres: whether it is PostgreSQL, otherwise SQLite.
    """
    known = frozenset(_made_by_synapse())
    if not is_postgres:
        txn.execute(_SQLITE_TABLES)
        names = [str(name) for (name,) in txn.fetchall()]
        tables = tuple(name for name in names if not name.startswith("sqlite_") and not _FTS_SHADOW.fullmatch(name))
        return Inventory(tables, (), (), tuple(name for name in tables if not _is_known(name, known)))
    txn.execute(_OWNED_SEQUENCES)
    owned = {str(name) for (name,) in txn.fetchall()}
    txn.execute(_POSTGRES_RELATIONS)
    relations = [(str(name), str(kind)) for name, kind in txn.fetchall()]
    txn.execute(_POSTGRES_FUNCTIONS)
    functions = [(str(name), str(signature)) for name, signature in txn.fetchall()]
    tables = tuple(name for name, kind in relations if kind != "S")
    sequences = tuple(name for name, kind in relations if kind == "S" and name not in owned)
    named = [*tables, *sequences, *(name for name, _signature in functions)]
    # Views and tables of other servers are never Synapse's.
    foreign = {name for name, kind in relations if kind in {"v", "m", "f"}}
    return Inventory(
        tables,
        sequences,
        tuple(signature for _name, signature in functions),
        tuple(name for name in named if name in foreign or not _is_known(name, known)),
    )


def drop_all(txn: OfflineTransaction, found: Inventory) -> None:
    """Drops everything of an inventory of PostgreSQL, all or nothing.

    Args:
        txn: in the transaction in which it was taken.
        found: without strangers.

    Raises:
        ValueError: there are strangers.
    """
    if found.strangers:
        raise ValueError("nobody else's tables are dropped")
    if found.tables:
        # Not CASCADE: what hangs on them from another schema is somebody else's, and an error.
        txn.execute(f"DROP TABLE {', '.join(found.tables)}")
    for sequence in found.sequences:
        txn.execute(f"DROP SEQUENCE {sequence}")
    for function in found.functions:
        txn.execute(f"DROP FUNCTION {function}")


def size_of(txn: OfflineTransaction) -> int:
    """Bytes of a database of PostgreSQL, with what others have in it."""
    txn.execute(_POSTGRES_SIZE)
    row = txn.fetchone()
    return 0 if row is None else int(row[0])


def has_database(txn: OfflineTransaction, name: str) -> bool:
    """Whether the server of PostgreSQL has a database of that name."""
    txn.execute(_POSTGRES_DATABASE, (name,))
    row = txn.fetchone()
    return bool(row and row[0])


def beside(txn: OfflineTransaction) -> tuple[list[str], list[str]]:
    """What stands beside a homeserver's tables in PostgreSQL, and may be an old copy of them.

    Returns:
        Other schemas of the database that hold tables, and other databases of the same role.
    """
    txn.execute(_OTHER_SCHEMAS)
    schemas = [str(name) for (name,) in txn.fetchall()]
    txn.execute(_OTHER_DATABASES)
    return schemas, [str(name) for (name,) in txn.fetchall()]


def place_of(txn: OfflineTransaction) -> str:
    """By what a database of PostgreSQL is told from others of its server: its name, and its number, which no other has.

    Args:
        txn: in a transaction.
    """
    txn.execute(_POSTGRES_PLACE)
    row = txn.fetchone()
    return "" if row is None else f"{row[0]} ({row[1]})"


def sqlite_files(database: Path) -> list[Path]:
    """The files of a database of SQLite: itself, its log and what belongs to it."""
    return [database, *(database.with_name(database.name + end) for end in ("-wal", "-shm", "-journal"))]


def _is_known(name: str, known: frozenset[str]) -> bool:
    return name in known or any(names.fullmatch(name) for names in (_OURS, _OF_UPDATES))


def _made_by_synapse() -> Iterator[str]:
    """Every name that Synapse's own statements give to something, ever: tables of today and of old releases."""
    for folder in synapse.storage.schema.__path__:
        for path in Path(folder).rglob("*"):
            if path.suffix in _SCHEMA_FILES:
                yield from (name.lower() for name in _MADE.findall(path.read_text(encoding="utf-8")))
