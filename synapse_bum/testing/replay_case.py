"""`ReplayTestCase`: a homeserver whose tables are set back to a backup while its log goes on, and then started.

Only what a test needs is set back: not the events of rooms.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Final, TypeVar
from unittest.mock import patch

from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.rest import admin
from synapse.rest.client import devices, directory, keys, login, logout, media, room, sync
from tests.server import FakeChannel

from synapse_bum.after_restore import recovery_log
from synapse_bum.antivirus.engines.engine import Clean, Infected, ScanResult
from synapse_bum.homeserver.database_pool import run_transaction
from synapse_bum.testing import malware
from synapse_bum.testing.antivirus_case import AntivirusTestCase

R = TypeVar("R")
PICTURE: Final = malware.png(64, 64)
OTHER: Final = malware.png(32, 32)
SYNAPSES: Final = (
    "users",
    "erased_users",
    "access_tokens",
    "refresh_tokens",
    "devices",
    "e2e_device_keys_json",
    "e2e_one_time_keys_json",
    "user_threepids",
    "user_external_ids",
    "registration_tokens",
    "local_current_membership",
    "sliding_sync_membership_snapshots",
    "room_aliases",
    "room_alias_servers",
    "blocked_rooms",
    "local_media_repository",
    "redactions",
)
"""Of Synapse's tables those that are set back, and all of ours."""
Backup = dict[str, tuple[int, list[tuple[Any, ...]]]]


class ReplayTestCase(AntivirusTestCase):
    """A homeserver with the recovery module and the antivirus module.

    Attributes:
        path: of the log.
    """

    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}
    servlets: ClassVar[list[Any]] = [
        one.register_servlets for one in (admin, devices, directory, keys, login, logout, media, room, sync)
    ]

    def default_config(self) -> dict[str, Any]:
        """With the recovery module and its log."""
        config = super().default_config()
        folder = Path(self.mktemp()).absolute()  # type: ignore[no-untyped-call]
        folder.mkdir()
        self.path = folder / "recovery.log"
        module = {"module": "synapse_bum.recovery.RecoveryModule", "config": {"log_path": str(self.path)}}
        config["modules"] = [*config["modules"], module]
        config["experimental_features"] = {"msc3823_account_suspension": True}
        return config

    def setUp(self) -> None:
        """Begins to tell."""
        super().setUp()
        self.infected = False
        self.engine.answer = self.scan
        self.tell()

    def scan(self, content: bytes) -> ScanResult:
        """The engine's answer."""
        return Infected("Eicar") if self.infected and content == PICTURE else Clean()

    def tell(self) -> None:
        """Let the duty write what has changed."""
        for _ in range(8):
            self.reactor.advance(2)
            self.reactor.pump([0.05] * 10)

    def run_sql(self, func: Callable[[LoggingTransaction], R]) -> R:
        """Runs a function in a transaction."""
        return self.get_success(run_transaction(self.hs.get_module_api(), "test", func))

    def backup(self) -> Backup:
        """Reads the tables."""

        def read(txn: LoggingTransaction) -> Backup:
            txn.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'synapse_bum_%'")
            names = [*SYNAPSES, *(name for (name,) in txn.fetchall())]
            tables = {}
            for name in names:
                txn.execute(f"SELECT * FROM {name}")  # noqa: S608 - names of our own
                tables[name] = (len(txn.description or ()), txn.fetchall())
            return tables

        return self.run_sql(read)

    def restore(self, backup: Backup) -> None:
        """Puts the tables back and brings them up to date, as a start does."""

        def write(txn: LoggingTransaction) -> None:
            txn.execute("PRAGMA defer_foreign_keys = ON")
            for name, (width, rows) in backup.items():
                txn.execute(f"DELETE FROM {name}")  # noqa: S608 - names of our own
                for row in rows:
                    txn.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * width)})", row)  # noqa: S608

        def run_here(_api: ModuleApi, _desc: str, func: Callable[[LoggingTransaction], R]) -> R:
            return self.run_sql(func)

        self.run_sql(write)
        log = recovery_log(self.hs.get_module_api())
        assert log.settings is not None
        here = SimpleNamespace(is_in_memory=lambda _api: False, run_before_listeners=run_here)
        with patch("synapse_bum.after_restore.log.before_listeners", here):
            log.open(log.settings)
        self.forget()

    def forget(self) -> None:
        """Empties Synapse's caches: a new process remembers nothing."""
        for name in dir(type(self.store)):
            invalidate_all = getattr(getattr(self.store, name, None), "invalidate_all", None)
            if invalidate_all is not None:
                invalidate_all()

    @property
    def store(self) -> Any:  # noqa: ANN401 - Synapse's store of all
        """Synapse's store."""
        return self.hs.get_datastores().main

    def admin_put(self, path: str, body: dict[str, Any]) -> FakeChannel:
        """Asks Synapse's admin API."""
        channel = self.make_request("PUT", f"/_synapse/admin/{path}", body, access_token=self.admin_token)
        assert channel.code == HTTPStatus.OK, channel.result
        return channel

    def admin_post(self, path: str, body: dict[str, Any]) -> FakeChannel:
        """Asks Synapse's admin API."""
        channel = self.make_request("POST", f"/_synapse/admin/{path}", body, access_token=self.admin_token)
        assert channel.code == HTTPStatus.OK, channel.result
        return channel

    def admin_delete(self, path: str, body: dict[str, Any] | None = None) -> FakeChannel:
        """Asks Synapse's admin API."""
        channel = self.make_request("DELETE", f"/_synapse/admin/{path}", body or {}, access_token=self.admin_token)
        assert channel.code == HTTPStatus.OK, channel.result
        return channel

    def one(self, sql: str, *parameters: object) -> Any:  # noqa: ANN401 - a row
        """The first row of a query."""

        def read(txn: LoggingTransaction) -> Any:  # noqa: ANN401 - a row
            txn.execute(sql, parameters)
            return txn.fetchone()

        return self.run_sql(read)

    def audited(self) -> set[str]:
        """What the audit says of replays."""
        rows = self.ask("audit?limit=1000")["audit"]
        return {row["action"] for row in rows if row["actor"] == "system:recovery"}
