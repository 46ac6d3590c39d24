"""A deletion is seen from the commit of its plan on, before a byte is removed: by every door, whatever the row said."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from synapse.module_api import LoggingTransaction
from tests.unittest import FederatingHomeserverTestCase

from synapse_bum.deletion import (
    After,
    AlreadyPlanned,
    DeletionState,
    Held,
    Hold,
    Kind,
    NotStored,
    Planned,
    delete_hold,
    put_hold,
)
from synapse_bum.rest import BASE
from synapse_bum.testing import malware
from synapse_bum.testing.deletion_case import SERVER, DeletionTestCase

PICTURE = malware.png()
DOORS = (
    "/_matrix/client/v1/media/download/{}",
    "/_matrix/client/v1/media/download/{}/name.png",
    "/_matrix/client/v1/media/thumbnail/{}?width=32&height=32&method=scale",
    "/_matrix/media/v3/download/{}",
    "/_matrix/media/r0/download/{}",
    "/_matrix/media/v3/thumbnail/{}?width=32&height=32&method=crop",
)


class DoorTests(DeletionTestCase):
    server: ClassVar[Mapping[str, Any]] = {"enable_authenticated_media": False}

    def statuses(self, mxc: str) -> list[int]:
        return [self.get(door.format(mxc.removeprefix("mxc://"))).code for door in DOORS]

    def test_every_door_answers_404_at_once_and_afterwards(self) -> None:
        mxc = self.upload(PICTURE)
        assert set(self.statuses(mxc)) == {HTTPStatus.OK}
        with self.removal_stopped():
            assert isinstance(self.delete(mxc), Planned)
            assert set(self.statuses(mxc)) == {HTTPStatus.NOT_FOUND}
            assert self.files() != []
        self.settle()
        assert self.files() == []
        assert set(self.statuses(mxc)) == {HTTPStatus.NOT_FOUND}

    def test_a_remote_file_too(self) -> None:
        assert self.fetch("far").code == HTTPStatus.OK
        with self.removal_stopped():
            self.delete(f"mxc://{SERVER}/far")
            assert self.fetch("far").code == HTTPStatus.NOT_FOUND
        assert self.fetched == ["far"]

    def test_other_files_are_served(self) -> None:
        gone, kept = self.upload(PICTURE), self.upload(PICTURE)
        self.delete(gone)
        self.settle()
        assert set(self.statuses(kept)) == {HTTPStatus.OK}


class FederationTests(DeletionTestCase, FederatingHomeserverTestCase):
    def test_other_servers_get_404_at_once(self) -> None:
        mxc = self.upload(PICTURE)
        paths = [
            f"/_matrix/federation/v1/media/download/{mxc.rpartition('/')[2]}",
            f"/_matrix/federation/v1/media/thumbnail/{mxc.rpartition('/')[2]}?width=32&height=32&method=scale",
        ]
        assert [self.make_signed_federation_request("GET", path).code for path in paths] == [HTTPStatus.OK] * 2
        with self.removal_stopped():
            self.delete(mxc)
            answers = [self.make_signed_federation_request("GET", path).code for path in paths]
            assert answers == [HTTPStatus.NOT_FOUND] * 2


class PlanTests(DeletionTestCase):
    def in_transaction(self, func: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 - what the function returns
        return self.get_success(self.module.database.run("test", func, *args))

    def hold(self, target: str, seconds: int = 60) -> Hold:
        hold = Hold(target, "court order", self.clock.time_msec() + seconds * 1000, self.admin, self.clock.time_msec())
        self.in_transaction(put_hold, hold)
        return hold

    def change_row(self, sql: str) -> None:
        self.in_transaction(lambda txn: txn.execute(sql))

    def row(self, mxc: str) -> tuple[Any, ...]:
        def read(txn: LoggingTransaction) -> Any:  # noqa: ANN401 - a database row
            txn.execute(
                "SELECT quarantined_by, sha256 FROM local_media_repository WHERE media_id = ?",
                (mxc.rpartition("/")[2],),
            )
            return txn.fetchone()

        found: tuple[Any, ...] = self.in_transaction(read)
        return found

    def test_the_same_bytes_can_be_uploaded_again_by_somebody(self) -> None:
        first = self.upload(PICTURE)
        self.delete(first)
        again = self.upload(PICTURE, token=self.bob_token)
        assert self.download(again).result["body"] == PICTURE
        assert self.row(first) == ("synapse_bum:deleted", None)

    def test_a_file_that_a_moderator_protected_from_quarantine_is_deleted(self) -> None:
        mxc = self.upload(PICTURE)
        self.change_row("UPDATE local_media_repository SET safe_from_quarantine = (1 = 1)")
        self.delete(mxc)
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND

    def test_the_journal_remembers_who_had_quarantined_it(self) -> None:
        mxc = self.upload(PICTURE)
        self.change_row("UPDATE local_media_repository SET quarantined_by = '@mod:test'")
        outcome = self.delete(mxc)
        assert isinstance(outcome, Planned)
        assert outcome.deletion.quarantined_by == "@mod:test"
        assert outcome.audit_detail()["quarantined_by"] == "@mod:test"

    def test_what_a_moderator_releases_meanwhile_is_hidden_again_before_it_is_removed(self) -> None:
        mxc = self.upload(PICTURE)
        with self.removal_stopped():
            self.delete(mxc)
            self.change_row("UPDATE local_media_repository SET quarantined_by = NULL")
        self.turn()
        assert self.row(mxc) == ("synapse_bum:deleted", None)

    def test_a_second_plan_changes_nothing(self) -> None:
        mxc = self.upload(PICTURE)
        first = self.delete(mxc)
        second = self.delete(mxc)
        assert isinstance(first, Planned)
        assert isinstance(second, AlreadyPlanned)
        assert [row.id for row in self.journal()] == [first.deletion.id] == [second.deletion.id]
        self.settle()
        assert isinstance(self.delete(mxc), NotStored)

    def test_what_was_never_stored_can_not_be_deleted(self) -> None:
        created = self.make_request("POST", "/_matrix/media/v1/create", access_token=self.alice_token)
        assert isinstance(self.delete(created.json_body["content_uri"]), NotStored)
        assert isinstance(self.delete("mxc://test/nothing"), NotStored)
        assert isinstance(self.delete(f"mxc://{SERVER}/nothing"), NotStored)
        assert self.journal() == []

    def test_the_journal_and_the_audit_say_what_was_deleted_by_whom_and_why(self) -> None:
        mxc = self.upload(PICTURE)
        self.delete(mxc, actor=self.bob)
        (row,) = self.journal()
        assert (row.kind, row.mxc, row.uploader, row.size_bytes) == (Kind.LOCAL_MEDIA, mxc, self.alice, len(PICTURE))
        assert (row.policy, row.actor, row.reason) == ("example:rule", self.bob, "a test")
        assert row.thumbnail_bytes > 0
        assert row.as_json() == {
            "kind": "local_media",
            "target": mxc,
            "size_bytes": len(PICTURE),
            "policy": "example:rule",
            "planned_ts": row.planned_ts,
            "done_ts": None,
        }
        self.settle()
        (done,) = self.journal()
        assert done.state is DeletionState.DROPPED
        assert done.done_ts is not None
        assert done.done_ts > row.planned_ts
        audit = self.make_request("GET", f"{BASE}/audit", access_token=self.admin_token).json_body["audit"]
        assert [(row["action"], row["target"], row["actor"], row["reason"]) for row in audit] == [
            ("media.delete", mxc, self.bob, "a test")
        ]
        assert audit[0]["new"]["policy"] == "example:rule"

    def test_a_hold_on_the_uploader_wins(self) -> None:
        mxc = self.upload(PICTURE)
        hold = self.hold(self.alice)
        assert self.delete(mxc) == Held(hold)
        assert self.download(mxc).code == HTTPStatus.OK
        assert self.journal() == []

    def test_a_hold_on_a_room_wins(self) -> None:
        mxc = self.upload(PICTURE)
        hold = self.hold("!r:test")
        assert self.delete(mxc, rooms=["!other:test", "!r:test"]) == Held(hold)
        assert isinstance(self.delete(mxc, rooms=["!other:test"]), Planned)

    def test_a_hold_that_ended_or_was_lifted_holds_no_more(self) -> None:
        self.hold(self.alice, seconds=60)
        mxc = self.upload(PICTURE)
        self.reactor.advance(61)
        assert isinstance(self.delete(mxc), Planned)
        self.hold(self.alice)
        other = self.upload(PICTURE)
        assert self.in_transaction(delete_hold, self.alice) is True
        assert isinstance(self.delete(other), Planned)

    def test_a_plan_that_is_rolled_back_leaves_everything_as_it_was(self) -> None:
        mxc = self.upload(PICTURE)

        def plan_and_fail(txn: LoggingTransaction) -> None:
            self.module.delete(txn, "test", mxc.rpartition("/")[2])
            raise RuntimeError("the feature's own step failed")

        self.get_failure(self.module.database.run("test", plan_and_fail), RuntimeError)
        self.settle()
        assert self.download(mxc).code == HTTPStatus.OK
        assert self.journal() == []

    def test_only_remote_files_leave_a_tombstone(self) -> None:
        mxc = self.upload(PICTURE)
        run = self.module.database.run(
            "test", self.module.delete, "test", mxc.rpartition("/")[2], after=After.TOMBSTONE
        )
        self.get_failure(run, ValueError)
        assert self.download(mxc).code == HTTPStatus.OK
