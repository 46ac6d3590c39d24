"""What is over age when a process starts is shown to nobody, and is still there for runs and for holds."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from synapse.storage.databases.main.events_worker import EventRedactBehaviour

from synapse_bum.deletion import Hold, put_hold
from synapse_bum.homeserver import hidden_events
from synapse_bum.retention.messages.over_age import LOOK_EVERY_MS, OverAgeMessages
from synapse_bum.testing.message_case import DAY_MS, LIFETIME_DAYS, MessageTestCase

OLD = 400
LOGGER = "synapse_bum.retention.messages.over_age"


class OverAgeTests(MessageTestCase):
    def start(self, *, agreed: bool = True) -> None:
        """Begin as a process that has just started."""
        here = SimpleNamespace(
            is_in_memory=lambda _api: False,
            run_before_listeners=lambda _api, desc, func: self.get_success(self.database.run(desc, func)),
        )
        cutoff = (lambda _txn, now_ms: now_ms - LIFETIME_DAYS * DAY_MS) if agreed else (lambda _txn, _now_ms: None)
        with patch("synapse_bum.retention.messages.over_age.before_listeners", here):
            OverAgeMessages(self.api, self.database, cutoff).hide()
        hidden_events.decide_anew(self.api)
        self.hs.get_datastores().main._event_ref.clear()
        self.pump(0.1)

    def shown(self, event_id: str) -> Any:  # noqa: ANN401 - JSON
        path = f"/_matrix/client/v3/rooms/{self.room}/event/{event_id}"
        return self.make_request("GET", path, access_token=self.alice_token).json_body["content"]

    def test_a_message_that_is_over_age_has_no_content_for_clients_and_stays_for_the_run(self) -> None:
        old = self.send("ancient", days=OLD)
        young = self.send("recent")
        assert self.shown(old)["body"] == "ancient"
        with self.assertLogs(LOGGER, "WARNING") as logged:
            self.start()
        assert "1 messages are over age, the oldest by 35 days" in logged.output[0]
        assert self.shown(old) == {}
        assert self.shown(young)["body"] == "recent"
        as_it_is = self.hs.get_datastores().main.get_event(old, redact_behaviour=EventRedactBehaviour.as_is)
        assert self.get_success(as_it_is).content["body"] == "ancient"
        assert self.text_left("ancient") == ["ancient"]
        self.run_once("first")
        assert self.text_left("ancient") == []

    def test_other_servers_get_no_content_either(self) -> None:
        self.join_remote()
        old = self.send("ancient", days=OLD)
        asked = self.hs.get_federation_handler().get_persisted_pdu
        found = self.get_success(asked("remote.example", old))
        assert found is not None
        assert found.content["body"] == "ancient"
        self.start()
        hidden = self.get_success(asked("remote.example", old))
        assert hidden is not None
        assert (hidden.event_id, hidden.get_pdu_json()["content"]) == (old, {})

    def test_where_no_lifetime_is_agreed_nothing_is_hidden(self) -> None:
        old = self.send("ancient", days=OLD)
        self.start(agreed=False)
        assert self.shown(old)["body"] == "ancient"

    def test_what_is_on_hold_is_shown_also_when_the_hold_comes_later(self) -> None:
        self.hold(self.bob, days=2)
        content = {"msgtype": "m.text", "body": "evidence"}
        held = self.send_event("m.room.message", content, days=OLD, token=self.bob_token)
        old = self.send("ancient", days=OLD)
        self.start()
        assert self.shown(held)["body"] == "evidence"
        assert self.shown(old) == {}
        self.get_success(
            self.database.run("test", put_hold, Hold(self.room, "a court order", self.now_ms + DAY_MS, self.alice, 1))
        )
        self.reactor.advance(LOOK_EVERY_MS / 1000)
        self.pump(0.1)
        assert self.shown(old)["body"] == "ancient"

    def test_what_a_clock_hid_that_was_ahead_is_shown_again(self) -> None:
        young = self.send("recent")
        ahead_ms = self.now_ms + OLD * DAY_MS
        with patch.object(self.api, "get_current_time_msec", return_value=ahead_ms):
            self.start()
            assert self.shown(young) == {}
        self.reactor.advance(LOOK_EVERY_MS / 1000)
        self.pump(0.1)
        assert self.shown(young)["body"] == "recent"

    def test_what_another_server_sends_again_is_hidden_as_soon_as_it_is_of_age(self) -> None:
        self.join_remote()
        first = self.send("the first")
        self.start()
        self.reactor.advance(30 * DAY_MS / 1000)
        self.pump(0.1)
        of_age = self.backfill(first, LIFETIME_DAYS + 10, "ancient")
        young = self.backfill(first, LIFETIME_DAYS - 10, "last year")
        assert self.shown(of_age) == {}, "it came of age after the process had started"
        assert self.shown(young)["body"] == "last year"
        self.run_once("a run")
        assert self.text_left("ancient", "last year") == ["last year"]
