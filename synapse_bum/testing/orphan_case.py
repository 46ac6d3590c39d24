"""A homeserver whose files and rows may be lost to each other, and that looks for those that are."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from synapse.module_api import LoggingTransaction
from twisted.internet.defer import Deferred, ensureDeferred

from synapse_bum.config import SharedConfig, parse
from synapse_bum.database import Leases
from synapse_bum.rest import BASE, api_routes
from synapse_bum.storage.orphans import OrphansApi
from synapse_bum.storage.orphans.duty import DAY_MS
from synapse_bum.testing.deletion_case import DeletionTestCase

ORPHANS: Final = f"{BASE}/storage/orphans"
_PREVIEW: Final = (
    "INSERT INTO local_media_repository (media_id, media_type, created_ts, url_cache, media_length)"
    " VALUES ('1970-01-02_known', 'image/png', 1, 'https://example', 5)"
)


class OrphanTestCase(DeletionTestCase):
    """A homeserver with the routes of orphans and their duty.

    Attributes:
        leases: of this process.
        api: the routes, with the duty.
    """

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        """Begins a year after everything."""
        super().prepare(*reactor_clock_and_homeserver)
        self.reactor.advance(400 * DAY_MS / 1000)
        self.begin()

    def begin(self, leases: Leases | None = None) -> None:
        """Have a process begin its duty, a new one unless the leases of an earlier one are given."""
        api, database = self.hs.get_module_api(), self.module.database
        self.leases = leases or Leases(api, database)
        self.api = OrphansApi(api, database, self.leases)
        self.api.add_to(api_routes(api, parse(SharedConfig, {})))

    @property
    def now_ms(self) -> int:
        """The time of this homeserver, ms since the epoch."""
        return int(self.clock.time_msec())

    def age(self, path: Path, days: float) -> None:
        """Have a file be written so many days ago."""
        written_s = self.now_ms / 1000 - days * 86_400
        os.utime(path, (written_s, written_s), follow_symlinks=False)

    def put(self, name: str, days: float = 300, store: Path | None = None) -> Path:
        """Write five bytes into the media store, or into a copy of it."""
        path = (store or self.store) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"stray")
        self.age(path, days)
        return path

    def age_all(self, days: float = 1) -> None:
        """Have everything that is here come earlier."""
        for name in self.files():
            self.age(self.store / name, days)
        for table in ("local_media_repository", "remote_media_cache"):
            self.sql(f"UPDATE {table} SET created_ts = created_ts - ?", round(days * DAY_MS))  # noqa: S608 - one of two tables

    def sql(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read or change something in the database."""

        def run(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql, parameters)
            return list(txn.fetchall()) if sql.startswith("SELECT") else []

        found: list[tuple[Any, ...]] = self.get_success(self.module.database.run("test_sql", run))
        return found

    def ask(self, method: str, path: str = ORPHANS, token: str | None = None, **body: object) -> Any:  # noqa: ANN401 - JSON
        """Ask as the administrator, unless another token is given."""
        return self.make_request(method, path, body or b"", access_token=token or self.admin_token)

    def queue(self, *, dry_run: bool = True) -> str:
        """Ask for a run, and return its id."""
        channel = self.ask("POST", dry_run=dry_run)
        assert channel.code == HTTPStatus.ACCEPTED, channel.json_body
        run_id: str = channel.json_body["run_id"]
        return run_id

    def tick(self) -> "Deferred[None]":
        """Begin a turn of the duty."""
        return ensureDeferred(self.api.duty.tick())

    def work(self) -> None:
        """Have all runs carried out, with the clock running for their pauses."""
        turn = self.tick()
        for _ in range(400):
            if turn.called and not self.api.duty._busy:  # noqa: SLF001 - its own loop may be at it
                break
            self.reactor.advance(0.05)
        self.get_success(turn)

    def run_of(self, run_id: str) -> dict[str, Any]:
        """A run as the API shows it."""
        channel = self.ask("GET", f"{ORPHANS}/{run_id}")
        assert channel.code == HTTPStatus.OK, channel.json_body
        shown: dict[str, Any] = channel.json_body
        return shown

    def look(self, *, dry_run: bool = True) -> dict[str, Any]:
        """Ask for a run, have it carried out, and return it."""
        run_id = self.queue(dry_run=dry_run)
        self.work()
        return self.run_of(run_id)

    def lost(self, report: Mapping[str, Any]) -> dict[str, int]:
        """Rows without files by folder."""
        return {kind["folder"]: kind["rows"] for kind in report["rows_without_files"]["kinds"]}

    def stray(self, report: Mapping[str, Any]) -> dict[str, list[str]]:
        """Paths of files without rows by place."""
        found: dict[str, list[str]] = {}
        for kind in report["files_without_rows"]["kinds"]:
            found.setdefault(kind["place"], []).extend(kind["sample"])
        return {place: sorted(paths) for place, paths in found.items()}

    def add_preview(self) -> None:
        """A URL preview with a picture."""
        self.sql(_PREVIEW)
        self.sql(
            "INSERT INTO local_media_repository_thumbnails (media_id, thumbnail_width, thumbnail_height,"
            " thumbnail_type, thumbnail_method, thumbnail_length)"
            " VALUES ('1970-01-02_known', 32, 32, 'image/png', 'crop', 7)"
        )
        self.put("url_cache/1970-01-02/known")
        self.put("url_cache_thumbnails/1970-01-02/known/32-32-image-png-crop")


@contextlib.contextmanager
def unreadable(folder: Path) -> Iterator[None]:
    """Meanwhile nobody can list a folder; root could whatever its mode."""
    scandir = os.scandir

    def refuse(path: Any = ".") -> Any:  # noqa: ANN401 - as `os.scandir`
        if str(path) == str(folder):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with patch("os.scandir", refuse):
        yield
