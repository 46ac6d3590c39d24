"""A hold on a room wins over everything that deletes files of its members, wherever these files are used."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse_bum.antivirus.events.deferred_redactions import ASK_AGAIN_MS
from synapse_bum.antivirus.events.file_usage import FileUsage
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.deletion import delete_hold
from synapse_bum.testing.antivirus_case import BASE
from synapse_bum.testing.room_case import CLEAN, RoomTestCase


class RoomHoldTests(RoomTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block", "delete_on_redaction": "own"}

    def prepare(self, *reactor_clock_and_homeserver: object) -> None:
        super().prepare(*reactor_clock_and_homeserver)
        # Alice has left it; her files are used elsewhere or nowhere.
        self.held_room = self.new_room()
        self.helper.leave(self.held_room, self.user, tok=self.user_token)

    def refused(self, path: str, token: str) -> bool:
        answer = self.make_request("DELETE", f"{BASE}/{path}", access_token=token)
        assert answer.code in {HTTPStatus.OK, HTTPStatus.CONFLICT}, answer.json_body
        return bool(answer.code == HTTPStatus.CONFLICT)

    def test_a_user_who_was_ever_joined_cannot_delete_his_own_file(self) -> None:
        mxc = self.upload(CLEAN)
        self.hold(self.held_room)
        assert self.delete(mxc).code == HTTPStatus.CONFLICT
        assert not self.is_gone(mxc)

    def test_a_user_who_was_only_invited_can(self) -> None:
        elsewhere = self.helper.create_room_as(self.boss, tok=self.boss_token)
        self.helper.invite(elsewhere, self.boss, self.user, tok=self.boss_token)
        mxc = self.upload(CLEAN)
        self.hold(elsewhere)
        assert self.delete(mxc).code == HTTPStatus.OK
        assert self.is_gone(mxc)

    def test_an_operator_cannot_delete_the_file_of_a_finding(self) -> None:
        mxc = self.upload(EICAR)
        self.settle()
        path = f"antivirus/findings/{mxc.removeprefix('mxc://')}"
        self.hold(self.held_room)
        assert self.refused(path, self.admin_token)
        assert len(self.stored_files()) == 1
        assert [finding["state"] for finding in self.findings()] == ["blocked"]

    def test_a_redaction_in_another_room_deletes_nothing(self) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        self.hold(self.held_room)
        self.redact(event_id)
        assert not self.is_gone(mxc)

    def test_the_redacted_file_goes_when_the_hold_has_ended_though_synapse_has_forgotten_the_event(self) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        self.hold(self.held_room)
        self.redact(event_id)
        assert not self.is_gone(mxc)
        self.reactor.advance(10**10 / 1_000)
        self.settle()
        assert self.is_gone(mxc)

    def test_the_redacted_file_goes_within_an_hour_after_the_hold_was_lifted(self) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        self.hold(self.held_room)
        self.redact(event_id)
        assert not self.is_gone(mxc)
        self.get_success(self.hs.get_module_api().run_db_interaction("test", delete_hold, self.held_room))
        self.reactor.advance(ASK_AGAIN_MS / 1_000)
        self.settle()
        assert self.is_gone(mxc)

    def test_while_it_is_on_hold_its_other_uses_are_looked_for_once_and_the_log_names_nobody(self) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        self.hold(self.user)
        is_used_elsewhere = FileUsage.is_used_elsewhere
        with (
            patch.object(FileUsage, "is_used_elsewhere", autospec=True, side_effect=is_used_elsewhere) as asked,
            self.assertLogs("synapse_bum.antivirus.events.redactions", "INFO") as logged,
        ):
            self.redact(event_id)
            self.settle()
            assert asked.call_count == 1
            for _ in range(3):
                self.reactor.advance(ASK_AGAIN_MS / 1_000)
                self.settle()
            assert asked.call_count == 1
        said = "\n".join(logged.output)
        assert "it is on hold" in said
        assert self.user not in said
        assert not self.is_gone(mxc)

    def test_what_its_uploader_has_sent_again_meanwhile_stays(self) -> None:
        mxc = self.upload(CLEAN)
        event_id = self.send_file(mxc)
        self.hold(self.held_room)
        self.redact(event_id)
        assert not self.is_gone(mxc)
        self.send_file(mxc)
        self.reactor.advance(10**10 / 1_000)
        self.settle()
        assert not self.is_gone(mxc)

    def test_without_the_hold_the_redaction_deletes_it(self) -> None:
        mxc = self.upload(CLEAN)
        self.redact(self.send_file(mxc))
        assert self.is_gone(mxc)
