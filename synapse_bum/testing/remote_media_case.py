"""A homeserver in the test's own process that has files of another server, and deletes them by age."""

import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, BinaryIO
from unittest.mock import patch

from synapse.module_api import LoggingTransaction
from tests.server import FakeChannel

from synapse_bum.database import Lease
from synapse_bum.retention.classes import Batch, Step
from synapse_bum.retention.media.remote_media import References, RemoteMediaPurger
from synapse_bum.testing import malware
from synapse_bum.testing.deletion_case import SERVER, DeletionTestCase
from synapse_bum.testing.known_references import KnownReferences

DAY_MS = 86_400_000
LIFETIME_MS = 14 * DAY_MS
PICTURE = malware.png()


class RemoteMediaTestCase(DeletionTestCase):
    """A homeserver with a purger of remote media.

    Attributes:
        purger: the purger.
        referenced: what is an avatar now: pairs of server name and media id.
        confirmed: items and bytes that the purger has confirmed in each transaction.
    """

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        """Makes the purger."""
        super().prepare(*reactor_clock_and_homeserver)
        self.referenced: set[tuple[str, str]] = set()
        self.confirmed: list[tuple[int, int]] = []
        self.lease = Lease("retention.run", float("inf"), lambda: 0)
        self.runs = 0
        self.purger = self.make_purger()

    def make_purger(self) -> RemoteMediaPurger:
        """A purger as a process makes it at its start."""
        purger = RemoteMediaPurger(
            self.module._api,  # noqa: SLF001 - the module's API is as good as one's own
            self.module.database,
            remover=self.module.remover,
            references=self.references(),
            batch_size=3,
        )
        self.pump()
        return purger

    def references(self) -> References:
        """Who knows what is an avatar."""
        return KnownReferences(self.referenced)

    @property
    def cutoff(self) -> int:
        """What came at this time or earlier is expired."""
        return int(self.clock.time_msec()) - LIFETIME_MS

    def days_pass(self, days: float) -> None:
        """Let time go by."""
        self.reactor.advance(days * DAY_MS / 1000)
        self.pump()

    def step(self, run_id: str | None = None) -> Step:
        """One step of a run."""
        return Step(run_id or f"run {self.runs}", self.cutoff, int(self.clock.time_msec()), self.lease, self._confirm)

    def _confirm(self, txn: LoggingTransaction, items: int, size_bytes: int) -> None:
        txn.call_after(self.confirmed.append, (items, size_bytes))

    def prepare_run(self, *, thorough: bool = False) -> None:
        """What a run does first."""
        self.get_success(self.purger.prepare(self.cutoff, self.lease, thorough=thorough))

    def purge(self) -> list[Batch]:
        """What a run does then; nothing is removed before the clock moves on."""
        self.runs += 1
        batches: list[Batch] = []
        while not batches or batches[-1].more:
            batches.append(self.get_success(self.purger.purge(self.step())))
            assert len(batches) < 100, "a run ends"
        return batches

    def run_purger(self, *, thorough: bool = False) -> int:
        """A whole run, and the removal of the bytes; returns how many files were deleted."""
        self.prepare_run(thorough=thorough)
        deleted = sum(batch.items for batch in self.purge())
        self.settle()
        return deleted

    def backlog(self) -> tuple[int, int, int | None]:
        """Items, bytes, and age timestamp of the oldest."""
        found = self.get_success(self.purger.backlog(self.cutoff))
        return found.items, found.size_bytes, found.oldest_ts

    @contextlib.contextmanager
    def elsewhere(self, content: bytes, content_type: str) -> Iterator[None]:
        """While entered, every file of every other server has this content; `fetched` gets the requests."""

        async def download(
            _server: str, media_id: str, output_stream: BinaryIO, *_: object, **__: object
        ) -> tuple[int, dict[bytes, list[bytes]], bytes]:
            self.fetched.append(media_id)
            output_stream.write(content)
            return len(content), {b"Content-Type": [content_type.encode()]}, b"{}"

        client = self.hs.get_federation_client()
        with (
            patch.object(client, "federation_download_media", download),
            patch.object(client, "download_media", download),
        ):
            yield

    def receive(
        self, media_id: str, content: bytes = b"from afar", content_type: str = "text/plain", server: str = SERVER
    ) -> None:
        """Have a file of another server fetched."""
        answer = self.ask(media_id, content, content_type, server)
        assert answer.code == HTTPStatus.OK, answer.result
        assert answer.result["body"] == content

    def ask(
        self, media_id: str, content: bytes = b"from afar", content_type: str = "text/plain", server: str = SERVER
    ) -> FakeChannel:
        """Ask for a file of another server, which has it."""
        with self.elsewhere(content, content_type):
            answer = self.get(f"/_matrix/client/v1/media/download/{server}/{media_id}")
        self.pump()
        return answer

    def sql(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement on the homeserver's database."""

        def run(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql, parameters)
            return list(txn.fetchall()) if sql.startswith("SELECT") else []

        found: list[tuple[Any, ...]] = self.get_success(self.module.database.run("test_sql", run))
        return found

    def row(self, media_id: str) -> tuple[Any, ...] | None:
        """`quarantined_by`, length and hash of a remote file's row; None when there is none."""
        found = self.sql(
            "SELECT quarantined_by, media_length, sha256 FROM remote_media_cache WHERE media_id = ?", media_id
        )
        return found[0] if found else None

    def index(self) -> set[str]:
        """Media ids in the index by age."""
        return {media_id for (media_id,) in self.sql("SELECT media_id FROM synapse_bum_retention_remote_media")}

    def forget_index(self) -> None:
        """As if the module had not been there so far."""
        self.sql("DELETE FROM synapse_bum_retention_remote_media")
        self.sql("UPDATE synapse_bum_retention_remote_walk SET completed_ts = NULL, media_origin = '', media_id = ''")
