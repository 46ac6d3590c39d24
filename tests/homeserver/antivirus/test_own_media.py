"""What users see of their own files, and which files they and room administrators may delete."""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.testing import malware
from synapse_bum.testing.antivirus_case import BASE
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.remote_media import elsewhere
from synapse_bum.testing.room_case import CLEAN, REMOTE, RoomTestCase


class ListTests(RoomTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block", "when_scanner_fails": "accept"}

    def test_newest_first_with_size_type_and_time(self) -> None:
        first = self.upload(CLEAN, content_type="text/plain")
        self.reactor.advance(5)
        second = self.upload(CLEAN * 2)
        media = self.my_media()["media"]
        assert [entry["mxc"] for entry in media] == [second, first]
        assert media[1] == {
            "mxc": first,
            "size_bytes": len(CLEAN),
            "media_type": "text/plain",
            "created_ts": media[1]["created_ts"],
            "scan_state": media[1]["scan_state"],
        }
        assert media[0]["created_ts"] - media[1]["created_ts"] in range(5_000, 6_000)

    def test_states_clean_unscanned_encrypted_and_blocked(self) -> None:
        clean = self.upload(malware.png(40, 40), content_type="image/png")
        ciphertext = self.upload(encrypted(CLEAN * 500).ciphertext)
        blocked = self.upload(EICAR)
        self.settle()
        self.engine.reachable = False
        unscanned = self.upload(CLEAN + b"later")
        states = {entry["mxc"]: entry["scan_state"] for entry in self.my_media()["media"]}
        assert states == {clean: "clean", ciphertext: "encrypted", blocked: "blocked", unscanned: "unscanned"}

    def test_a_moderators_quarantine_is_blocked_too(self) -> None:
        mxc = self.upload(CLEAN)
        path = f"/_synapse/admin/v1/media/quarantine/{mxc.removeprefix('mxc://')}"
        self.make_request("POST", path, {}, access_token=self.admin_token)
        assert self.my_media()["media"][0]["scan_state"] == "blocked"

    def test_pages(self) -> None:
        files = [self.upload(CLEAN + bytes([n])) for n in range(5)]
        first = self.my_media(query="?limit=2")
        assert (len(first["media"]), first["total"], first["next_token"]) == (2, 5, "2")
        rest = self.my_media(query="?from=2&limit=1000")
        assert "next_token" not in rest
        assert {entry["mxc"] for entry in first["media"] + rest["media"]} == set(files)

    def test_only_ones_own(self) -> None:
        self.upload(CLEAN)
        assert self.my_media(self.bob_token) == {"media": [], "total": 0}

    def test_reserved_ids_previews_and_deleted_files_are_left_out(self) -> None:
        self.make_request("POST", "/_matrix/media/v1/create", access_token=self.user_token)
        preview, deleted = self.upload(CLEAN + b"1"), self.upload(CLEAN + b"2")

        def make_preview(txn: LoggingTransaction) -> None:
            sql = "UPDATE local_media_repository SET url_cache = 'https://example.org' WHERE media_id = ?"
            txn.execute(sql, (preview.rsplit("/", 1)[1],))

        self.get_success(self.hs.get_module_api().run_db_interaction("test", make_preview))
        self.delete(deleted)
        assert self.my_media() == {"media": [], "total": 0}

    def test_it_needs_a_token(self) -> None:
        assert self.make_request("GET", f"{BASE}/media").code == HTTPStatus.UNAUTHORIZED


class HeldTests(RoomTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"require_scan": True}

    def test_a_held_file_is_encrypted_and_its_uploader_may_delete_it(self) -> None:
        mxc = self.upload(encrypted(CLEAN * 500).ciphertext)
        assert self.my_media()["media"][0]["scan_state"] == "encrypted"
        self.settle()
        assert self.my_media()["media"][0]["scan_state"] == "encrypted"
        assert self.delete(mxc).code == HTTPStatus.OK
        assert self.is_gone(mxc)
        for table in ("held", "verdicts"):
            assert self.count(f"synapse_bum_antivirus_{table}") == 0

    def count(self, table: str) -> int:
        pool = self.hs.get_datastores().main.db_pool
        counted: int = self.get_success(pool.simple_select_one_onecol(table, {}, "COUNT(*)"))
        return counted


class UploaderTests(RoomTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def test_a_deleted_file_is_404_at_once_and_gone_from_disk(self) -> None:
        mxc = self.upload(malware.png(900, 700), content_type="image/png")
        answer = self.delete(mxc)
        assert (answer.code, answer.json_body) == (HTTPStatus.OK, {})
        thumbnail = f"/_matrix/client/v1/media/thumbnail/{mxc.removeprefix('mxc://')}?width=320&height=240"
        for path in (f"/_matrix/client/v1/media/download/{mxc.removeprefix('mxc://')}", thumbnail):
            asked = self.make_request("GET", path, access_token=self.user_token, shorthand=False)
            assert asked.code == HTTPStatus.NOT_FOUND
        assert self.is_gone(mxc)
        store = Path(self.hs.config.media.media_store_path)
        assert [path for path in store.rglob("*") if path.is_file()] == []

    def test_a_second_time_there_is_nothing(self) -> None:
        mxc = self.upload(CLEAN)
        self.delete(mxc)
        again = self.delete(mxc)
        assert (again.code, again.json_body["errcode"]) == (HTTPStatus.NOT_FOUND, "M_NOT_FOUND")

    def test_it_is_audited(self) -> None:
        mxc = self.upload(CLEAN)
        self.delete(mxc)
        (row,) = self.ask("audit?action=media.delete")["audit"]
        assert (row["actor"], row["target"], row["new"]["policy"]) == (self.user, mxc, "antivirus:sender")

    def test_a_blocked_file_too_and_its_finding_says_so(self) -> None:
        mxc = self.upload(EICAR)
        self.settle()
        assert self.delete(mxc).code == HTTPStatus.OK
        assert self.is_gone(mxc)
        assert self.findings()[0]["state"] == "deleted"

    def test_nobody_else_may(self) -> None:
        mxc = self.upload(CLEAN)
        for token in (self.bob_token, self.boss_token, self.admin_token):
            answer = self.delete(mxc, token)
            assert (answer.code, answer.json_body["errcode"]) == (HTTPStatus.FORBIDDEN, "M_FORBIDDEN")
        assert self.download(mxc).code == HTTPStatus.OK

    def test_unknown_files_are_404(self) -> None:
        for mxc in ("mxc://test/nothing", f"mxc://{REMOTE}/nothing"):
            answer = self.delete(mxc)
            assert (answer.code, answer.json_body["errcode"]) == (HTTPStatus.NOT_FOUND, "M_NOT_FOUND")

    def test_a_hold_wins_and_says_until_when(self) -> None:
        mxc = self.upload(CLEAN)
        self.hold(self.user)
        answer = self.delete(mxc)
        assert answer.code == HTTPStatus.CONFLICT
        assert "until 1970-" in answer.json_body["error"]
        assert "court" not in answer.json_body["error"]
        assert self.download(mxc).code == HTTPStatus.OK


class RoomAdminTests(RoomTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def by_boss(self, mxc: str, event_id: str, room_id: str | None = None) -> int:
        return self.delete(mxc, self.boss_token, room_id=room_id or self.room, event_id=event_id).code

    def blocked(self) -> str:
        mxc = self.upload(EICAR)
        self.settle()
        return mxc

    def test_a_blocked_file_that_was_sent_in_clear(self) -> None:
        mxc = self.blocked()
        assert self.by_boss(mxc, self.send_file(mxc)) == HTTPStatus.OK
        assert self.is_gone(mxc)
        (row,) = self.ask("audit?action=media.delete")["audit"]
        assert (row["actor"], row["new"]["policy"]) == (self.boss, "antivirus:room_admin")
        assert self.findings()[0]["state"] == "deleted"

    def test_a_blocked_encrypted_file_that_its_uploader_linked(self) -> None:
        mxc, event_id = self.sent_encrypted()
        assert self.by_boss(mxc, event_id) == HTTPStatus.OK
        assert self.is_gone(mxc)

    def test_a_link_by_anybody_else_is_not_enough(self) -> None:
        for token in (self.boss_token, self.bob_token):
            mxc, event_id = self.sent_encrypted(token=token)
            assert self.by_boss(mxc, event_id) == HTTPStatus.FORBIDDEN

    def test_a_clean_file_is_not_his_business(self) -> None:
        mxc = self.upload(CLEAN)
        assert self.by_boss(mxc, self.send_file(mxc)) == HTTPStatus.FORBIDDEN

    def test_a_strangers_file_that_he_sends_himself(self) -> None:
        mxc = self.blocked()
        event_id = self.send_file(mxc, token=self.boss_token)
        assert self.by_boss(mxc, event_id) == HTTPStatus.FORBIDDEN

    def test_an_event_that_carries_something_else(self) -> None:
        assert self.by_boss(self.blocked(), self.send({"msgtype": "m.text", "body": "hello"})) == HTTPStatus.FORBIDDEN

    def test_an_event_of_another_room(self) -> None:
        mxc = self.blocked()
        elsewhere_room = self.helper.create_room_as(self.user, tok=self.user_token)
        event_id = self.send_file(mxc, room_id=elsewhere_room)
        assert self.by_boss(mxc, event_id) == HTTPStatus.FORBIDDEN
        assert self.by_boss(mxc, event_id, elsewhere_room) == HTTPStatus.FORBIDDEN

    def test_only_with_enough_power(self) -> None:
        mxc = self.blocked()
        event_id = self.send_file(mxc)
        self.give_power(self.bob, 99)
        asked = {"room_id": self.room, "event_id": event_id}
        assert self.delete(mxc, self.bob_token, **asked).code == HTTPStatus.FORBIDDEN
        self.give_power(self.bob, 100)
        assert self.delete(mxc, self.bob_token, **asked).code == HTTPStatus.OK

    def test_only_while_he_is_in_the_room(self) -> None:
        mxc = self.blocked()
        event_id = self.send_file(mxc)
        self.helper.leave(self.room, self.boss, tok=self.boss_token)
        assert self.by_boss(mxc, event_id) == HTTPStatus.FORBIDDEN

    def test_both_parameters_or_none(self) -> None:
        mxc = self.blocked()
        event_id = self.send_file(mxc)
        for query in (
            {"event_id": event_id},
            {"room_id": self.room},
            {"room_id": "nonsense", "event_id": event_id},
            {"room_id": self.room, "event_id": "nonsense"},
        ):
            answer = self.delete(mxc, self.boss_token, **query)
            assert (answer.code, answer.json_body["errcode"]) == (HTTPStatus.BAD_REQUEST, "M_INVALID_PARAM")

    def test_a_hold_on_the_room_wins(self) -> None:
        mxc = self.blocked()
        event_id = self.send_file(mxc)
        self.hold(self.room)
        assert self.by_boss(mxc, event_id) == HTTPStatus.CONFLICT


class RemoteFileTests(RoomTestCase):
    """Blocked files of other servers: our copy goes, and none is fetched again."""

    def setUp(self) -> None:
        super().setUp()
        self.fetched: list[str] = []
        self.sender = f"@carol:{REMOTE}"
        self.mxc = f"mxc://{REMOTE}/remote1"

    def blocked_copy(self, event_id: str) -> None:
        """Fetch an encrypted file and have it found infected, by bob's request about an event."""
        attachment = encrypted(EICAR)
        with elsewhere(self.hs, attachment.ciphertext, self.fetched):
            self.scan(attachment, self.mxc, event_id, token=self.bob_token)
        assert self.findings()[0]["state"] == "blocked"

    def by_boss(self, event_id: str) -> int:
        return self.delete(self.mxc, self.boss_token, room_id=self.room, event_id=event_id).code

    def test_its_copy_goes_and_is_never_fetched_again(self) -> None:
        event_id = self.inject(self.sender, {"algorithm": "m.megolm.v1.aes-sha2"}, "m.room.encrypted")
        self.blocked_copy(event_id)
        assert self.by_boss(event_id) == HTTPStatus.OK
        self.reactor.advance(3_600)
        self.settle()
        assert self.stored_files() == []
        assert self.findings()[0]["state"] == "deleted"
        with elsewhere(self.hs, CLEAN, self.fetched):
            assert self.download(self.mxc).code == HTTPStatus.NOT_FOUND
        assert self.fetched == ["remote1"]

    def test_a_sender_from_a_third_server_is_not_believed(self) -> None:
        event_id = self.inject("@mallory:third.example", {"algorithm": "m"}, "m.room.encrypted")
        self.blocked_copy(event_id)
        assert self.by_boss(event_id) == HTTPStatus.FORBIDDEN

    def test_named_in_clear_by_a_user_of_its_server(self) -> None:
        self.blocked_copy(self.send_encrypted())
        assert self.by_boss(self.send_file(self.mxc)) == HTTPStatus.FORBIDDEN
        event_id = self.inject(self.sender, {"msgtype": "m.file", "body": "a", "url": self.mxc})
        assert self.by_boss(event_id) == HTTPStatus.OK

    def test_nobody_else_deletes_a_copy(self) -> None:
        event_id = self.inject(self.sender, {"algorithm": "m.megolm.v1.aes-sha2"}, "m.room.encrypted")
        self.blocked_copy(event_id)
        assert self.delete(self.mxc).code == HTTPStatus.FORBIDDEN
        asked = {"room_id": self.room, "event_id": event_id}
        assert self.delete(self.mxc, self.bob_token, **asked).code == HTTPStatus.FORBIDDEN
