"""An operator deletes the file of a finding: the bytes go, the record stays."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from synapse.module_api import LoggingTransaction
from tests.server import FakeChannel

from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.deletion import Hold, put_hold
from synapse_bum.testing.antivirus_case import BASE, AntivirusTestCase


class DeleteTestCase(AntivirusTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def blocked(self) -> str:
        mxc = self.upload(EICAR)
        self.settle()
        return mxc

    def delete(self, mxc: str, token: str | None = None) -> FakeChannel:
        path = f"{BASE}/antivirus/findings/{mxc.removeprefix('mxc://')}"
        return self.make_request("DELETE", path, access_token=token or self.admin_token)

    def hold(self, target: str) -> None:
        now_ms = self.hs.get_clock().time_msec()

        def put(txn: LoggingTransaction) -> None:
            put_hold(txn, Hold(target, "court order", now_ms + 10_000_000, self.admin, now_ms))

        self.get_success(self.module.backlog._database.run("test", put))


class DeleteTests(DeleteTestCase):
    def test_the_file_goes_and_the_record_stays(self) -> None:
        mxc = self.blocked()
        answer = self.delete(mxc)
        assert (answer.code, answer.json_body) == (HTTPStatus.OK, {})
        self.reactor.advance(3_600)
        self.settle()
        assert self.stored_files() == []
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        (finding,) = self.findings()
        assert (finding["mxc"], finding["state"]) == (mxc, "deleted")

    def test_it_is_audited_as_a_deletion_and_as_a_step_of_the_finding(self) -> None:
        mxc = self.blocked()
        self.delete(mxc)
        for action in ("media.delete", "antivirus.deleted"):
            (row,) = self.ask(f"audit?action={action}")["audit"]
            assert (row["actor"], row["target"], row["old"]) == (self.admin, mxc, "blocked")

    def test_a_second_time_changes_nothing(self) -> None:
        mxc = self.blocked()
        assert [self.delete(mxc).code for _ in range(2)] == [HTTPStatus.OK] * 2
        assert len(self.ask("audit?action=media.delete")["audit"]) == 1

    def test_a_hold_wins_and_is_named(self) -> None:
        mxc = self.blocked()
        self.hold(self.user)
        answer = self.delete(mxc)
        assert answer.code == HTTPStatus.CONFLICT
        assert self.user in answer.json_body["error"]
        assert self.findings()[0]["state"] == "blocked"
        assert len(self.stored_files()) == 1

    def test_a_hold_on_a_room_with_the_file_wins(self) -> None:
        mxc = self.blocked()

        def link(txn: LoggingTransaction) -> None:
            txn.execute(
                "INSERT INTO synapse_bum_antivirus_links"
                " (server_name, media_id, event_id, room_id, sender, vouched_by, noted_ts)"
                " VALUES ('test', ?, '$event', '!room:test', ?, 'uploader', 1)",
                (mxc.rsplit("/", 1)[1], self.user),
            )

        self.get_success(self.module.backlog._database.run("test", link))
        self.hold("!room:test")
        assert self.delete(mxc).code == HTTPStatus.CONFLICT

    def test_a_deleted_file_can_not_be_released(self) -> None:
        mxc = self.blocked()
        self.delete(mxc)
        path = f"{BASE}/antivirus/findings/{mxc.removeprefix('mxc://')}/release"
        answer = self.make_request("POST", path, {"reason": "too late"}, access_token=self.admin_token)
        assert answer.code == HTTPStatus.CONFLICT

    def test_unknown_files_and_callers_without_the_right(self) -> None:
        mxc = self.blocked()
        assert self.delete("mxc://test/nothing").code == HTTPStatus.NOT_FOUND
        assert self.delete(mxc, self.user_token).code == HTTPStatus.FORBIDDEN
        assert self.findings()[0]["state"] == "blocked"


class RejectedTests(DeleteTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "refuse"}

    def test_of_a_refused_upload_nothing_is_stored_that_could_be_deleted(self) -> None:
        self.upload(EICAR, expect=HTTPStatus.BAD_REQUEST)
        (finding,) = self.findings()
        assert self.delete(finding["mxc"]).code == HTTPStatus.CONFLICT
