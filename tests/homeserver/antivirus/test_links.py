"""Which word about the file of an event is believed, and how events with blocked files are marked."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus.events import event_annotations, links
from synapse_bum.antivirus.events.event_annotations import REFRESH_MS
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.testing.antivirus_case import BASE
from synapse_bum.testing.encrypted_files import Attachment, encrypted
from synapse_bum.testing.remote_media import elsewhere
from synapse_bum.testing.room_case import CLEAN, REMOTE, RoomTestCase

FIELD = "org.synapse_bum.scan_state"


class LinkTests(RoomTestCase):
    def uploaded(self) -> tuple[str, Attachment]:
        attachment = encrypted(CLEAN)
        return self.upload(attachment.ciphertext), attachment

    def links(self) -> list[tuple[str, str, str]]:
        def read(txn: LoggingTransaction) -> list[tuple[str, str, str]]:
            txn.execute("SELECT media_id, event_id, vouched_by FROM synapse_bum_antivirus_links")
            return [(media_id, event_id, word) for media_id, event_id, word in txn.fetchall()]

        found: list[tuple[str, str, str]] = self.get_success(self.hs.get_module_api().run_db_interaction("test", read))
        return found

    def test_the_uploaders_own_word_and_a_readers(self) -> None:
        for token, word in ((self.user_token, "uploader"), (self.bob_token, "reader")):
            mxc, attachment = self.uploaded()
            event_id = self.send_encrypted()
            self.scan(attachment, mxc, event_id, token=token)
            assert (mxc.rsplit("/", 1)[1], event_id, word) in self.links()

    def test_the_uploaders_word_replaces_a_readers_and_not_the_other_way(self) -> None:
        mxc, attachment = self.uploaded()
        event_id = self.send_encrypted()
        for token in (self.bob_token, self.user_token, self.bob_token):
            self.scan(attachment, mxc, event_id, token=token)
        assert [word for _file, _event, word in self.links()] == ["uploader"]

    def test_what_is_not_believed(self) -> None:
        mxc, attachment = self.uploaded()
        redacted = self.send_encrypted()
        self.redact(redacted)
        other_room = self.helper.create_room_as(self.user, tok=self.user_token)
        for event_id, room_id, token in (
            (self.send_encrypted(token=self.bob_token), self.room, self.bob_token),  # somebody else's event
            (self.send_encrypted(), other_room, self.user_token),  # not in this room
            (self.send_encrypted(room_id=other_room), other_room, self.bob_token),  # he is not in it
            (self.send({"msgtype": "m.text", "body": "hello"}), self.room, self.bob_token),  # says itself: nothing
            (redacted, self.room, self.user_token),
            ("$unknown", self.room, self.user_token),
        ):
            self.scan(attachment, mxc, event_id, token=token, room_id=room_id)
        assert self.links() == []

    def test_no_more_links_of_a_file_than_the_table_shall_hold(self) -> None:
        mxc, attachment = self.uploaded()
        with patch.object(links, "MAX_LINKS", 2):
            for _ in range(3):
                self.scan(attachment, mxc, self.send_encrypted(), token=self.bob_token)
            assert len(self.links()) == 2
            event_id = self.send_encrypted()
            self.scan(attachment, mxc, event_id)
            assert (mxc.rsplit("/", 1)[1], event_id, "uploader") in self.links()
            # There may be events that are not in the table: the file stays.
            self.redact(event_id)
            assert not self.is_gone(mxc)


class AnnotationTests(RoomTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def state_of(self, event_id: str) -> str | None:
        path = f"/_matrix/client/v3/rooms/{self.room}/event/{event_id}"
        channel = self.make_request("GET", path, access_token=self.bob_token)
        assert channel.code == HTTPStatus.OK, channel.json_body
        state: str | None = channel.json_body["unsigned"].get(FIELD)
        return state

    def refresh(self) -> None:
        self.reactor.advance(REFRESH_MS / 1000)
        self.pump()

    def test_an_event_with_a_blocked_file_is_marked_within_seconds(self) -> None:
        clean, blocked = self.upload(CLEAN), self.upload(EICAR)
        events = [self.send_file(clean), self.send_file(blocked)]
        self.refresh()
        assert [self.state_of(event_id) for event_id in events] == [None, "blocked"]

    def test_an_encrypted_one_too_also_when_its_link_comes_later(self) -> None:
        mxc, event_id = self.sent_encrypted()
        self.refresh()
        assert self.state_of(event_id) == "blocked"
        later = self.send_encrypted()
        assert self.state_of(later) is None
        self.link(mxc, later)
        self.refresh()
        assert self.state_of(later) == "blocked"

    def link(self, mxc: str, event_id: str) -> None:
        now_ms = self.hs.get_clock().time_msec()
        link = links.Link("test", mxc.rsplit("/", 1)[1], event_id, self.room, self.user, links.VouchedBy.READER)
        self.get_success(self.hs.get_module_api().run_db_interaction("test", links.write_link, link, now_ms))

    def test_not_after_a_release(self) -> None:
        mxc = self.upload(EICAR)
        event_id = self.send_file(mxc)
        self.settle()
        assert self.state_of(event_id) == "blocked"
        path = f"{BASE}/antivirus/findings/{mxc.removeprefix('mxc://')}/release"
        self.make_request("POST", path, {"reason": "false positive"}, access_token=self.admin_token)
        self.refresh()
        assert self.state_of(event_id) is None

    def test_a_file_of_another_server(self) -> None:
        mxc = f"mxc://{REMOTE}/remote1"
        sender = f"@carol:{REMOTE}"
        event_id = self.inject(sender, {"algorithm": "m.megolm.v1.aes-sha2"}, "m.room.encrypted")
        attachment = encrypted(EICAR)
        with elsewhere(self.hs, attachment.ciphertext, []):
            self.scan(attachment, mxc, event_id, token=self.bob_token)
        self.refresh()
        assert self.state_of(event_id) == "blocked"

    def test_an_error_only_costs_the_mark(self) -> None:
        event_id = self.send_file(self.upload(EICAR))
        self.refresh()
        with patch.object(event_annotations, "carries_blocked", side_effect=RuntimeError):
            assert self.state_of(event_id) is None
        assert self.state_of(event_id) == "blocked"


class ProofTests(RoomTestCase):
    """Whose word counts."""

    def test_a_reader_without_the_key_says_nothing(self) -> None:
        attachment = encrypted(b"an important file that alice goes on using " * 20)
        mxc = self.upload(attachment.ciphertext)
        named, carrying = self.send_encrypted(), self.send_encrypted()
        self.scan(attachment.with_wrong_key(), mxc, named, token=self.bob_token)
        self.redact(named)
        assert not self.is_gone(mxc)
        self.scan(attachment, mxc, carrying, token=self.bob_token)
        self.redact(carrying)
        assert self.is_gone(mxc)
