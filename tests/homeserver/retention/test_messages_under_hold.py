"""Holds: what a court wants to see stays, what others wrote around it does not, and afterwards all goes."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from unittest.mock import patch

from synapse.module_api import LoggingTransaction

from synapse_bum.deletion import Hold, put_hold
from synapse_bum.homeserver import event_expiry, transaction_locks
from synapse_bum.retention.classes import Step
from synapse_bum.retention.messages.room_purge import Deleted
from synapse_bum.testing.message_case import MessageTestCase

OLD = 400


class HoldTests(MessageTestCase):
    def test_a_held_room_keeps_everything_until_the_hold_ends(self) -> None:
        self.send("evidence", days=OLD)
        self.send("recent")
        other = self.new_room()
        gone = self.send("ancient", days=OLD, room_id=other)
        self.send("recent", room_id=other)
        self.hold(self.room, days=2)
        assert self.backlog() == 1
        self.run_once("first")
        assert self.text_left("evidence") == ["evidence"]
        assert not self.is_stored(gone)
        assert self.backlog() == 0
        self.reactor.advance(3 * 86_400)
        assert self.backlog() == 1
        self.run_once("second")
        assert self.text_left("evidence") == []
        assert self.backlog() == 0

    def test_a_held_users_messages_stay_and_those_around_them_go(self) -> None:
        bobs = []
        for n in range(3):
            self.send(f"alices{n}", days=OLD)
            content = {"msgtype": "m.text", "body": f"bobs{n}"}
            bobs.append(self.send_event("m.room.message", content, days=OLD, token=self.bob_token))
        self.send("recent")
        self.hold(self.bob, days=2)
        self.run_once("first")
        assert self.text_left("alices") == []
        assert [(self.content_of(event_id) or {})["body"] for event_id in bobs] == ["bobs0", "bobs1", "bobs2"]
        assert self.backlog() == 0
        assert sum(items for items, _ in self.confirmed) == 3
        self.reactor.advance(3 * 86_400)
        assert self.backlog() == 3
        self.run_once("second")
        assert self.text_left("bobs") == []
        assert sum(items for items, _ in self.confirmed) == 6
        assert self.messages_in(self.room) == self.messages_in(self.room)[-1:]
        assert self.backlog() == 0

    def test_a_hold_that_is_set_during_the_run_keeps_what_is_left(self) -> None:
        rooms = [self.new_room() for _ in range(3)]
        for n, room_id in enumerate(rooms):
            self.send(f"evidence{n}", days=OLD + 3 - n, room_id=room_id)
            self.send("recent", room_id=room_id)
        settle = self.purger._rooms.settle

        async def settle_and_hold(step: Step) -> Deleted:
            await self.database.run("test", self.put, rooms[2])
            return await settle(step)

        with patch.object(self.purger._rooms, "settle", settle_and_hold):
            self.run_once()
        assert self.text_left("evidence0", "evidence1", "evidence2") == ["evidence2"]

    def test_a_hold_between_looking_and_emptying_is_respected(self) -> None:
        lone = self.send("evidence", days=OLD)
        pruned = event_expiry.pruned

        async def prune_and_hold(*arguments: object) -> dict[str, str]:
            contents = await pruned(*arguments)  # type: ignore[arg-type]
            await self.database.run("test", self.put, self.alice)
            return contents

        with patch.object(event_expiry, "pruned", prune_and_hold):
            self.run_once()
        assert (self.content_of(lone) or {})["body"] == "evidence"
        assert self.confirmed == []
        assert self.column("synapse_bum_retention_message_rooms", "room_id", room_id=self.room) == [self.room]

    def redact(self, event_id: str) -> str:
        channel = self.make_request(
            "POST", f"/_matrix/client/v3/rooms/{self.room}/redact/{event_id}", {}, access_token=self.alice_token
        )
        assert channel.code == HTTPStatus.OK, channel.json_body
        redaction: str = channel.json_body["event_id"]
        self.make_old([redaction], OLD)
        return redaction

    def bobs_evidence(self) -> str:
        content = {"msgtype": "m.text", "body": "evidence"}
        return self.send_event("m.room.message", content, days=OLD, token=self.bob_token)

    def test_a_held_users_message_keeps_its_text_and_stays_hidden_when_its_redaction_expires(self) -> None:
        bobs = self.bobs_evidence()
        redaction = self.redact(bobs)
        self.send("alices", days=OLD)
        self.send("recent")
        self.hold(self.bob, days=2)
        for run_id in ("first", "second"):
            self.run_once(run_id, thorough=True)
            assert self.text_left("evidence", "alices") == ["evidence"]
            assert self.is_stored(redaction)
            assert self.content_of(bobs) == {}
            assert self.backlog() == 0
        self.reactor.advance(3 * 86_400)
        assert self.backlog() == 2
        self.run_once("third")
        assert (self.text_left("evidence"), self.backlog()) == ([], 0)
        assert self.messages_in(self.room) == self.messages_in(self.room)[-1:]

    def test_a_hold_before_the_redaction_is_carried_out_is_respected(self) -> None:
        for young in (False, True):
            with self.subTest(only_emptied=young):
                self.room = self.new_room()
                if young:
                    self.inject("young and low", [self.send("base", days=OLD)], days=1)
                bobs = self.bobs_evidence()
                # Expires before what it hides.
                self.redact(bobs)
                self.make_old([bobs], 1)
                self.send("recent")
                redacted = event_expiry.redacted

                async def redact_and_hold(
                    *arguments: object, redacted: Callable[..., Awaitable[dict[str, str]]] = redacted
                ) -> dict[str, str]:
                    contents = await redacted(*arguments)
                    await self.database.run("test", self.put, self.bob)
                    return contents

                with patch.object(event_expiry, "redacted", redact_and_hold):
                    self.run_once(f"run {young}", thorough=True)
                assert self.text_left("evidence") == ["evidence"]
                assert self.content_of(bobs) == {}
                self.in_database(lambda txn: txn.execute("DELETE FROM synapse_bum_holds"))

    def test_counting_keeps_nobody_from_setting_a_hold(self) -> None:
        self.send("ancient", days=OLD)
        with patch.object(transaction_locks, "share", side_effect=AssertionError):
            assert self.backlog() == 1
            assert len(self.get_success(self.purger.sample(self.cutoff_ts))) == 1

    def put(self, txn: LoggingTransaction, target: str) -> None:
        put_hold(txn, Hold(target, "court order", self.now_ms + 10**9, "@admin:test", self.now_ms))
