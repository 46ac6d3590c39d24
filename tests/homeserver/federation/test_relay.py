"""The second layer: what a partner passes on of servers that are none, invitations, joins."""

from types import SimpleNamespace
from typing import Any

from synapse.api.constants import EventTypes
from synapse.events import make_event_from_dict
from synapse.module_api import NOT_SPAM
from synapse.module_api.errors import Codes
from tests.test_utils import event_injection

from synapse_bum.testing.federation_case import PARTNER, FederationTestCase

STRANGER = "@mallory:stranger.example"
FRIEND = f"@friend:{PARTNER}"


def message(sender: str) -> Any:  # noqa: ANN401 - stands for an event
    return SimpleNamespace(type=EventTypes.Message, sender=sender)


class RelayTestCase(FederationTestCase):
    federation = {"removal": {"wait": "1s"}}

    def said_of(self, event: Any) -> object:  # noqa: ANN401 - stands for an event
        checker = self.hs.get_module_api_callbacks().spam_checker
        found = self.get_success(checker.check_event_for_spam(event))
        return found[0] if isinstance(found, tuple) else found

    def test_events_of_others_are_hidden_whoever_passes_them_on(self) -> None:
        self.add()
        assert self.said_of(message(STRANGER)) == Codes.FORBIDDEN
        assert self.said_of(message(FRIEND)) == NOT_SPAM
        assert self.said_of(message(self.alice)) == NOT_SPAM
        # What stands behind the first colon is the server, whatever it ends with.
        assert self.said_of(message("@mallory:stranger.example:test")) == Codes.FORBIDDEN
        self.remove()
        assert self.said_of(message(FRIEND)) == Codes.FORBIDDEN

    def test_nobody_is_invited_who_is_at_no_partner(self) -> None:
        self.add()
        room = self.helper.create_room_as(self.alice, tok=self.alice_token)
        checker = self.hs.get_module_api_callbacks().spam_checker
        for user, expected in [(STRANGER, Codes.FORBIDDEN), (FRIEND, NOT_SPAM), (self.boss, NOT_SPAM)]:
            found = self.get_success(checker.user_may_invite(self.alice, user, room))
            assert (found[0] if isinstance(found, tuple) else found) == expected, user

    def test_nobody_follows_an_invitation_of_a_partner_that_was_removed(self) -> None:
        self.add()
        room = self.helper.create_room_as(self.boss, tok=self.boss_token)
        self.get_success(event_injection.inject_member_event(self.hs, room, FRIEND, "join"))
        self.get_success(event_injection.inject_member_event(self.hs, room, FRIEND, "invite", target=self.alice))
        checker = self.hs.get_module_api_callbacks().spam_checker
        assert self.get_success(checker.user_may_join_room(self.alice, room, is_invited=True)) == NOT_SPAM
        self.answer("DELETE", f"federation/partners/{PARTNER}", {"reason": "x"})
        found = self.get_success(checker.user_may_join_room(self.alice, room, is_invited=True))
        assert found != NOT_SPAM

    def test_a_relayed_event_reaches_nobody(self) -> None:
        """An event with a good signature of a server that is no partner, on the way that all events take."""
        federation = self.hs.get_federation_server()
        self.add()
        room = self.helper.create_room_as(self.alice, tok=self.alice_token, room_version="10")
        version = self.get_success(self.hs.get_datastores().main.get_room_version(room))
        pdu = self.add_hashes_and_signatures_from_other_server(
            {
                "type": EventTypes.Message,
                "sender": FRIEND,
                "room_id": room,
                "content": {"body": "hello", "msgtype": "m.text"},
                "origin_server_ts": self.now_ms(),
                "depth": 20,
                "prev_events": [],
                "auth_events": [],
            },
            version,
        )
        event = make_event_from_dict(pdu, version)
        taken = self.get_success(federation._check_sigs_and_hash(version, event))
        assert taken.content["body"] == "hello"
        assert not taken.internal_metadata.is_soft_failed()
        self.remove()
        taken = self.get_success(federation._check_sigs_and_hash(version, event))
        assert taken.content == {}
        assert taken.internal_metadata.is_soft_failed()


class ShownTestCase(FederationTestCase):
    federation = {"relay": "show"}

    def test_events_of_others_are_shown_where_the_operator_wants_that(self) -> None:
        checker = self.hs.get_module_api_callbacks().spam_checker
        assert self.get_success(checker.check_event_for_spam(message(STRANGER))) == NOT_SPAM
