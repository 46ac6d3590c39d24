"""A homeserver in the test's own process whose local media is purged by age, batch by batch."""

import json
from collections.abc import Collection
from http import HTTPStatus
from typing import Any, ClassVar, Final

from synapse.module_api import LoggingTransaction
from synapse.rest.client import account_data, profile

from synapse_bum.database import Lease, Leases
from synapse_bum.deletion import Hold, put_hold
from synapse_bum.retention.classes import Batch, Step
from synapse_bum.retention.config import ProtectConfig
from synapse_bum.retention.media.local_media import LocalMediaPurger
from synapse_bum.retention.media.protected import ProtectedMedia
from synapse_bum.testing import malware
from synapse_bum.testing.deletion_case import DeletionTestCase

DAY_MS: Final = 86_400_000
LIFETIME_MS: Final = 90 * DAY_MS
PICTURE: Final = malware.png()


class LocalMediaTestCase(DeletionTestCase):
    """Files live for 90 days.

    Attributes:
        rules: what protects files; set by subclasses.
        batch_size: files in one batch; set by subclasses.
    """

    rules: ClassVar[ProtectConfig] = ProtectConfig(avatars=True, image_packs=True, max_bytes_per_user=10 << 20)
    batch_size: ClassVar[int] = 200
    servlets: ClassVar[list[Any]] = [
        *DeletionTestCase.servlets,
        account_data.register_servlets,
        profile.register_servlets,
    ]

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - as in the class above
        """Makes the purger, takes the lease and counts nothing yet."""
        super().prepare(*reactor_clock_and_homeserver)
        self.confirmed: list[tuple[int, int]] = []
        self.protected, self.purger = self.new_purger()
        leases = Leases(self.hs.get_module_api(), self.module.database)
        lease = self.get_success(leases.acquire("retention.run", 10**9))
        assert lease is not None
        self.lease: Lease = lease

    def new_purger(self, rules: ProtectConfig | None = None) -> tuple[ProtectedMedia, LocalMediaPurger]:
        """What a process has after its start."""
        api, database = self.hs.get_module_api(), self.module.database
        protected = ProtectedMedia(api, database, rules or self.rules)
        purger = LocalMediaPurger(
            api, database, remover=self.module.remover, protected=protected, batch_size=self.batch_size
        )
        return protected, purger

    @property
    def now_ms(self) -> int:
        """The present of the homeserver."""
        return self.clock.time_msec()

    @property
    def cutoff_ts(self) -> int:
        """What was uploaded then or earlier is expired."""
        return self.now_ms - LIFETIME_MS

    def an_old_file(self, days: int = 150, *, token: str | None = None, content: bytes = PICTURE) -> str:
        """Upload a file as alice, unless another token is given, make it older, and return its mxc URI."""
        mxc = self.upload(content, token=token)
        self.execute(
            "UPDATE local_media_repository SET created_ts = created_ts - ? WHERE media_id = ?",
            days * DAY_MS,
            mxc.rpartition("/")[2],
        )
        return mxc

    def execute(self, sql: str, *parameters: object) -> None:
        """Change something in the database, as somebody else does."""
        self.in_transaction(lambda txn: txn.execute(sql, parameters))

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read something from the database."""

        def read(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql, parameters)
            return [tuple(row) for row in txn.fetchall()]

        found: list[tuple[Any, ...]] = self.in_transaction(read)
        return found

    def in_transaction(self, func: Any, *args: object) -> Any:  # noqa: ANN401 - what the function takes and returns
        """Run a function in a transaction."""
        return self.get_success(self.module.database.run("test", func, *args))

    def step(self, run_id: str = "run") -> Step:
        """What a run hands to the purger."""

        def confirm(txn: LoggingTransaction, items: int, size_bytes: int) -> None:
            txn.call_after(self.confirmed.append, (items, size_bytes))

        return Step(run_id, self.cutoff_ts, self.now_ms, self.lease, confirm)

    def get_ready(self, *, thorough: bool = False) -> None:
        """What a run does before its batches."""
        self.get_success(self.purger.prepare(self.cutoff_ts, self.lease, thorough=thorough))

    def batch(self, run_id: str = "run") -> Batch:
        """One batch."""
        batch: Batch = self.get_success(self.purger.purge(self.step(run_id)))
        return batch

    def purge(self, run_id: str = "run") -> int:
        """A whole run, and the number of files that it has deleted."""
        self.get_ready()
        return self.purge_on(run_id)

    def purge_on(self, run_id: str = "run") -> int:
        """The batches of a run, and the number of files that they have deleted."""
        items = 0
        for _ in range(1_000):
            batch = self.batch(run_id)
            items += batch.items
            if not batch.more:
                return items
        raise AssertionError("the run does not end")

    def left(self, mxcs: Collection[str]) -> list[str]:
        """Which of some files are still served, in their order."""
        return [mxc for mxc in mxcs if self.download(mxc).code == HTTPStatus.OK]

    def hold(self, target: str, days: int = 365) -> None:
        """Put a hold on a user or a room."""
        self.in_transaction(put_hold, Hold(target, "court order", self.now_ms + days * DAY_MS, self.admin, self.now_ms))

    def put(self, path: str, content: dict[str, Any], token: str | None = None) -> None:
        """PUT as alice, unless another token is given."""
        channel = self.make_request("PUT", path, content, access_token=token or self.alice_token)
        assert channel.code == HTTPStatus.OK, channel.json_body

    def set_avatar(self, mxc: str, user_id: str | None = None, token: str | None = None) -> None:
        """Change the avatar of alice, unless another user is given."""
        self.put(f"/_matrix/client/v3/profile/{user_id or self.alice}/avatar_url", {"avatar_url": mxc}, token)

    def set_account_data(self, data_type: str, content: dict[str, Any]) -> None:
        """Write account data as alice."""
        self.put(f"/_matrix/client/v3/user/{self.alice}/account_data/{data_type}", content)

    def protection(self) -> list[tuple[Any, ...]]:
        """What stands in the table: kind, user, server, media id, and whether it protects."""
        return self.rows(
            "SELECT kind, user_id, server_name, media_id, protects FROM synapse_bum_retention_protected"
            " ORDER BY kind, user_id, server_name, media_id"
        )

    def audited(self) -> list[tuple[str, Any]]:
        """Targets and contents of the audit rows about batches."""
        rows = self.rows("SELECT target, new FROM synapse_bum_audit WHERE action = 'retention.purge' ORDER BY id")
        return [(target, json.loads(new)) for target, new in rows]
