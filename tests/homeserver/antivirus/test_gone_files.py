"""Files with a finding that somebody else has deleted: the finding says so."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.module_api import LoggingTransaction

from synapse_bum import deletion
from synapse_bum.antivirus.findings import gone_files
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.homeserver import media
from synapse_bum.testing.antivirus_case import BASE, AntivirusTestCase


class GoneFilesTestCase(AntivirusTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def blocked(self, content: bytes = EICAR) -> str:
        mxc = self.upload(content)
        self.settle()
        return mxc

    def states(self) -> dict[str, str]:
        return {finding["mxc"]: finding["state"] for finding in self.findings()}

    def wait(self) -> None:
        for _ in range(4):
            self.reactor.advance(10)
            self.settle()

    def delete_by_age(self, mxc: str) -> None:
        """What another feature does."""

        def plan(txn: LoggingTransaction) -> None:
            stored = media.stored_media(txn, "test", mxc.rpartition("/")[2], "test")
            assert stored is not None
            now_ms = self.hs.get_clock().time_msec()
            outcome = deletion.plan(
                txn, stored, policy="retention:local_media", actor="retention", reason=None, now_ms=now_ms
            )
            assert isinstance(outcome, deletion.Planned)

        self.get_success(self.module.backlog._database.run("test", plan))

    def test_by_age(self) -> None:
        mxc, other = self.blocked(), self.blocked(EICAR + b" ")
        self.wait()
        assert self.states() == {mxc: "blocked", other: "blocked"}
        self.delete_by_age(mxc)
        self.wait()
        assert self.states() == {mxc: "deleted", other: "blocked"}
        (row,) = self.ask("audit?action=antivirus.deleted")["audit"]
        assert (row["actor"], row["target"], row["old"]) == ("retention", mxc, "blocked")

    def test_by_synapse_itself(self) -> None:
        mxc = self.blocked()
        path = f"/_synapse/admin/v1/media/{mxc.removeprefix('mxc://')}"
        assert self.make_request("DELETE", path, access_token=self.admin_token).code == HTTPStatus.OK
        self.wait()
        assert self.states() == {mxc: "deleted"}
        (row,) = self.ask("audit?action=antivirus.deleted")["audit"]
        assert (row["actor"], row["reason"]) == ("antivirus", "its file was deleted")

    def test_after_a_release(self) -> None:
        mxc = self.blocked()
        path = f"{BASE}/antivirus/findings/{mxc.removeprefix('mxc://')}/release"
        self.make_request("POST", path, {"reason": "false"}, access_token=self.admin_token)
        self.wait()
        assert self.states() == {mxc: "released"}
        self.delete_by_age(mxc)
        self.wait()
        assert self.states() == {mxc: "deleted"}

    def test_page_by_page(self) -> None:
        files = [self.blocked(EICAR + b" " * number) for number in range(5)]
        for mxc in files:
            self.delete_by_age(mxc)
        with patch.object(gone_files, "PAGE", 2):
            self.wait()
        assert set(self.states().values()) == {"deleted"}
