"""`StoppedServer`: the folder of a homeserver that was used and stopped, for tests of `synapse-bum offboard`."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from synapse_bum.testing.synapse import RealSynapse

FIRST: Final = "Anna Amt"
SECOND: Final = "Berta Betrieb"
_DAY_MS: Final = 86_400_000
_MODULES: Final = (
    ("synapse_bum.retention.RetentionModule", "deletion_log_path", "deletions.log"),
    ("synapse_bum.recovery.RecoveryModule", "log_path", "recovery.log"),
)


def modules(folder: Path) -> list[dict[str, Any]]:
    """Modules with logs in a folder, and a federation."""
    logging: list[dict[str, Any]] = [
        {"module": module, "config": {key: str(folder / name)}} for module, key, name in _MODULES
    ]
    return [*logging, {"module": "synapse_bum.federation.FederationModule", "config": {}}]


class StoppedServer:
    """A homeserver on SQLite that does not run, in a folder of its own, and the order to end its contract.

    Attributes:
        folder: of the homeserver.
        journal: of the order, outside of that folder.
        server_name: of the homeserver.
    """

    def __init__(self, synapse: RealSynapse, folder: Path, main: Callable[[Sequence[str]], int]) -> None:
        """Copy a homeserver.

        Args:
            synapse: stopped.
            folder: empty, for everything.
            main: runs `synapse-bum` with some arguments.
        """
        self._main = main
        self.server_name = synapse.server_name
        self.folder = folder / "server"
        self.journal = folder / "orders" / "journal.json"
        self.journal.parent.mkdir()
        shutil.copytree(synapse.directory, self.folder, ignore=shutil.ignore_patterns("modules", "output.log"))
        for name in ("homeserver.yaml", "log.yaml"):
            path = self.folder / name
            path.write_text(path.read_text().replace(str(synapse.directory), str(self.folder)))

    @property
    def config_path(self) -> Path:
        """homeserver.yaml."""
        return self.folder / "homeserver.yaml"

    @property
    def media(self) -> Path:
        """The media store."""
        return self.folder / "media_store"

    @property
    def report(self) -> Path:
        """The signed report."""
        return self.journal.with_name("journal.json.report.json")

    def configure(self, **sections: object) -> None:
        """Changes homeserver.yaml."""
        config = json.loads(self.config_path.read_text())
        self.config_path.write_text(json.dumps({**config, **sections}))

    def offboard(self, stage: str, by: str, *more: str | Path, confirm: str | None = None) -> int:
        """Runs the command; returns its status."""
        where = ("-c", str(self.config_path), "--journal", str(self.journal))
        who = ("--stage", stage, "--by", by, "--confirm", confirm or self.server_name)
        return self._main(["offboard", *where, *who, *map(str, more)])

    def close(self, *more: str) -> int:
        """Closes it."""
        return self.offboard("close", FIRST, *more)

    def erase(self, *more: str | Path) -> int:
        """Erases it; there are no backups, and nobody wants the data."""
        work = ("--work-dir", self.journal.with_name("work"))
        return self.offboard("erase", SECOND, "--no-backups", "--return-declined", *work, *more)

    def look_and_erase(self) -> int:
        """Erases it after a look."""
        return self.erase("--dry-run") or self.erase()

    def check_report(self, *more: str) -> int:
        """Checks the report; returns the status, which is 0 only where the server's public key is named."""
        return self._main(["offboard", "--check-report", str(self.report), *more])

    def order(self) -> dict[str, Any]:
        """What the journal holds."""
        found: dict[str, Any] = json.loads(self.journal.read_text())
        return found

    def markers(self) -> list[tuple[Any, ...]]:
        """What the database says of the closing, at most one: its id, when, by whom, for how many days."""
        return self.rows("SELECT closing_id, closed_ts, closed_by, grace_days FROM synapse_bum_contract_end")

    def pass_days(self, days: int = 31) -> None:
        """Makes the closing some days older, in the database and in the journal."""
        self.execute("UPDATE synapse_bum_contract_end SET closed_ts = closed_ts - ?", days * _DAY_MS)
        journal = self.order()
        if journal["closed_ts"] is not None:
            journal["closed_ts"] -= days * _DAY_MS
        self.journal.write_text(json.dumps(journal))

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with closing(sqlite3.connect(self.folder / "homeserver.db")) as connection:
            return connection.execute(query, parameters).fetchall()

    def execute(self, statement: str, *parameters: object) -> None:
        """Changes the database."""
        with closing(sqlite3.connect(self.folder / "homeserver.db")) as connection, connection:
            connection.execute(statement, parameters)

    def files(self) -> dict[str, str]:
        """All files and links of the folder, by path; what they hold, hashed."""
        return {
            str(path.relative_to(self.folder)): (path.is_symlink() and "link") or sha256(path.read_bytes()).hexdigest()
            for path in self.folder.rglob("*")
            if path.is_symlink() or path.is_file()
        }
