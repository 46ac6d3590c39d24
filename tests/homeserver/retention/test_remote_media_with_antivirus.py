"""Remote media by age beside the antivirus, which puts itself into the same methods of Synapse."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.database import Lease
from synapse_bum.homeserver.media_deletion import TOMBSTONE_MARKER
from synapse_bum.retention.classes import Step
from synapse_bum.testing import malware
from synapse_bum.testing.antivirus_case import MODULE, AntivirusTestCase
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.purging_module import PurgingConfig, PurgingModule
from synapse_bum.testing.remote_media import elsewhere

ANTIVIRUS: Mapping[str, Any] = {"module": MODULE, "config": {"max_scan_size": "2M", "require_scan": True}}
PURGING: Mapping[str, Any] = {"module": "synapse_bum.testing.purging_module.PurgingModule", "config": {}}
DAY_S = 86_400


class AntivirusFirstTests(AntivirusTestCase):
    """The antivirus is loaded before us."""

    server: ClassVar[Mapping[str, Any]] = {"modules": [ANTIVIRUS, PURGING]}

    def setUp(self) -> None:
        self.fetched: list[str] = []
        self.purging: list[PurgingModule] = []
        remember = PurgingModule.__init__

        def init(module: PurgingModule, config: PurgingConfig, api: Any) -> None:  # noqa: ANN401 - the module API
            self.purging.append(module)
            remember(module, config, api)

        patched = patch.object(PurgingModule, "__init__", init)
        patched.start()
        self.addCleanup(patched.stop)
        super().setUp()

    def index(self) -> list[tuple[str]]:
        def read(txn: LoggingTransaction) -> list[tuple[str]]:
            txn.execute("SELECT media_id FROM synapse_bum_retention_remote_media ORDER BY media_id")
            return list(txn.fetchall())

        found: list[tuple[str]] = self.get_success(self.purging[0].purger._database.run("read", read))
        return found

    def purge(self) -> int:
        now_ms = int(self.clock.time_msec())
        step = Step("run", now_ms - 14 * DAY_S * 1000, now_ms, Lease("run", float("inf"), lambda: 0), lambda *_: None)
        deleted = self.get_success(self.purging[0].purger.purge(step)).items
        self.settle()
        return int(deleted)

    def quarantined_by(self, media_id: str) -> str | None:
        row = self.get_success(self.hs.get_datastores().main.get_cached_remote_media("remote.example", media_id))
        return None if row is None else str(row.quarantined_by)

    def test_clean_held_and_blocked_files_are_noted_when_they_come_and_go_when_they_are_old(self) -> None:
        held = encrypted(malware.png()).ciphertext
        with elsewhere(self.hs, malware.png(), self.fetched):
            assert self.download("mxc://remote.example/clean").code == HTTPStatus.OK
        with elsewhere(self.hs, held, self.fetched):
            assert self.download("mxc://remote.example/held").code == HTTPStatus.NOT_FOUND
        self.settle()
        assert self.index() == [("clean",), ("held",)], "without a walk"
        self.reactor.advance(15 * DAY_S)
        self.settle()
        assert self.purge() == 2
        self.fetched.clear()
        with elsewhere(self.hs, malware.png(), self.fetched):
            for media_id in ("clean", "held"):
                assert self.quarantined_by(media_id) == TOMBSTONE_MARKER
                assert self.download(f"mxc://remote.example/{media_id}").code == HTTPStatus.NOT_FOUND
        assert self.fetched == []
        assert self.stored_files() == []

    def test_the_antivirus_still_refuses(self) -> None:
        with elsewhere(self.hs, EICAR, self.fetched):
            assert self.download("mxc://remote.example/bad").code == HTTPStatus.NOT_FOUND
            assert self.download("mxc://remote.example/bad").code == HTTPStatus.NOT_FOUND
        assert self.fetched == ["bad"]
        self.reactor.advance(15 * DAY_S)
        self.settle()
        assert self.purge() == 0
        assert self.index() == []


class AntivirusLastTests(AntivirusFirstTests):
    """We are loaded before the antivirus."""

    server: ClassVar[Mapping[str, Any]] = {"modules": [PURGING, ANTIVIRUS]}
