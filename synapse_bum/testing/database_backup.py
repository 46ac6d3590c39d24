"""`DatabaseBackup`: a homeserver's database as a backup holds it, and setting the homeserver back to it."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg2  # type: ignore[import-untyped]

from synapse_bum.testing.synapse import RealSynapse

_SECONDS: Final = 120.0


class DatabaseBackup:
    """One backup: `pg_dump`'s custom format, or SQLite's own backup.

    Attributes:
        path: of the file.
    """

    def __init__(self, synapse: RealSynapse, path: Path) -> None:
        """Makes the backup; the homeserver may run.

        Args:
            synapse: whose database it is.
            path: of a file that does not exist yet.
        """
        self.path = path
        settings = synapse.config["database"]
        self._dsn: str | None = settings["args"].get("dsn")
        if self._dsn is not None:
            self._run("pg_dump", "--format=custom", "--file", str(path), "--dbname", self._dsn)
            return
        self._database = Path(settings["args"]["database"])
        with closing(sqlite3.connect(self._database)) as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)

    def restore(self) -> None:
        """Puts the backup in the place of the database; the homeserver must be stopped."""
        if self._dsn is not None:
            with closing(psycopg2.connect(self._dsn)) as connection, connection, connection.cursor() as cursor:
                cursor.execute("DROP SCHEMA public CASCADE")
                cursor.execute("CREATE SCHEMA public")
            self._run("pg_restore", "--no-owner", "--exit-on-error", "--dbname", self._dsn, str(self.path))
            return
        for name in (f"{self._database}-wal", f"{self._database}-shm"):
            Path(name).unlink(missing_ok=True)
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(self._database)) as target:
            source.backup(target)

    @staticmethod
    def _run(*command: str) -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=_SECONDS)
