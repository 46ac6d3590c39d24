"""Whoever redacts an event with a file: whether the file goes too, and what keeps it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus.events import file_usage, redaction_queue
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.room_case import CLEAN, RoomTestCase


class OwnRedactionTests(RoomTestCase):
    """`delete_on_redaction: own`, the default."""

    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def test_the_file_of_a_redacted_event_goes(self) -> None:
        mxc = self.upload(CLEAN)
        self.redact(self.send_file(mxc))
        assert self.is_gone(mxc)

    def test_it_is_audited_with_who_redacted_what(self) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        self.redact(event_id)
        assert self.is_gone(mxc)
        (row,) = self.ask("audit?action=media.delete")["audit"]
        assert (row["actor"], row["target"], row["reason"]) == (self.user, mxc, f"redaction of {event_id}")
        assert row["new"]["policy"] == "antivirus:redaction"

    def test_all_files_that_the_event_names_go(self) -> None:
        files = [self.upload(CLEAN + bytes([n])) for n in range(4)]
        content = {
            "msgtype": "m.image",
            "body": "picture",
            "url": files[0],
            "file": {"url": files[1]},
            "info": {"thumbnail_url": files[2], "thumbnail_file": {"url": files[3]}},
        }
        self.redact(self.send(content))
        assert [self.is_gone(mxc) for mxc in files] == [True] * 4

    def test_no_redaction_no_deletion(self) -> None:
        mxc = self.upload(CLEAN)
        self.send_file(mxc)
        assert not self.is_gone(mxc)

    def test_a_uri_in_the_text_is_no_attachment(self) -> None:
        mxc = self.upload(CLEAN)
        self.redact(self.send({"msgtype": "m.text", "body": mxc, "other": {"url": mxc}}))
        assert not self.is_gone(mxc)

    def test_somebody_elses_file_stays(self) -> None:
        mxc = self.upload(CLEAN)
        self.redact(self.send_file(mxc, token=self.bob_token), token=self.bob_token)
        assert not self.is_gone(mxc)

    def test_a_room_admin_who_redacts_a_clean_file_only_redacts(self) -> None:
        mxc = self.upload(CLEAN)
        self.redact(self.send_file(mxc), token=self.boss_token)
        assert not self.is_gone(mxc)

    def test_a_room_admin_who_redacts_a_blocked_file_deletes_it(self) -> None:
        mxc = self.upload(EICAR)
        self.settle()
        self.redact(self.send_file(mxc), token=self.boss_token)
        assert self.is_gone(mxc)
        assert self.findings()[0]["state"] == "deleted"
        (row,) = self.ask("audit?action=antivirus.deleted")["audit"]
        assert row["actor"] == self.boss

    def test_a_moderator_below_delete_power_only_redacts(self) -> None:
        self.give_power(self.bob, 99)
        mxc = self.upload(EICAR)
        self.settle()
        self.redact(self.send_file(mxc), token=self.bob_token)
        assert not self.file_is_removed(mxc)

    def file_is_removed(self, mxc: str) -> bool:
        """Of a blocked file, which is 404 in any case."""
        self.settle()
        self.reactor.advance(3_600)
        self.settle()
        finding = self.ask(f"antivirus/findings/{mxc.removeprefix('mxc://')}")
        return self.stored_files() == [] and finding["state"] == "deleted"

    def test_a_redaction_that_is_refused_deletes_nothing(self) -> None:
        mxc = self.upload(CLEAN)
        self.redact(self.send_file(mxc), token=self.bob_token, expect=HTTPStatus.FORBIDDEN)
        assert not self.is_gone(mxc)

    def test_the_encrypted_file_of_a_redacted_event_goes(self) -> None:
        mxc, event_id = self.sent_encrypted(CLEAN, token=self.bob_token)
        self.redact(event_id)
        assert self.is_gone(mxc)

    def test_a_room_admin_deletes_a_blocked_encrypted_file_that_the_uploader_linked(self) -> None:
        mxc, event_id = self.sent_encrypted(EICAR)
        self.redact(event_id, token=self.boss_token)
        assert self.file_is_removed(mxc)

    def test_a_room_admin_can_not_link_a_strangers_file_himself(self) -> None:
        mxc, event_id = self.sent_encrypted(EICAR, token=self.boss_token)
        self.redact(event_id, token=self.boss_token)
        assert not self.file_is_removed(mxc)

    def test_a_hold_on_the_uploader_wins(self) -> None:
        self.stays_while_held(self.user)

    def test_a_hold_on_the_room_wins(self) -> None:
        self.stays_while_held(self.room)

    def stays_while_held(self, target: str) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        self.hold(target)
        self.redact(event_id)
        assert not self.is_gone(mxc)

    def test_redactions_from_before_the_module_do_not_count(self) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        with patch.object(self.module.redactions, "_busy", new=True):
            self.redact(event_id)
            run = self.hs.get_module_api().run_db_interaction
            self.get_success(run("test", redaction_queue.stop_following))
            self.reactor.advance(1)
        assert not self.is_gone(mxc)

    def test_a_redaction_while_the_module_is_away_counts_afterwards(self) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        with patch.object(self.module.redactions, "_busy", new=True):
            self.redact(event_id)
            assert not self.is_gone(mxc)
        assert self.is_gone(mxc)

    def test_nothing_is_deleted_while_other_uses_can_not_be_looked_for(self) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        with patch.object(file_usage, "linked_events", side_effect=RuntimeError("the database is away")):
            self.redact(event_id)
            self.settle()
            assert self.download(mxc).code == HTTPStatus.OK
        self.reactor.advance(60)
        assert self.is_gone(mxc)


class UsedElsewhereTests(RoomTestCase):
    """A file that its uploader still uses stays."""

    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def test_in_another_event_of_his_in_another_room(self) -> None:
        mxc = self.upload(CLEAN)
        other_room = self.new_room()
        other = self.send_file(mxc, room_id=other_room)
        self.redact(self.send_file(mxc))
        assert not self.is_gone(mxc)
        self.redact(other, room_id=other_room)
        assert self.is_gone(mxc)

    def test_on_a_later_page_of_events(self) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        for n in range(7):
            self.send({"msgtype": "m.text", "body": str(n)})
        self.send_file(mxc)
        with patch.object(file_usage, "PAGE", 3):
            self.redact(event_id)
            assert not self.is_gone(mxc)

    def test_somebody_elses_event_does_not_keep_it(self) -> None:
        mxc = self.upload(CLEAN)
        self.send_file(mxc, token=self.bob_token)
        self.redact(self.send_file(mxc))
        assert self.is_gone(mxc)

    def test_edits_of_the_redacted_event_do_not_keep_it(self) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        edit = {"msgtype": "m.file", "body": "* b", "url": mxc, "m.new_content": {"msgtype": "m.file", "url": mxc}}
        self.send({**edit, "m.relates_to": {"rel_type": "m.replace", "event_id": event_id}})
        self.redact(event_id)
        assert self.is_gone(mxc)

    def test_as_his_picture(self) -> None:
        mxc = self.upload(CLEAN)
        path = f"/_matrix/client/v3/profile/{self.user}/avatar_url"
        self.make_request("PUT", path, {"avatar_url": mxc}, access_token=self.user_token)
        self.redact(self.send_file(mxc))
        assert not self.is_gone(mxc)

    def test_as_his_picture_that_no_room_knows_of(self) -> None:
        mxc = self.upload(CLEAN)

        def set_picture(txn: LoggingTransaction) -> None:
            txn.execute("UPDATE profiles SET avatar_url = ? WHERE full_user_id = ?", (mxc, self.user))

        self.get_success(self.hs.get_module_api().run_db_interaction("test", set_picture))
        self.redact(self.send_file(mxc))
        assert not self.is_gone(mxc)

    def test_as_a_picture_in_the_state_of_a_room_that_is_still_in_force(self) -> None:
        room_id = self.helper.create_room_as(self.user, tok=self.user_token)
        mxc = self.upload(CLEAN)
        self.helper.send_state(room_id, "m.room.avatar", {"url": mxc}, tok=self.user_token)
        self.redact(self.send_file(mxc))
        assert not self.is_gone(mxc)

    def test_an_older_state_does_not_keep_it(self) -> None:
        room_id = self.helper.create_room_as(self.user, tok=self.user_token)
        mxc = self.upload(CLEAN)
        self.helper.send_state(room_id, "m.room.avatar", {"url": mxc}, tok=self.user_token)
        self.helper.send_state(room_id, "m.room.avatar", {}, tok=self.user_token)
        self.redact(self.send_file(mxc))
        assert self.is_gone(mxc)

    def test_in_another_encrypted_event_that_somebody_has_named(self) -> None:
        attachment = encrypted(CLEAN)
        mxc = self.upload(attachment.ciphertext)
        first, second = self.send_encrypted(), self.send_encrypted()
        self.scan(attachment, mxc, first)
        self.scan(attachment, mxc, second, token=self.bob_token)
        self.redact(first)
        assert not self.is_gone(mxc)
        self.redact(second)
        assert self.is_gone(mxc)


class RemoteRedactionTests(RoomTestCase):
    """What users of other servers redact never deletes a file here."""

    antivirus: ClassVar[Mapping[str, Any]] = {"delete_on_redaction": "all", "on_infected_upload": "block"}

    def test_an_administrator_on_another_server(self) -> None:
        remote = "@admin:remote.example"
        # From version 11 on, a redaction names its event in its content.
        self.room = self.new_room(room_version="11")
        self.inject(remote, {"msgtype": "m.text", "body": "hello"})
        self.give_power(remote, 100)
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        self.inject(remote, {"redacts": event_id}, "m.room.redaction")
        assert not self.is_gone(mxc)
        event = self.get_success(self.hs.get_datastores().main.get_event(event_id))
        assert "url" not in event.content, "the redaction was not accepted: this proves nothing"

    def test_any_local_redaction_deletes_with_all(self) -> None:
        mxc = self.upload(CLEAN)
        self.redact(self.send_file(mxc), token=self.boss_token)
        assert self.is_gone(mxc)


class BlockedOnlyTests(RoomTestCase):
    """`delete_on_redaction: blocked`."""

    antivirus: ClassVar[Mapping[str, Any]] = {"delete_on_redaction": "blocked", "on_infected_upload": "block"}

    def test_clean_files_stay_and_blocked_ones_go(self) -> None:
        clean, blocked = self.upload(CLEAN), self.upload(EICAR)
        self.settle()
        for mxc in (clean, blocked):
            self.redact(self.send_file(mxc))
        assert not self.is_gone(clean)
        assert self.is_gone(blocked)


class NeverTests(RoomTestCase):
    """`delete_on_redaction: none`."""

    antivirus: ClassVar[Mapping[str, Any]] = {"delete_on_redaction": "none"}

    def test_the_file_stays(self) -> None:
        mxc = self.upload(CLEAN)
        self.redact(self.send_file(mxc))
        assert not self.is_gone(mxc)
