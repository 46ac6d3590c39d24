"""A homeserver in the test's own process with a deletion log, whose tables can be set back to a backup."""

import json
import shutil
from pathlib import Path
from typing import Any, TypeAlias

from prometheus_client import REGISTRY
from synapse.module_api import LoggingTransaction

from synapse_bum.database import Leases
from synapse_bum.deletion import Deletion, keep_deletion_log
from synapse_bum.deletion.deletion_log import TICK_MS, DeletionLog
from synapse_bum.deletion.remover import YOUNG_MS
from synapse_bum.testing import malware
from synapse_bum.testing.deletion_case import DeletionTestCase

PICTURE = malware.png()
LOGGER = "synapse_bum.deletion.deletion_log"
TABLES = (
    "local_media_repository",
    "local_media_repository_thumbnails",
    "remote_media_cache",
    "synapse_bum_deletions",
    "synapse_bum_deletion_log",
    "synapse_bum_deletion_held",
)
Backup: TypeAlias = dict[str, tuple[list[str], list[tuple[Any, ...]]]]


class LogTestCase(DeletionTestCase):
    """A homeserver with a deletion log.

    Attributes:
        path: of the log.
        log: the duty.
        replayed: what was deleted again.
    """

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        """Starts the duty."""
        super().prepare(*reactor_clock_and_homeserver)
        folder = Path(self.mktemp())  # type: ignore[no-untyped-call]
        folder.mkdir()
        self.path = folder / "deletions.jsonl"
        self.replayed: list[Deletion] = []
        self.log = self.new_process()

    def new_process(self, **more: Any) -> DeletionLog:  # noqa: ANN401 - further arguments
        """The duty of another process, or of this one after its start."""
        api, database = self.hs.get_module_api(), self.module.database
        log = keep_deletion_log(
            api,
            database,
            Leases(api, database),
            str(self.path),
            on_replayed=lambda _txn, planned: self.replayed.extend(planned),
            **more,
        )
        assert log is not None
        return log

    def lines(self) -> list[dict[str, Any]]:
        """What stands in the log, after the duty has had its turn."""
        self.turn(TICK_MS)
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_bytes().splitlines() if line]

    def failing(self) -> float | None:
        """The metric of a log that can't be written."""
        return REGISTRY.get_sample_value("synapse_bum_deletion_log_failing")

    def old_upload(self) -> str:
        """A file that needs no time to settle."""
        mxc = self.upload(PICTURE)
        self.reactor.advance(YOUNG_MS / 1000)
        return mxc

    def backup(self) -> Backup:
        """Keep our tables, Synapse's and the media store."""
        shutil.rmtree(f"{self.store}.backup", ignore_errors=True)
        shutil.copytree(self.store, f"{self.store}.backup")

        def read(txn: LoggingTransaction) -> Backup:
            kept: Backup = {}
            for table in TABLES:
                txn.execute(f"SELECT * FROM {table}")  # noqa: S608 - fixed names
                assert txn.description is not None
                kept[table] = [column[0] for column in txn.description], list(txn.fetchall())
            return kept

        kept: Backup = self.get_success(self.module.database.run("test", read))
        return kept

    def restore(self, backup: Backup) -> None:
        """Put them back, and begin as a process that has just started."""
        shutil.rmtree(self.store)
        shutil.copytree(f"{self.store}.backup", self.store)

        def write(txn: LoggingTransaction) -> None:
            for table, (columns, rows) in backup.items():
                txn.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names
                for row in rows:
                    places = ", ".join("?" * len(columns))
                    txn.execute(
                        f"INSERT INTO {table} ({', '.join(columns)})"
                        f" {'OVERRIDING SYSTEM VALUE ' * (table == 'synapse_bum_deletions' and self.on_postgres)}"
                        f"VALUES ({places})",
                        row,
                    )

        self.get_success(self.module.database.run("test", write))
        self.log._is_up_to_date = False  # noqa: SLF001 - as of a process that has just started

    @property
    def on_postgres(self) -> bool:
        """Whether the database is PostgreSQL."""
        return "Postgres" in type(self.hs.get_datastores().main.db_pool.engine).__name__
