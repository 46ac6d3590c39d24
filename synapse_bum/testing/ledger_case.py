"""A homeserver in the test's own process that keeps an account of what is stored."""

from http import HTTPStatus
from typing import Any

from synapse.module_api import LoggingTransaction
from tests.server import FakeChannel

from synapse_bum.database import Database
from synapse_bum.storage import ledger
from synapse_bum.storage.ledger import Recounted
from synapse_bum.storage.usage import Stored, UserStored
from synapse_bum.testing import malware
from synapse_bum.testing.deletion_case import DeletionTestCase
from synapse_bum.testing.stored_sums import stored_by_user, stored_in_all

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
PICTURE = malware.png()


class LedgerTestCase(DeletionTestCase):
    """A homeserver with a ledger, which is brought up to date when a test says so.

    Attributes:
        database: with the tables of the ledger.
    """

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        """Has changes noted from the start."""
        super().prepare(*reactor_clock_and_homeserver)
        self.api = self.hs.get_module_api()
        self.database = Database(self.api)
        ledger.watch_changes(self.api, self.database)
        self.pump()

    @property
    def now_ms(self) -> int:
        """The present of the homeserver."""
        return int(self.clock.time_msec())

    def minutes_pass(self, minutes: float) -> None:
        """Let time go by."""
        self.reactor.advance(minutes * 60)
        self.pump()

    def update(self) -> Stored:
        """Bring the ledger up to date, and see that it is right."""
        run = self.database.run_on_snapshot("update", self._update)
        stored: Stored = self.get_success(run)
        self.assert_right(stored)
        return stored

    def _update(self, txn: LoggingTransaction) -> Stored:
        return ledger.advance(self.api, txn, self.now_ms)

    def recount(self) -> Recounted:
        """Count all anew, and see that it is right."""
        run = self.database.run_on_snapshot("recount", lambda txn: ledger.recount(self.api, txn, self.now_ms))
        recounted: Recounted = self.get_success(run)
        self.assert_right(recounted.stored)
        return recounted

    def assert_right(self, stored: Stored) -> None:
        """Compare with what Synapse's tables say, row by row, in all and by uploader."""
        assert stored == stored_in_all(self.rows)
        users = {user_id: user for user_id, user in stored_by_user(self.rows).items() if user_id}
        for user_id in {self.alice, self.bob, *users}:
            found = self.get_success(self.database.run("user", ledger.user_bytes, user_id))
            assert found == users.get(user_id, UserStored(user_id))

    def assert_no_drift(self) -> None:
        """Count all anew and see that nothing had to be corrected."""
        assert self.recount().drift_bytes == {"local": 0, "remote": 0, "thumbnails": 0}

    def old_upload(self, content: bytes = PICTURE, *, token: str | None = None) -> str:
        """Upload as alice, unless another token is given, have it settle in the ledger, and return the mxc URI."""
        mxc = self.upload(content, token=token)
        self.minutes_pass(30)
        self.update()
        return mxc

    def old_copy(self, media_id: str = "afar", content: bytes = b"from afar") -> None:
        """Fetch a file of another server and have it settle in the ledger."""
        assert self.fetch(media_id, content).code == HTTPStatus.OK
        self.minutes_pass(30)
        self.update()

    def as_admin(self, method: str, path: str, content: dict[str, Any] | bytes = b"") -> FakeChannel:
        """Ask Synapse's admin API."""
        channel = self.make_request(method, path, content, access_token=self.admin_token)
        assert channel.code == HTTPStatus.OK, channel.json_body
        self.pump()
        return channel

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read something from the database."""

        def read(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql, parameters)
            return [tuple(row) for row in txn.fetchall()]

        found: list[tuple[Any, ...]] = self.get_success(self.database.run("test", read))
        return found

    def execute(self, sql: str, *parameters: object) -> None:
        """Change something in the database past everybody."""
        self.get_success(self.database.run("test", lambda txn: txn.execute(sql, parameters)))
