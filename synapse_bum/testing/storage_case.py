"""A homeserver in the test's own process with the storage module."""

import contextlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from synapse.module_api import LoggingTransaction
from tests.server import FakeChannel

from synapse_bum.rest import BASE
from synapse_bum.storage.duty import TICK_MS
from synapse_bum.testing.deletion_case import DeletionTestCase


class StorageTestCase(DeletionTestCase):
    """A homeserver with the storage module, and one that deletes; three users: an administrator, alice and bob.

    Attributes:
        storage: what stands under `config:` of the module; set by subclasses.
        begin_s: what the clock says at the start, in seconds since the epoch; set by subclasses.
    """

    storage: ClassVar[Mapping[str, Any]] = {}
    begin_s: ClassVar[float] = 0

    def default_config(self) -> dict[str, Any]:
        """Adds the module."""
        config = super().default_config()
        config["modules"].append({"module": "synapse_bum.storage.StorageModule", "config": dict(self.storage)})
        return config

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        """Sets the clock before the users are registered."""
        if self.begin_s:
            self.reactor.advance(self.begin_s)
        super().prepare(*reactor_clock_and_homeserver)

    @property
    def now_ms(self) -> int:
        """The present of the homeserver."""
        return int(self.clock.time_msec())

    def ask(self, path: str, method: str = "GET", *, token: str | None = None) -> FakeChannel:
        """Send a request to a route below `storage/`, as the administrator unless another token is given."""
        return self.make_request(
            method,
            f"{BASE}/storage/{path}",
            access_token=token or self.admin_token,
            shorthand=False,
        )

    def answer(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """What a route below `storage/` says."""
        channel = self.ask(path)
        assert channel.code == HTTPStatus.OK, channel.json_body
        return channel.json_body

    def queue_recount(self) -> str:
        """Ask for a recount, and return its id."""
        channel = self.ask("recount", "POST")
        assert channel.code == HTTPStatus.ACCEPTED, channel.json_body
        return str(channel.json_body["run_id"])

    def recount(self) -> dict[str, Any]:
        """Have all counted anew, and return the recount."""
        run_id = self.queue_recount()
        self.advance(2 * TICK_MS / 1000)
        found: dict[str, Any] = self.answer(f"recount/{run_id}")
        return found

    def advance(self, seconds: float, *, step: float = 300) -> None:
        """Let time pass in steps that looping duties follow."""
        end = self.reactor.seconds() + seconds
        while self.reactor.seconds() < end:
            self.reactor.advance(min(step, end - self.reactor.seconds()))
            self.pump()

    @contextlib.contextmanager
    def counts_fail(self) -> Iterator[None]:
        """Meanwhile each count fails, at its very last statements."""
        self.execute("ALTER TABLE synapse_bum_storage_alerts RENAME TO synapse_bum_storage_alerts_away")
        yield
        self.execute("ALTER TABLE synapse_bum_storage_alerts_away RENAME TO synapse_bum_storage_alerts")

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read something from the database."""

        def read(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql, parameters)
            return [tuple(row) for row in txn.fetchall()]

        pool = self.hs.get_datastores().main.db_pool
        found: list[tuple[Any, ...]] = self.get_success(pool.runInteraction("test", read))
        return found

    def execute(self, sql: str, *parameters: object) -> None:
        """Change something in the database past everybody."""
        pool = self.hs.get_datastores().main.db_pool
        self.get_success(pool.runInteraction("test", lambda txn: txn.execute(sql, parameters)))

    def summed(self) -> dict[str, int]:
        """What Synapse's tables say, asked independently."""
        tables = {
            "local_bytes": ("local_media_repository",),
            "remote_bytes": ("remote_media_cache",),
            "thumbnail_bytes": ("local_media_repository_thumbnails", "remote_media_cache_thumbnails"),
        }
        return {kind: sum(map(self._bytes_in, names)) for kind, names in tables.items()}

    def _bytes_in(self, table: str) -> int:
        column = "thumbnail_length" if table.endswith("_thumbnails") else "media_length"
        ((size_bytes,),) = self.rows(f"SELECT COALESCE(SUM({column}), 0) FROM {table}")  # noqa: S608 - our own names
        return int(size_bytes)

    def on_disk(self) -> int:
        """Bytes of all files in the media store."""
        return sum(path.stat().st_size for path in self.store.rglob("*") if path.is_file())
