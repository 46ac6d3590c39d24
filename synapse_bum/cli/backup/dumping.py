"""The database of a run: dumped, and brought back into an empty one."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.logs import logs_written
from synapse_bum.cli.backup.programs import find_program, run_program
from synapse_bum.cli.backup.stored_files import note_rows
from synapse_bum.homeserver.database_copying import PostgresDatabase, Reach, copy_sqlite
from synapse_bum.homeserver.dump_contents import SPENT_KEYS_TABLE, Contents, forget_spent_keys, read_contents
from synapse_bum.homeserver.offline_database import OfflineDatabase

_DEBIAN_PROGRAMS: Final = Path("/usr/lib/postgresql")
_VERSION: Final = re.compile(r"\s(\d+)(?:\.|\s|$|beta|rc|devel)")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Dumped:
    """A dump.

    Attributes:
        contents: what it holds.
        database_version: of the server that it comes from.
        logs_written: tables of logs outside the database to which something was written.
    """

    contents: Contents
    database_version: str
    logs_written: frozenset[str]


def dump(settings: Mapping[str, Any], target: Path, folders: Sequence[Path], rows: Path) -> Dumped:
    """Write a database into a file, as it stands at one moment. Synapse may run.

    Args:
        settings: `database` of homeserver.yaml.
        target: the file.
        folders: where files lie, for the samples.
        rows: a new file: which files there are rows for.

    Raises:
        BackupError: a program is missing or has failed.
        OfflineDatabaseError: the database can't be read.
        OSError: a file of the media store can't be read.
    """
    if settings.get("name") == "psycopg2":
        return _dump_postgres(PostgresDatabase(settings), target, folders, rows)
    copy_sqlite(settings, target)
    copy = OfflineDatabase({"name": "sqlite3", "args": {"database": str(target)}})
    with copy.transaction() as txn:
        forget_spent_keys(txn)
        txn.keep()
        note_rows(txn, rows)
        return Dumped(read_contents(txn, folders), "sqlite", logs_written(txn, is_postgres=False))


def _dump_postgres(database: PostgresDatabase, target: Path, folders: Sequence[Path], rows: Path) -> Dumped:
    with database.view() as view:
        # Before the dump: a server may end connections that are idle for long, and by then this one has done its work.
        contents = read_contents(view.txn, folders)
        note_rows(view.txn, rows)
        written = logs_written(view.txn, is_postgres=True)
        command: list[str | Path] = [
            *(_postgres_program("pg_dump", view.reach.major), "--format=custom"),
            # Restic finds what it has, and compresses: what is compressed already would be new each day.
            *("--compress=0", "--no-password", f"--snapshot={view.snapshot}"),
            # Replication belongs to the server and not to what it holds.
            *("--no-publications", "--no-subscriptions"),
            *(f"--exclude-table-data={SPENT_KEYS_TABLE}", f"--file={target}", f"--dbname={view.reach.conninfo}"),
        ]
        done = run_program(command, {**os.environ, **view.reach.environment})
        if done.status:
            raise BackupError(f"pg_dump has failed: {done.last_complaint()}")
        return Dumped(contents, str(view.reach.major), written)


def load_postgres(dump_file: Path, target: PostgresDatabase) -> None:
    """Fill an empty database from a dump: wholly, or not at all.

    Args:
        dump_file: as `dump` wrote it.
        target: an empty database.

    Raises:
        BackupError: a program is missing or has failed.
        OfflineDatabaseError: the database can't be reached, or is not empty.
    """
    reach: Reach = target.refuse_unless_empty()
    command: list[str | Path] = [
        *(_postgres_program("pg_restore", reach.major), "--single-transaction", "--exit-on-error", "--no-password"),
        *("--no-owner", "--no-privileges", f"--dbname={reach.conninfo}", dump_file),
    ]
    done = run_program(command, {**os.environ, **reach.environment})
    if done.status:
        raise BackupError(f"pg_restore has failed, the database is empty as before: {done.last_complaint()}")


def _postgres_program(name: str, major: int) -> Path:
    """Finds a program that knows a server's release: older ones refuse to work with it.

    Raises:
        BackupError: there is none.
    """
    debian = _DEBIAN_PROGRAMS / str(major) / "bin" / name
    if debian.exists():
        return debian
    package = f"postgresql-client-{major}"
    found = find_program(name, package)
    known = _VERSION.search(run_program([found, "--version"], os.environ).output)
    if known is None or int(known[1]) < major:
        raise BackupError(f"`{name}` is older than the server, which is PostgreSQL {major}: apt-get install {package}")
    return found
